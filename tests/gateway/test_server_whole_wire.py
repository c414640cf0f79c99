"""A tour through all that a server can say over a WebSocket, against the wire's declaration."""

import json
import typing
from collections.abc import Callable, Iterator
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
    pytest.importorskip("pydantic", reason="openai, a counterpart, is not installed")
    realtime = pytest.importorskip("openai.types.realtime", reason="openai is not installed")
    union = typing.get_args(typing.get_args(realtime.RealtimeServerEvent)[0])
    models = {
        name: model
        for model in union
        for name in typing.get_args(model.model_fields["type"].annotation)
    }
    for event in await see():
        read = models[event["type"]].model_validate_json(
            json.dumps(without_null(event)), strict=True
        )
        assert {path for path in undeclared(read) if not is_seen(path)} == set(), event


def without_null(event: Any) -> Any:
    """Drop what is null: the real server sends it where the models do not declare it."""
    if isinstance(event, dict):
        return {k: without_null(v) for k, v in event.items() if v is not None}
    return [*map(without_null, event)] if isinstance(event, list) else event


def undeclared(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the fields that no model declares: OpenAI's models allow any."""
    if hasattr(value, "model_extra"):
        yield from (f"{path}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from undeclared(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for member in value:
            yield from undeclared(member, f"{path}[]")


def is_seen(path: str) -> bool:
    """Tell whether a field that is not declared was recorded from the real server."""
    return path in {".obfuscation", ".session.id", ".session.object", ".session.expires_at"}
