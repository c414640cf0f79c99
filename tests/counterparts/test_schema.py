"""Every event of our gateway fits OpenAI's own models of it, strictly."""

import json
from functools import partial
from typing import Any

import pytest

from meshrt import MeshAPI
from meshrt.events import ResponseDone
from meshrt.gateway import EchoVoice, serve
from meshrt.session import RealtimeSession
from meshrt.transports import Endpoint, connect_websocket
from tests.support._openai_models import check, pydantic

pytestmark = pytest.mark.anyio

MODEL = "openai/gpt-realtime"


async def checked_turn(session: RealtimeSession) -> list[str]:
    """Check what comes up to the end of a response and the limits behind it."""
    names: list[str] = []
    while "rate_limits.updated" not in names:
        message = await session.receive()
        assert message.text is not None
        names.append(check(message.text))
    return names


def connect(url: str, **options: Any) -> Any:
    options = {"keep_audio_text": True, "errors": "deliver", **options}
    return MeshAPI(base_url=url).realtime.connect(model=MODEL, **options)


def test_the_models_are_strict() -> None:
    good = {"type": "input_audio_buffer.cleared", "event_id": "event_1"}
    check(json.dumps(good))
    for bad in ({**good, "event_id": 7}, {"type": good["type"]}, {**good, "new": 1}):
        with pytest.raises((pydantic.ValidationError, AssertionError)):
            check(json.dumps(bad))


async def test_a_written_turn() -> None:
    async with serve(voice=EchoVoice()) as gateway, connect(gateway.url) as session:
        part = {"type": "input_text", "text": "When?"}
        item = {"type": "message", "role": "user", "content": [part], "id": "mine"}
        update = {"type": "realtime", "output_modalities": ["text"], "instructions": "Be brief."}
        await session.send({"type": "session.update", "session": update})
        await session.send({"type": "conversation.item.create", "item": item})
        await session.send({"type": "response.create", "response": {"metadata": {"a": "b"}}})
        names = await checked_turn(session)

    assert names[:2] == ["session.created", "session.updated"]
    assert {"response.output_text.delta", "response.content_part.done"} <= {*names}


async def test_a_spoken_turn_and_what_is_done_with_its_items(speech: list[bytes]) -> None:
    async with serve(voice=EchoVoice()) as gateway, connect(gateway.url) as session:
        for chunk in speech:
            await session.send_audio(chunk)
        names = await checked_turn(session)
        assert {"input_audio_buffer.speech_started", "response.output_audio.delta"} <= {*names}

        await session.send({"type": "input_audio_buffer.clear"})
        await session.send({"type": "conversation.item.create", "item": {
            "type": "function_call_output", "call_id": "c", "output": "noon", "id": "noon",
        }})  # fmt: skip
        await session.send({"type": "conversation.item.delete", "item_id": "noon"})
        names = []
        while "conversation.item.deleted" not in names:
            names.append(check((await session.receive()).text))
    assert names[0] == "input_audio_buffer.cleared"


async def test_an_item_that_is_retrieved_and_truncated(speech: list[bytes]) -> None:
    async with serve(voice=EchoVoice()) as gateway, connect(gateway.url) as session:
        await session.send_audio(b"".join(speech))
        ids: list[str] = []
        async for message in session:
            if message.event.type == "conversation.item.added":
                ids.append(message.event.item.id)
            if isinstance(message.event, ResponseDone):
                break
        place = {"item_id": ids[1], "content_index": 0, "audio_end_ms": 100}
        await session.send({"type": "conversation.item.truncate", **place})
        for item_id in ids:
            await session.send({"type": "conversation.item.retrieve", "item_id": item_id})
        names = [check((await session.receive()).text) for _ in range(4)]

    assert names == [
        "rate_limits.updated",
        "conversation.item.truncated",
        *["conversation.item.retrieved"] * 2,
    ]


async def test_a_turn_that_is_refused_and_one_that_is_interrupted(speech: list[bytes]) -> None:
    async with serve(voice=EchoVoice()) as gateway, connect(gateway.url) as session:
        await session.send({"type": "input_audio_buffer.commit"}, strict=False)
        await session.send({"type": "response.cancel"})
        await session.send({"type": "nonsense"}, strict=False)
        names = [check((await session.receive()).text) for _ in range(4)]
        assert names == ["session.created", *["error"] * 3]

        await session.send_audio(b"".join(speech) * 2)
        while names.count("response.done") < 2:
            names.append(check((await session.receive()).text))
    assert names.count("input_audio_buffer.speech_started") == 2


async def test_a_refusal_at_the_door() -> None:
    endpoint_of = partial(Endpoint.parse, path="/v1/realtime", query={"model": MODEL})
    async with serve(key="rsk_right", voice=EchoVoice()) as gateway:
        transport = await connect_websocket(endpoint_of(gateway.url))
        [text] = await transport.receive()
        await transport.abort()

    assert check(str(text)) == "error"
