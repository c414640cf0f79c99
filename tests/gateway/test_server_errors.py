"""What a client may do wrong: it is told, and the session goes on."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from meshrt.events import CLIENT_EVENTS
from meshrt.gateway import serve

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

NO_JSON = {
    "words": "hello",
    "nothing": "",
    "half": '{"type": "response.create"',
    "an_array": '["response.create"]',
    "a_number": "17",
    "null": "null",
    "no_type": '{"event_id": "mine"}',
    "type_is_no_text": '{"type": 7}',
    "a_lone_surrogate": '{"type": "\\ud800"}',
    "deep": "[" * 100_000,
    "deep_in_an_event": '{"type": "session.update", "session": '
    + '{"a": ' * 120
    + "0"
    + "}" * 121,
}
MALFORMED = {
    "no_audio": ({"type": "input_audio_buffer.append"}, "audio"),
    "audio_is_no_text": ({"type": "input_audio_buffer.append", "audio": 7}, "audio"),
    "audio_is_no_base64": ({"type": "input_audio_buffer.append", "audio": "%%%"}, "audio"),
    "half_a_sample": ({"type": "input_audio_buffer.append", "audio": "YWJj"}, "audio"),
    "no_item": ({"type": "conversation.item.create"}, "item"),
    "no_item_id": ({"type": "conversation.item.delete"}, "item_id"),
    "response_is_no_object": ({"type": "response.create", "response": 7}, "response"),
    "no_session": ({"type": "session.update"}, "session"),
    "session_is_no_object": ({"type": "session.update", "session": "x"}, "session"),
    "a_field_of_a_field": (
        {"type": "session.update", "session": {"type": "realtime", "audio": {"input": 7}}},
        "session.audio.input",
    ),
}


SERVED = {
    "session.update": {"session": {"type": "realtime"}},
    "input_audio_buffer.append": {"audio": "AAA="},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.clear": {},
    "conversation.item.create": {"item": {"type": "message", "role": "user", "content": []}},
    "conversation.item.delete": {"item_id": "x"},
    "conversation.item.retrieve": {"item_id": "x"},
    "conversation.item.truncate": {"item_id": "x", "content_index": 0, "audio_end_ms": 0},
    "response.create": {},
    "response.cancel": {},
}


async def goes_on(wire: Any) -> bool:
    await wire.say({"type": "input_audio_buffer.clear"})
    return bool((await wire.hear())["type"] == "input_audio_buffer.cleared")


@pytest.mark.parametrize("text", NO_JSON.values(), ids=NO_JSON)
async def test_text_that_is_no_event_is_answered(talk: Talk, text: str) -> None:
    async with talk() as wire:
        await wire.say(text)

        error = await wire.error()
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_json")
        assert await goes_on(wire)


async def test_a_binary_message_is_answered(talk: Talk) -> None:
    async with talk() as wire:
        await wire.say(b"\x00\x01")

        assert (await wire.error())["code"] == "invalid_event"
        assert await goes_on(wire)


async def test_an_event_of_an_unknown_type_is_told_the_known_ones(talk: Talk) -> None:
    async with talk() as wire:
        await wire.say({"type": "response.stop", "event_id": "mine"})

        error = await wire.error()
        assert (error["param"], error["event_id"]) == ("type", "mine")
        assert error["message"].startswith("Invalid value: 'response.stop'.")
        assert all(f"'{name}'" in error["message"] for name in SERVED)
        assert await goes_on(wire)


@pytest.mark.parametrize("wire_name", sorted({*CLIENT_EVENTS} - {*SERVED}))
async def test_an_event_for_another_kind_of_session_is_told_those_for_this_one(
    talk: Talk, wire_name: str
) -> None:
    async with talk() as wire:
        await wire.say({"type": wire_name, "audio": "AAA="})

        error = await wire.error()
        assert error["message"].startswith(f"Invalid value: '{wire_name}'.")
        assert await goes_on(wire)


async def test_an_event_of_the_server_is_not_taken_from_a_client(talk: Talk) -> None:
    async with talk() as wire:
        await wire.say({"type": "session.created", "session": {"type": "realtime"}})

        assert (await wire.error())["message"].startswith("Invalid value: 'session.created'.")
        assert await goes_on(wire)


@pytest.mark.parametrize(("event", "param"), MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_event_is_told_its_field(talk: Talk, event: Json, param: str) -> None:
    async with talk() as wire:
        await wire.say({**event, "event_id": "mine"})

        error = await wire.error()
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_value")
        # A field that is missing is named in the sentence, as the real server does.
        assert param in (error["param"], error["message"].partition("`")[2].partition("`")[0])
        assert error["event_id"] == "mine"
        assert await goes_on(wire)


@pytest.mark.parametrize("wire_name", SERVED)
async def test_every_event_is_answered_except_an_append(talk: Talk, wire_name: str) -> None:
    async with talk() as wire:
        await wire.say({"type": wire_name, **SERVED[wire_name]}, "the end")
        events = await wire.until("error")
        while events[-1]["error"]["code"] != "invalid_json":
            events += await wire.until("error")

        assert (len(events) == 1) is (wire_name == "input_audio_buffer.append")


FORBIDDEN = {
    "unmasked": (b"\x81\x02hi", 1002),
    "reserved_bits": (b"\xf1\x80\0\0\0\0", 1002),
    "too_large": (b"\x81\xff" + (2**30).to_bytes(8, "big") + b"\0\0\0\0", 1009),
    "no_utf8": (b"\x81\x81\0\0\0\0\xff", 1007),
}


@pytest.mark.parametrize(("frame", "code"), FORBIDDEN.values(), ids=FORBIDDEN)
async def test_a_client_that_breaks_the_websocket_is_closed_and_the_others_are_not(
    dial: Talk, frame: bytes, code: int
) -> None:
    async with serve() as gateway, dial(gateway) as other:
        async with dial(gateway) as wire:
            await wire.transport._stream.send(frame)
            _, closed, _ = await wire.end()

        assert closed == code
        assert (await other.hear())["type"] == "session.created"
        assert await goes_on(other)


async def test_a_ping_is_answered_while_a_response_runs(talk: Talk, thinker: Any) -> None:
    async with talk(model=thinker) as wire:
        await wire.say({"type": "response.create"})
        await wire.until("response.created")
        stream = wire.transport._stream
        await stream.send(Frame(Opcode.PING, b"still there?").serialize(mask=True))

        assert await stream.receive() == Frame(Opcode.PONG, b"still there?").serialize(mask=False)


async def test_the_largest_append_is_taken(talk: Talk, update: Callable[..., Json]) -> None:
    async with talk() as wire:
        text = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * (5 * 2**20)})
        await wire.say(update(turn_detection=None), text, {"type": "input_audio_buffer.commit"})
        await wire.until("input_audio_buffer.committed")

        assert len(text) > 20 * 2**20
