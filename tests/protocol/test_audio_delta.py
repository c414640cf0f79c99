"""The short way of audio deltas gives what the general way gives, on every input."""

import json
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from meshrt.errors import RemoteProtocolError
from meshrt.events import ResponseOutputAudioDelta
from meshrt.protocol import AnyEvent, decode
from meshrt.protocol._audio_delta import read_audio_delta
from meshrt.protocol._codec import read_event

GA = "response.output_audio.delta"
PLACE = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}

base64s = st.sampled_from(["AAAA", "", "*", "AAA", "AAAAAAAA", "//79", "AA==", "a\nb=", "é", "\\"])
values: st.SearchStrategy[Any] = st.one_of(
    base64s,
    st.sampled_from([None, 0, True, '"delta":"AAAA"', "delta", [], {"delta": "AAAA"}, GA]),
    st.fixed_dictionaries({}, optional={"delta": base64s, "type": st.just(GA), "x": base64s}),
)
keys = st.sampled_from(["delta", "type", "x", "event_id", "response_id", "d\\u0065lta", "délta"])
pairs = st.lists(st.tuples(keys, values), max_size=6)


def written(members: list[tuple[str, Any]]) -> str:
    """Write an object as it stands, keys that come twice or hold escapes included."""
    return "{" + ",".join(f'"{key}":{json.dumps(value)}' for key, value in members) + "}"


def general(text: str) -> AnyEvent | str:
    """Decode in the general way."""
    try:
        return read_event(text)
    except RemoteProtocolError:
        return "refused"


def usual(text: str) -> AnyEvent | str:
    try:
        return decode(text)
    except RemoteProtocolError:
        return "refused"


def event(**changes: Any) -> dict[str, Any]:
    return {"type": GA, **PLACE, "delta": "AAEC", **changes}


@given(pairs, pairs, st.sampled_from([GA, "response.audio.delta", "session.created", "x"]))
def test_the_short_way_is_the_general_one_on_hostile_objects(
    before: list[tuple[str, Any]], after: list[tuple[str, Any]], name: str
) -> None:
    text = written([("type", name), *before, *PLACE.items(), ("delta", "AAEC"), *after])
    assert usual(text) == general(text)


@given(st.binary(max_size=200), st.data())
def test_the_short_way_is_the_general_one_on_damaged_text(
    audio: bytes, data: st.DataObject
) -> None:
    text = json.dumps(event(delta=audio.hex()))
    place = data.draw(st.integers(0, len(text) - 1))
    sign = data.draw(st.sampled_from(['"', "\\", "{", "}", ",", ":", "\0", "é", "\ud800", "A"]))
    damaged = text[:place] + sign + text[place + data.draw(st.integers(0, 3)) :]
    assert usual(damaged) == general(damaged)


@given(st.text(max_size=80))
@example("\\/")
def test_the_short_way_is_the_general_one_on_any_delta(delta: str) -> None:
    text = json.dumps(event(delta=delta))
    assert usual(text) == general(text)
    escaped = text.replace("/", "\\/")
    assert usual(escaped) == general(escaped)


@pytest.mark.parametrize("name", [GA, "response.audio.delta"])
def test_an_ordinary_audio_delta_takes_the_short_way(name: str) -> None:
    text = json.dumps(event(type=name))
    assert read_audio_delta(text.replace(" ", "")) == read_audio_delta(text)
    assert read_audio_delta(text) == ResponseOutputAudioDelta(**PLACE, delta=b"\0\1\2")


@pytest.mark.parametrize(
    "text",
    [
        written([("type", GA), ("x", {"delta": "AAEC"}), *PLACE.items(), ("delta", "AAAA")]),
        written([("type", GA), ("x", {"delta": "AAEC"}), *PLACE.items(), ("d\\u0065lta", "AAAA")]),
        written([("type", GA), *PLACE.items(), ("delta", "AAEC"), ("delta", "AAAA")]),
        written([("type", GA), *PLACE.items()]),
        written([("type", GA), *PLACE.items(), ("delta", 3)]),
        f'{{"type":"{GA}","delta":"',
        '{"x":"audio.delta","type":"response.done"}',
    ],
)
def test_what_is_unusual_is_left_to_the_general_way(text: str) -> None:
    assert read_audio_delta(text) is None
    assert usual(text) == general(text)
