"""From event to text: what is not JSON is refused with its place, the rest goes out as it is."""

import copy
import enum
import json
import math
from collections import ChainMap, OrderedDict, deque, namedtuple
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, strategies as st

from meshrt.errors import LocalProtocolError
from meshrt.events import (
    FunctionTool,
    InputAudioBufferAppend,
    RealtimeSessionConfig,
    ResponseCancel,
    ResponseCreate,
    ResponseParams,
    ServerVad,
    SessionUpdate,
    UnknownEvent,
)
from meshrt.protocol import decode, encode
from tests.strategies import json_values, names, objects, texts

MAX_DEPTH = 100

NOT_JSON: dict[str, tuple[Any, str]] = {
    "NaN": (math.nan, "nan at $.x is not a JSON number"),
    "infinity": (math.inf, "inf at $.x is not a JSON number"),
    "minus infinity": (-math.inf, "-inf at $.x is not a JSON number"),
    "bytes": (b"", "bytes at $.x is not JSON"),
    "bytearray": (bytearray(), "bytearray at $.x is not JSON"),
    "a set": ({1}, "set at $.x is not JSON"),
    "an object": (object(), "object at $.x is not JSON"),
    "a deque": (deque([1]), "deque at $.x is not JSON"),
    "a generator": ((x for x in [1]), "generator at $.x is not JSON"),
    "a complex number": (1j, "complex at $.x is not JSON"),
    "a decimal": (Decimal(1), "Decimal at $.x is not JSON"),
    "a date": (datetime(2026, 1, 1, tzinfo=UTC), "datetime at $.x is not JSON"),
    "a typed value in a mapping": (ServerVad(), "ServerVad at $.x is not JSON"),
    "a tuple as a key": ({(1, 2): 1}, "a key at $.x is tuple and not text"),
    "a number as a key": ({1: 1}, "a key at $.x is int and not text"),
    "null as a key": ({None: 1}, "a key at $.x is NoneType and not text"),
    "bytes as a key": ({b"a": 1}, "a key at $.x is bytes and not text"),
    "a lone surrogate": ("a\ud800", "the text at $.x holds a lone surrogate"),
    "a low surrogate": ("\udfff", "the text at $.x holds a lone surrogate"),
    "a lone surrogate as a key": ({"\udc80": 1}, "the text at $.x holds a lone surrogate"),
    "more digits than Python writes": (10**5000, "the integer at $.x has more digits"),
    "fewer digits than Python writes": (-(10**5000), "the integer at $.x has more digits"),
}
DEEPER: dict[str, tuple[Callable[[Any], Any], str]] = {
    "in an object": (lambda value: {"a": 1, "b": value}, "$.x.b"),
    "in an array": (lambda value: [1, {}, value], "$.x[2]"),
    "in a tuple": (lambda value: (value,), "$.x[0]"),
    "in a read-only mapping": (lambda value: MappingProxyType({"é": [value]}), "$.x.é[0]"),
}


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Fraction(float):
    pass


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")  # noqa: PYI024  the untyped kind is JSON as well

AS_JSON: dict[str, tuple[Any, Any]] = {
    "a kind of text": (Text("a"), "a"),
    "a kind of text as a key": ({Text("a"): 1}, {"a": 1}),
    "a kind of integer": (Whole(1), 1),
    "a kind of float": (Fraction(0.5), 0.5),  # such as NumPy's
    "an enumeration of texts": (Colour.RED, "red"),
    "an enumeration of integers": ({Colour.RED: Level.HIGH}, {"red": 3}),
    "a tuple": ((1, (2,)), [1, [2]]),
    "a named tuple": (Point(1, 2), [1, 2]),
    "a read-only mapping": (MappingProxyType({"a": MappingProxyType({})}), {"a": {}}),
    "an ordered mapping": (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "layered mappings": (ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
    "an integer beyond 64 bits": (2**70, 2**70),
    "text beyond the basic plane": ("\U0001f600\x00\u2028", "\U0001f600\x00\u2028"),
}


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(("value", "problem"), NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused_with_its_place(value: Any, problem: str) -> None:
    with pytest.raises(LocalProtocolError) as info:
        encode({"type": "some.event", "x": value})
    assert str(info.value).startswith("this some.event can't be sent: ")
    assert problem in str(info.value)
    for wrap, path in DEEPER.values():
        with pytest.raises(LocalProtocolError) as info:
            encode({"type": "some.event", "x": wrap(value)})
        assert problem.replace("$.x", path) in str(info.value)


@pytest.mark.parametrize("key", [1, None, (1,), b"type", 1.5, True])
def test_a_key_that_is_not_text_is_refused_at_the_top_too(key: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"a key at \$ is"):
        encode({"type": "some.event", key: 1})


def test_what_is_not_json_is_refused_inside_a_typed_event_as_well() -> None:
    tool = FunctionTool(name="f", parameters={"properties": {"a": {1, 2}}})
    with pytest.raises(LocalProtocolError) as info:
        encode(SessionUpdate(session=RealtimeSessionConfig(tools=[tool])))
    assert "set at $.session.tools[0].parameters.properties.a is not JSON" in str(info.value)
    with pytest.raises(LocalProtocolError, match=r"nan at \$\.response\.metadata\.a"):
        encode(ResponseCreate(response=ResponseParams(metadata={"a": math.nan})))


def test_nesting_is_allowed_down_to_a_hundred_levels() -> None:
    encode({"type": "x", "x": nested(MAX_DEPTH - 1)})
    for depth in (MAX_DEPTH, MAX_DEPTH + 1, MAX_DEPTH + 500, 100_000):
        with pytest.raises(LocalProtocolError, match="nested deeper than 100 levels"):
            encode({"type": "x", "x": nested(depth)})


def test_a_mapping_or_a_list_in_itself_is_refused() -> None:
    mapping: dict[str, Any] = {"type": "x"}
    mapping["self"] = mapping
    array: list[Any] = []
    array.append(array)
    for event in (mapping, {"type": "x", "x": array}):
        with pytest.raises(LocalProtocolError, match="nested deeper than 100 levels") as info:
            encode(event)
        assert len(str(info.value)) < 300


@pytest.mark.parametrize(
    "event",
    [
        None,
        "response.create",
        b"",
        3,
        [],
        {"type"},
        pytest.param(object(), id="an object"),
        ResponseCreate,
        UnknownEvent(type="x", data=None),  # type: ignore[arg-type]
        {},
        {"type": None},
        {"type": 3},
        {"type": b"response.create"},
        {"type": ""},
        {"Type": "response.create"},
        UnknownEvent(type="x", data={}),
    ],
    ids=repr,
)
def test_what_is_no_event_is_refused_with_what_one_is(event: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"a class of meshrt\.events"):
        encode(event)


@pytest.mark.parametrize(("value", "seen"), AS_JSON.values(), ids=AS_JSON)
def test_what_is_json_by_another_name_goes_out_as_json(value: Any, seen: Any) -> None:
    assert json.loads(encode({"type": "x", "x": value})) == {"type": "x", "x": seen}
    assert decode(encode({"type": "x", "x": [value]})).data == {"type": "x", "x": [seen]}


def test_bytes_of_any_kind_in_a_typed_event_become_base64() -> None:
    every_second = memoryview(b"\1\2\3\4")[::2]
    for audio in (b"\1\3", bytearray(b"\1\3"), memoryview(b"\1\3"), every_second):
        event = InputAudioBufferAppend(audio=audio)  # type: ignore[arg-type]
        assert json.loads(encode(event))["audio"] == "AQM="


def test_a_tuple_in_a_typed_event_is_an_array() -> None:
    event = SessionUpdate(session=RealtimeSessionConfig(output_modalities=("text",)))
    assert json.loads(encode(event))["session"]["output_modalities"] == ["text"]


def test_of_a_typed_event_null_is_written_and_what_is_unset_is_not() -> None:
    session = RealtimeSessionConfig(audio=None, tracing=None)
    assert json.loads(encode(SessionUpdate(session=session))) == {
        "type": "session.update",
        "session": {"type": "realtime", "audio": None, "tracing": None},
    }


def test_bytes_where_there_is_no_audio_are_not_taken_for_it() -> None:
    with pytest.raises(LocalProtocolError, match=r"bytes at \$\.response_id is not JSON"):
        encode(ResponseCancel(response_id=b"r"))  # type: ignore[arg-type]
    session = RealtimeSessionConfig(include=[b"x"])  # type: ignore[list-item]
    with pytest.raises(LocalProtocolError, match=r"bytes at \$\.session\.include\[0\]"):
        encode(SessionUpdate(session=session))


@given(names.filter(bool), st.dictionaries(texts, json_values, max_size=4))
def test_a_mapping_is_written_as_it_is_and_stays_as_it_was(
    wire_name: str, fields: dict[str, Any]
) -> None:
    mapping = {**fields, "type": wire_name}
    before = copy.deepcopy(mapping)
    text = encode(MappingProxyType(mapping))
    assert json.loads(text) == before
    assert list(json.loads(text)) == list(before)
    assert mapping == before
    assert encode(UnknownEvent(type=wire_name, data=mapping)) == text


@given(objects)
def test_encode_says_so_whenever_there_is_no_type(mapping: dict[str, Any]) -> None:
    if isinstance(mapping.get("type"), str) and mapping["type"]:
        assert json.loads(encode(mapping)) == mapping
    else:
        with pytest.raises(LocalProtocolError, match="has no `type`"):
            encode(mapping)
