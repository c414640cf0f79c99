"""A recording of each kind of turn, over a real socket, frame by frame against OpenAI's models."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from meshrt.gateway import (
    Call,
    CallMcp,
    EchoVoice,
    Fail,
    Heard,
    Interleave,
    Part,
    Refuse,
    Rule,
    RuleModel,
    Say,
    serve,
)
from meshrt.transports import Endpoint, Transport, connect_websocket
from tests.support._openai_models import MODELS, TRANSLATION_MODELS, check

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Record = Callable[..., AbstractAsyncContextManager["Recording"]]

PATH, MODEL = "/v1/realtime", {"model": "openai/gpt-realtime"}
CREATE = {"type": "response.create"}
PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "get_weather", "description": "Say it.", "parameters": CITY}
TRAINS = {
    "type": "mcp",
    "server_label": "trains",
    "server_url": "https://trains.example",
    "allowed_tools": ["when"],
    "require_approval": "never",
}
RULES = RuleModel(
    Rule(r"weather in (?P<city>\w+)", Call("get_weather")),
    Rule(r"(?P<sky>rain in \w+)", "There is {sky}.", of_output=True),
    Rule("refuse", Refuse("I would rather not.")),
    Rule("fail", Fail("rate_limit_exceeded", "No more today.")),
)


class Recording:
    """All that a server says over one WebSocket, to the letter."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting: list[str] = []
        self.texts: list[str] = []

    async def say(self, *events: Mapping[str, Any] | str | bytes) -> None:
        await self._transport.send(
            [each if isinstance(each, str | bytes) else json.dumps(each) for each in events]
        )

    async def until(self, wire_name: str) -> list[Json]:
        """Return what comes up to an event of this type, and that one."""
        came: list[Json] = []
        with anyio.fail_after(20):
            while not came or came[-1]["type"] != wire_name:
                if not self._waiting:
                    self._waiting += map(str, await self._transport.receive())
                self.texts.append(self._waiting.pop(0))
                came.append(json.loads(self.texts[-1]))
        return came


@pytest.fixture
def record() -> Record:
    """Open a WebSocket to a gateway of its own; in the end each frame is read by its model."""

    @asynccontextmanager
    async def record(
        *,
        path: str = PATH,
        query: Mapping[str, str] = MODEL,
        models: dict[str, Any] = MODELS,
        **options: Any,
    ) -> AsyncIterator[Recording]:
        async with serve(**{"voice": EchoVoice(), **options}) as gateway:
            transport = await connect_websocket(
                Endpoint.parse(gateway.url, path=path, query=query)
            )
            recording = Recording(transport)
            try:
                yield recording
            finally:
                await transport.abort()  # noqa: ASYNC102  it works under cancellation
        assert check(recording.texts[0], models) == "session.created"
        for text in recording.texts:
            check(text, models)

    return record


def names(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


def update(**session: Any) -> Json:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def write(text: str, *parts: Json) -> Json:
    content = [{"type": "input_text", "text": text}, *parts]
    item = {"type": "message", "role": "user", "content": content}
    return {"type": "conversation.item.create", "item": item}


def append(pcm: bytes) -> Json:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}


async def test_a_text_turn(record: Record) -> None:
    async with record() as recording:
        await recording.say(update(output_modalities=["text"]), write("When?"), CREATE)
        came = await recording.until("rate_limits.updated")

    assert {"session.updated", "response.output_text.delta", "response.done"} <= {*names(came)}


async def test_a_spoken_turn_of_which_there_is_a_transcript(
    record: Record, speech: list[bytes]
) -> None:
    async with record() as recording:
        await recording.say(update(audio={"input": {"transcription": {"model": "whisper-1"}}}))
        await recording.say(*map(append, speech))
        came = await recording.until("rate_limits.updated")
        if "conversation.item.input_audio_transcription.completed" not in names(came):
            came += await recording.until("conversation.item.input_audio_transcription.completed")

    assert "response.output_audio.delta" in names(came)
    assert "conversation.item.input_audio_transcription.delta" in names(came)


async def test_a_tool_call_and_what_follows(record: Record) -> None:
    async with record(model=RULES) as recording:
        await recording.say(update(tools=[WEATHER]), write("What's the weather in Paris?"), CREATE)
        came = await recording.until("rate_limits.updated")
        [call] = [e for e in came if e["type"] == "response.function_call_arguments.done"]
        output = {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": "rain in A",
        }
        await recording.say({"type": "conversation.item.create", "item": output}, CREATE)
        after = await recording.until("rate_limits.updated")

    assert "response.function_call_arguments.delta" in names(came)
    [told] = [e for e in after if e["type"] == "response.output_audio_transcript.done"]
    assert told["transcript"] == "There is rain in A."


async def test_a_barge_in(record: Record, speech: list[bytes]) -> None:
    async with record(pacing="realtime") as recording:
        await recording.say(append(b"".join(speech)))
        heard = await recording.until("response.output_audio.delta")
        await recording.say(append(b"".join(speech)))
        cut = await recording.until("response.done")
        place = {"item_id": heard[-1]["item_id"], "content_index": 0, "audio_end_ms": 50}
        await recording.say({"type": "conversation.item.truncate", **place})
        cut += await recording.until("conversation.item.truncated")

    assert "input_audio_buffer.speech_started" in names(cut)
    [done] = [event["response"] for event in cut if event["type"] == "response.done"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}


async def test_a_picture(record: Record) -> None:
    async with record() as recording:
        await recording.say(write("What is this?", PICTURE), CREATE)
        came = await recording.until("rate_limits.updated")

    [told] = [e for e in came if e["type"] == "response.output_audio_transcript.done"]
    assert "image" in told["transcript"]


async def test_a_response_out_of_the_conversation(record: Record) -> None:
    params = {"conversation": "none", "metadata": {"a": "b"}, "output_modalities": ["text"]}
    async with record() as recording:
        asked = {**params, "input": [write("Sum it up.")["item"]]}
        await recording.say({**CREATE, "response": asked})
        came = await recording.until("rate_limits.updated")

    assert "conversation.item.added" not in names(came)
    [done] = [event["response"] for event in came if event["type"] == "response.done"]
    assert (done["conversation_id"], done["metadata"]) == (None, {"a": "b"})


async def test_a_session_that_transcribes(record: Record, speech: list[bytes]) -> None:
    session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "w"}}}}
    async with record(query={"intent": "transcription"}) as recording:
        await recording.say({"type": "session.update", "session": session})
        await recording.say(*map(append, speech))
        came = await recording.until("conversation.item.input_audio_transcription.completed")

    assert "input_audio_buffer.committed" in names(came)
    assert not any(name.startswith("response.") for name in names(came))


async def test_a_session_that_translates(record: Record, speech: list[bytes]) -> None:
    path = "/v1/realtime/translations"
    async with record(path=path, models=TRANSLATION_MODELS) as recording:
        sound = [append(chunk)["audio"] for chunk in speech]
        await recording.say(
            *({"type": "session.input_audio_buffer.append", "audio": each} for each in sound)
        )
        await recording.until("session.output_audio.delta")
        await recording.say({"type": "session.close"})
        await recording.until("session.closed")


async def test_errors_of_each_kind(record: Record) -> None:
    gone = {"item_id": "gone", "content_index": 0, "audio_end_ms": 5}
    wrong: list[Json | str | bytes] = [
        update(voice="alloy"),
        update(output_modalities=["smell"]),
        {"type": "conversation.item.truncate", **gone},
        {"type": "input_audio_buffer.commit", "event_id": "mine"},
        {"type": "response.cancel"},
        {"type": "output_audio_buffer.clear"},
        {"type": "nonsense"},
        "nonsense",
        b"\0\0",
    ]
    async with record() as recording:
        for each in wrong:
            await recording.say(each)
            await recording.until("error")
        await recording.say(write("Hello."), CREATE)
        came = await recording.until("rate_limits.updated")

    assert "response.done" in names(came)


@pytest.mark.parametrize(
    ("words", "params", "status"),
    [
        ("Please fail.", {}, "failed"),
        ("Please refuse.", {}, "incomplete"),
        ("Say much.", {"max_output_tokens": 1}, "incomplete"),
    ],
)
async def test_a_response_that_comes_to_no_good(
    record: Record, words: str, params: Json, status: str
) -> None:
    async with record(model=RULES) as recording:
        await recording.say(write(words), {**CREATE, "response": params})
        came = await recording.until("response.done")

    assert came[-1]["response"]["status"] == status


class Agile:
    """A model that does several things at once, by tools that are elsewhere."""

    async def reply(self, heard: Heard) -> list[Part]:
        at_once = [Say("One moment."), CallMcp("trains", "when", {"to": "Bern"}, output="noon")]
        return [Interleave(at_once), CallMcp("trains", "when", {}, error="no such place")]


async def test_tools_that_are_elsewhere_and_items_in_turns(record: Record) -> None:
    async with record(model=Agile()) as recording:
        await recording.say(update(tools=[TRAINS]), write("When?"), CREATE)
        came = await recording.until("rate_limits.updated")

    assert {"response.mcp_call.completed", "response.mcp_call.failed"} <= {*names(came)}


async def test_a_session_in_which_everything_is_configured(record: Record) -> None:
    hearing = {
        "format": {"type": "audio/pcmu"},
        "noise_reduction": {"type": "near_field"},
        "turn_detection": {"type": "semantic_vad", "eagerness": "low"},
        "transcription": {"model": "gpt-4o-transcribe", "language": "en", "prompt": "Trains."},
    }
    async with record() as recording:
        await recording.say(
            update(
                instructions="Be brief.",
                tool_choice="none",
                max_output_tokens=50,
                tracing={"workflow_name": "w", "metadata": {"a": "b"}},
                truncation={"type": "retention_ratio", "retention_ratio": 0.5},
                include=["item.input_audio_transcription.logprobs"],
                prompt={"id": "pmpt_1"},
                audio={
                    "input": hearing,
                    "output": {"format": {"type": "audio/pcma"}, "voice": "cedar", "speed": 1.25},
                },
            ),
            write("Hello."),
            CREATE,
        )
        came = await recording.until("rate_limits.updated")

    [new] = [event["session"] for event in came if event["type"] == "session.updated"]
    assert (new["audio"]["output"]["speed"], new["audio"]["input"]["format"]) == (
        1.25,
        {"type": "audio/pcmu"},
    )
