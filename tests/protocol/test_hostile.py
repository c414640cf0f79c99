"""What a hostile or broken other side may send: each ends in an event or in one kind of error."""

import json
import tracemalloc
from typing import Any

import pytest

from meshrt.errors import LocalProtocolError, RemoteProtocolError
from meshrt.events import (
    Event,
    InputAudioBufferAppend,
    InputAudioBufferCleared,
    ResponseOutputAudioDelta,
    UnknownEvent,
)
from meshrt.protocol import RealtimeProtocol, State, decode, encode

KNOWN = '{"type":"input_audio_buffer.cleared","x":%s}'
IN_TEXT = '{"type":"input_audio_buffer.cleared","event_id":%s}'
IN_MAPPING = '{"type":"conversation.item.added","item":{"type":"x","x":%s}}'
IN_NUMBER = '{"type":"input_audio_buffer.speech_stopped","item_id":"i","audio_end_ms":%s}'
UNKNOWN = '{"type":"never.heard.of","x":%s}'
PLACES = {
    "an unknown field": KNOWN,
    "text": IN_TEXT,
    "a mapping": IN_MAPPING,
    "a number": IN_NUMBER,
    "an unknown event": UNKNOWN,
}
MIB = 2**20

NOT_JSON = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus Infinity": "-Infinity",
    "an open array": "[" * 100_000,
    "an open object": '{"a":' * 100_000,
    "a deep array": "[" * 100_000 + "]" * 100_000,
    "a deep object": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "an escaped high surrogate": r'"\ud800"',
    "an escaped high surrogate before text": r'"\ud800 and more text"',
    "an escaped low surrogate": r'"\udc00 and more text"',
    "two high surrogates": r'"\ud800\ud800 and more text"',
    "a raw surrogate": '"\ud800"',
    "a raw control character": '"\x01"',
    "a bad escape": r'"\q"',
    "a bad unicode escape": r'"\u00zz"',
    "an octal number": "01",
    "a number without digits": "-",
    "a number that ends in its point": "1.",
    "nothing": "",
    "a comma": "1,",
    "a comment": "1 /* one */",
    "single quotes": "'x'",
    "a python word": "None",
}
NOT_AN_OBJECT = {
    "empty": "",
    "white space": " \n",
    "an array": '[{"type":"error"}]',
    "text": '"error"',
    "a number": "1",
    "null": "null",
    "true": "true",
    "an object without a type": "{}",
    "a type that is null": '{"type":null}',
    "a type that is a number": '{"type":1}',
    "a type that is an object": '{"type":{"type":"error"}}',
    "a type that is a number first": '{"type":1,"type":"never.heard.of"}',
    "a byte order mark": '\ufeff{"type":"never.heard.of"}',
    "trailing text": '{"type":"never.heard.of"} x',
    "two objects": '{"type":"never.heard.of"}{"type":"never.heard.of"}',
    "a trailing NUL": '{"type":"never.heard.of"}\0',
    "half an object": '{"type":"never.heard.of"',
}
NOT_UTF8 = {
    "in a type": b'{"type":"error\xff"}',
    "in a known field": b'{"type":"input_audio_buffer.cleared","event_id":"\xff"}',
    "in an unknown field": b'{"type":"input_audio_buffer.cleared","x":"\xff"}',
    "in a key": b'{"type":"input_audio_buffer.cleared","\xff":1}',
    "in an unknown event": b'{"type":"never.heard.of","x":"\xff"}',
    "as UTF-16": '{"type":"never.heard.of"}'.encode("utf-16"),
    "as a byte order mark": b'\xef\xbb\xbf{"type":"never.heard.of"}',
    "as an encoded surrogate": b'{"type":"never.heard.of","x":"\xed\xa0\x80"}',
    "as an overlong slash": b'{"type":"never.heard.of","x":"\xc0\xaf"}',
}


def refused(text: str | bytes) -> RemoteProtocolError:
    """Decode what must not be one, and return the error."""
    with pytest.raises(RemoteProtocolError) as info:
        decode(text)
    error = info.value
    assert error.close_code == 1007
    assert error.__cause__ is None
    assert len(str(error)) < 500
    return error


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_a_violation_wherever_it_is(place: str, value: str) -> None:
    refused(place.replace("%s", value))


@pytest.mark.parametrize("text", NOT_AN_OBJECT.values(), ids=NOT_AN_OBJECT)
def test_what_is_not_an_object_with_a_type_is_a_violation(text: str) -> None:
    refused(text)
    refused(text.encode())


@pytest.mark.parametrize("data", NOT_UTF8.values(), ids=NOT_UTF8)
def test_bytes_that_are_not_utf_8_are_a_violation(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("number", ["1" * 1_000_000, "-" + "9" * 1_000_000, "1e999", "-1e999"])
def test_a_number_beyond_python_is_a_violation_or_in_a_field_that_nobody_reads(
    place: str, number: str
) -> None:
    text = place.replace("%s", number)
    if place is KNOWN:
        assert decode(text) == InputAudioBufferCleared()
    else:
        refused(text)


@pytest.mark.parametrize("place", [KNOWN, IN_MAPPING, UNKNOWN])
def test_an_integer_beyond_64_bits_is_kept_to_the_digit(place: str) -> None:
    text = place.replace("%s", "1" * 40)
    assert decode(text).data == json.loads(text)


def nested(place: str, depth: int) -> str:
    """Return a text in which that many arrays and objects are inside one another."""
    depth -= place.count("{")
    return place.replace("%s", '[{"]":"[{"},' * (depth - 1) + "[]" + "]" * (depth - 1))


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_hundred_levels_are_read_and_no_more_wherever_they_are(place: str) -> None:
    for depth in (2, 99, 100):
        event = decode(nested(place, depth))
        assert decode(encode(event)) == event
        assert event.data == json.loads(nested(place, depth))
    for depth in (101, 102, 300, 1000, 50_000):
        refused(nested(place, depth))


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_brackets_are_counted_where_they_are_brackets(place: str) -> None:
    for text in (
        json.dumps("[{" * 200),
        json.dumps('"' + "\\" * 3 + "[" * 200),
        "[" + "{}," * 200 + "[]]",
    ):
        event = decode(place.replace("%s", text))
        assert event.data == json.loads(place.replace("%s", text))


def test_audio_with_something_deep_beside_it_is_read_as_all_else() -> None:
    place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    event = ResponseOutputAudioDelta(delta=b"\0\0", **place)  # type: ignore[arg-type]
    text = encode(event)[:-1] + ',"x":%s}'
    assert decode(text.replace("%s", "[" * 99 + "]" * 99)) == event
    refused(text.replace("%s", "[" * 100 + "]" * 100))


@pytest.mark.parametrize("place", [KNOWN, IN_MAPPING, UNKNOWN])
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_that_is_read_is_sent_again(place: str, sign: str) -> None:
    for digits in (4250, 4300):
        text = place.replace("%s", (sign + "9" * digits)[:4300])
        event = decode(text)
        assert decode(encode(event)) == event
        assert event.data == json.loads(text)
    with pytest.raises(LocalProtocolError, match="has more digits than any server reads"):
        encode({"type": "x", "x": 10**4300})


def test_of_a_name_that_is_there_twice_the_last_value_counts() -> None:
    assert decode('{"type":"error","type":"input_audio_buffer.cleared"}').type == (
        "input_audio_buffer.cleared"
    )
    event = decode('{"type":"input_audio_buffer.cleared","event_id":"a","event_id":"b"}')
    assert event == InputAudioBufferCleared(event_id="b")
    assert event.data == {"type": "input_audio_buffer.cleared", "event_id": "b"}
    text = '{"type":"conversation.item.added","item":{"type":"message","type":"x"},"item":{}}'
    assert getattr(decode(text), "item", None) == {}


def test_an_escaped_type_is_the_type() -> None:
    event = decode('{"\\u0074ype":"input_audio_buffer\\u002ecleared"}')
    assert event == InputAudioBufferCleared()


def test_an_escaped_pair_of_surrogates_is_one_character() -> None:
    for place in (KNOWN, IN_TEXT, IN_MAPPING, UNKNOWN):
        text = place.replace("%s", r'"\ud83d\ude00"')
        assert decode(text).data == json.loads(text)
        assert decode(encode(decode(text))) == decode(text)


# A guard against hangs and runaway copies, no measurement: twenty times the text is far too much.
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_text_of_16_mib_costs_a_few_times_its_size(place: str) -> None:
    text = place.replace("%s", '"' + "A" * 16 * MIB + '"')
    tracemalloc.start()
    try:
        event = decode(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(event, Event | UnknownEvent)
    assert peak < 20 * 16 * MIB


def test_audio_of_12_mib_is_decoded_whole() -> None:
    event = decode('{"type":"input_audio_buffer.append","audio":"' + "A" * 16 * MIB + '"}')
    assert event == InputAudioBufferAppend(audio=bytes(12 * MIB))
    assert len(repr(event)) < 100


def test_a_million_small_values_are_read() -> None:
    event = decode(UNKNOWN.replace("%s", "[" + "{}," * 999_999 + "{}]"))
    assert len(event.data["x"]) == 1_000_000


IN_BYTES = [bytes, bytearray, memoryview]


@pytest.mark.parametrize("kind", IN_BYTES)
def test_whatever_holds_bytes_is_read_as_bytes(kind: Any) -> None:
    text = UNKNOWN.replace("%s", '"é"')
    assert decode(kind(text.encode())) == decode(text)
    assert decode(memoryview(b"".join(bytes([b, 0]) for b in text.encode()))[::2]) == decode(text)
    for data in (b"[]", b"\xff", b""):
        refused(kind(data))


@pytest.mark.parametrize("kind", IN_BYTES)
def test_whatever_holds_bytes_is_a_binary_message(kind: Any) -> None:
    data = kind(UNKNOWN.replace("%s", "1").encode())
    client, server = RealtimeProtocol("client"), RealtimeProtocol("server")
    with pytest.raises(RemoteProtocolError, match="sent a binary message") as info:
        client.receive_text(data)
    assert (info.value.close_code, client.state) == (1003, State.FAILED)
    server.receive_text(data)
    (answer,) = map(decode, server.to_send())
    assert answer.data["error"]["code"] == "invalid_event"


def test_a_class_of_text_is_text() -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    text = Text(KNOWN.replace("%s", "1"))
    assert decode(text).data == json.loads(KNOWN.replace("%s", "1"))
    client = RealtimeProtocol("client")
    client.receive_text(text)
    assert client.events() == [InputAudioBufferCleared()]


@pytest.mark.parametrize(
    "text", [*NOT_JSON.values(), *NOT_AN_OBJECT.values()], ids=[*NOT_JSON, *NOT_AN_OBJECT]
)
def test_a_client_fails_and_says_with_which_code_to_close(text: str) -> None:
    protocol = RealtimeProtocol("client")
    text = UNKNOWN.replace("%s", text) if text in NOT_JSON.values() else text
    with pytest.raises(RemoteProtocolError) as info:
        protocol.receive_text(text)
    assert info.value.close_code == 1007
    assert protocol.state is State.FAILED
    assert protocol.events() == []


@pytest.mark.parametrize("text", NOT_AN_OBJECT.values(), ids=NOT_AN_OBJECT)
def test_a_server_objects_and_goes_on(text: str) -> None:
    protocol = RealtimeProtocol("server")
    protocol.receive_text(text)
    (answer,) = map(decode, protocol.to_send())
    assert answer.data["error"]["code"] == "invalid_json"
    assert protocol.state is State.CONNECTING
    protocol.receive_text('{"type":"input_audio_buffer.clear"}')
    assert [event.type for event in protocol.events()] == ["input_audio_buffer.clear"]
