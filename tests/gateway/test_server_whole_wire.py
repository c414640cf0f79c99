"""A tour through all that a server can say over a WebSocket, against the wire's declaration."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing

from meshrt.gateway import Call, CallMcp, Fail, Heard, HeardAudio, Interleave, Part, Refuse, Say

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

SPEC: Json = json.loads(Path(__file__).parents[1].joinpath("data", "wire.json").read_text("utf-8"))

# What no WebSocket of the real server has carried either, and why.
NEVER = {
    "conversation.created": "declared, and in no recording of the GA wire",
    "conversation.item.created": "servers of the GA wire say .added and .done",
    "input_audio_buffer.dtmf_event_received": "SIP",
    "output_audio_buffer.started": "WebRTC and SIP",
    "output_audio_buffer.stopped": "WebRTC and SIP",
    "output_audio_buffer.cleared": "WebRTC and SIP",
}

IDLE = {"type": "server_vad", "idle_timeout_ms": 5_000}
CREATE = {"type": "response.create"}
TEXT = {**CREATE, "response": {"output_modalities": ["text"]}}
TRAINS = {
    "type": "mcp",
    "server_label": "trains",
    "server_url": "https://trains.example",
    "allowed_tools": ["when"],
    "require_approval": "never",
}
FERRIES = {**TRAINS, "server_label": "ferries", "allowed_tools": [], "require_approval": "always"}

ANSWERS: list[list[Part]] = [
    [Interleave([Say("One moment."), Call("weather", {"city": "Bern"})])],
    [CallMcp("trains", "when", {"to": "Bern"}, output="noon")],
    [CallMcp("trains", "when", {"to": "sea"}, error="no such place"), CallMcp("ferries", "go")],
    [Refuse("I would rather"), Say("not")],
    [Say("Well,"), Fail("rate_limit_exceeded", "No more today.")],
]


class Guide:
    """A model that shows one thing after another, and cannot tell every word."""

    def __init__(self) -> None:
        self._answers = iter(ANSWERS)
        words: list[str | Fail] = [
            "When does it leave?",
            Fail("audio_unintelligible", "A bad line."),
        ]
        self._words = iter(words)

    async def reply(self, heard: Heard) -> Any:
        return next(self._answers, "That is all.")

    async def transcribe(self, audio: HeardAudio) -> str | Fail:
        return next(self._words, "")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def tour(wire: Any, append: Any, write: Any, train: bytes) -> list[Json]:
    """Return all that the server says in a session that asks for everything."""
    session = {
        "type": "realtime",
        "tools": [TRAINS, FERRIES],
        "include": ["item.input_audio_transcription.logprobs"],
        "audio": {"input": {"turn_detection": IDLE, "transcription": {"model": "diarize"}}},
    }
    await wire.say({"type": "session.update", "session": session}, append(train))
    events: list[Json] = await wire.until("rate_limits.updated")
    await wire.say(write("Hello.", id="it"), append(train))
    events += await wire.until("rate_limits.updated")
    for name in ("retrieve", "delete"):
        await wire.say({"type": f"conversation.item.{name}", "item_id": "it"})
    spoken = next(e["item_id"] for e in events if e["type"] == "response.output_audio.delta")
    cut = {"item_id": spoken, "content_index": 0, "audio_end_ms": 0}
    await wire.say({"type": "conversation.item.truncate", **cut})
    await wire.say({"type": "input_audio_buffer.clear"}, {"type": "unknown"})
    events += await wire.until("error")
    for _ in ANSWERS:
        await wire.say(TEXT)
        events += await wire.until("rate_limits.updated")
    events += await wire.until("input_audio_buffer.timeout_triggered")
    return [*events, *await wire.until("rate_limits.updated")]


@pytest.fixture
def see(
    whisper: Talk, append: Callable[[bytes], Json], write: Callable[..., Json], train: bytes
) -> Callable[[], Any]:
    async def see() -> list[Json]:
        with anyio.fail_after(600):
            async with whisper(model=Guide()) as wire:
                return [wire.greeting, *await tour(wire, append, write, train)]

    return see


async def test_every_event_that_a_websocket_can_carry_is_said_by_the_gateway(
    see: Callable[[], Any],
) -> None:
    said = {event["type"] for event in await see()}

    assert said == {*SPEC["server"]} - {*NEVER}
    assert {*NEVER} <= {*SPEC["server"]}


async def test_every_event_has_what_is_declared_and_nothing_that_nobody_has_seen(
    see: Callable[[], Any],
) -> None:
    for event in await see():
        declared = SPEC["server"][event["type"]]
        needed = {name for name, kind in declared.items() if not kind.startswith("optional ")}
        seen = {*SPEC["observed"].get(event["type"], ())}
        assert needed <= event.keys(), event
        assert event.keys() - {"type"} <= declared.keys() | seen, event


async def test_openai_s_own_models_read_every_event(see: Callable[[], Any]) -> None:
    models = pytest.importorskip("tests.support._openai_models")
    for event in await see():
        models.check(json.dumps(event))
