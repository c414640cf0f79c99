"""After an interruption the server is told what was heard, and nothing that it would refuse."""

import math
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, strategies as st

from meshrt.events import (
    UNSET,
    AssistantMessage,
    ConversationItemAdded,
    ConversationItemDone,
    ConversationItemTruncate,
    ConversationItemTruncated,
    InputAudio,
    Response,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    UserMessage,
)
from meshrt.protocol import AnyEvent, Conversation, truncations

BYTES_PER_MS = 48


def spoken(
    item_id: str, ms: float, *, index: int = 0, response_id: str = "r", whole: bool = True
) -> list[AnyEvent]:
    """An item of the model's with this much audio, received and played in order."""
    delta = ResponseOutputAudioDelta(
        response_id=response_id,
        item_id=item_id,
        output_index=0,
        content_index=index,
        delta=bytes(round(ms * BYTES_PER_MS)),
    )
    item = AssistantMessage(id=item_id, content=[])
    end = [ConversationItemDone(item=item)] if whole else []
    return [ConversationItemAdded(item=item), *([delta] if ms else []), *end]


def heard(item_id: str) -> list[AnyEvent]:
    return [ConversationItemAdded(item=UserMessage(id=item_id, content=[InputAudio()]))]


def cut(item_id: str, ms: int) -> list[AnyEvent]:
    return [ConversationItemTruncated(item_id=item_id, content_index=0, audio_end_ms=ms)]


def after(*events: list[AnyEvent]) -> Conversation:
    conversation = Conversation()
    conversation.apply(ResponseCreated(response=Response(id="r")))
    for event in chain.from_iterable(events):
        conversation.apply(event)
    return conversation


def cuts(conversation: Conversation, item_id: str, heard_ms: float) -> list[tuple[str, int, int]]:
    events = truncations(conversation, item_id, heard_ms)
    assert all(type(event) is ConversationItemTruncate for event in events)
    assert all(event.event_id is UNSET for event in events)
    return [(event.item_id, event.content_index, event.audio_end_ms) for event in events]


@pytest.mark.parametrize(
    ("heard_ms", "expected"),
    [
        (0, [0]),
        (-5, [0]),
        (-math.inf, [0]),
        (0.9, [0]),
        (1, [1]),
        (499.99, [499]),
        (999, [999]),
        (999.9, [999]),
        (1000, []),
        (1000.4, []),
        (5000, []),
        (math.inf, []),
        (math.nan, []),
    ],
)
def test_an_item_is_cut_to_what_was_heard_never_beyond_what_came(
    heard_ms: float, expected: list[int]
) -> None:
    found = cuts(after(spoken("i", 1000)), "i", heard_ms)
    assert [ms for _, _, ms in found] == expected


@pytest.mark.parametrize("heard_ms", [1000, 1000.4, 5000, math.inf])
def test_an_item_that_still_grows_is_cut_to_all_that_came(heard_ms: float) -> None:
    conversation = after(spoken("i", 1000.5, whole=False))
    assert cuts(conversation, "i", heard_ms) == [("i", 0, 1000)]
    conversation.apply(cut("i", 1000)[0])
    assert cuts(conversation, "i", heard_ms) == []
    for nothing in (0, 0.5):
        assert cuts(after(spoken("i", nothing, whole=False)), "i", heard_ms) == []


@pytest.mark.parametrize("response_id", ["r", "never begun"])
def test_an_item_grows_until_it_or_its_response_is_done(response_id: str) -> None:
    conversation = after(spoken("i", 100, whole=False, response_id=response_id))
    assert cuts(conversation, "i", 100) == [("i", 0, 100)]
    conversation.apply(ResponseDone(response=Response(id=response_id, status="completed")))
    assert cuts(conversation, "i", 100) == []


def test_half_a_millisecond_at_the_end_is_nothing_to_cut() -> None:
    assert cuts(after(spoken("i", 10.5)), "i", 10.2) == []
    assert cuts(after(spoken("i", 0.5)), "i", 0) == []
    assert cuts(after(spoken("i", 1)), "i", 0) == [("i", 0, 0)]
    assert cuts(after(spoken("i", 10.5)), "i", 9.9) == [("i", 0, 9)]


def test_the_items_behind_it_were_not_heard_at_all() -> None:
    conversation = after(
        heard("u"), spoken("a", 100), spoken("b", 200), heard("v"), spoken("c", 300),
        spoken("text", 0), spoken("d", 400, index=2),
    )  # fmt: skip
    assert cuts(conversation, "b", 50) == [("b", 0, 50), ("c", 0, 0), ("d", 2, 0)]
    assert cuts(conversation, "d", 400) == []
    assert cuts(conversation, "a", 100) == [("b", 0, 0), ("c", 0, 0), ("d", 2, 0)]


@pytest.mark.parametrize("item_id", ["u", "text"])
def test_an_item_without_audio_is_left_alone(item_id: str) -> None:
    conversation = after(heard("u"), spoken("text", 0))
    assert cuts(conversation, item_id, 0) == []


def test_where_there_is_no_such_item_there_is_nothing_to_cut() -> None:
    assert cuts(after(), "i", 0) == []
    assert cuts(after(spoken("i", 100)), "j", 0) == []


@pytest.mark.parametrize(("heard_ms", "expected"), [(200, []), (300, []), (100, [("i", 0, 100)])])
def test_what_was_cut_already_is_cut_only_further(heard_ms: float, expected: Any) -> None:
    assert cuts(after(spoken("i", 1000), cut("i", 200)), "i", heard_ms) == expected


def test_a_cut_beyond_the_end_counts_as_none() -> None:
    assert cuts(after(spoken("i", 100), cut("i", 900)), "i", 100) == []


def test_an_item_of_a_response_that_is_over_is_cut_as_well() -> None:
    over: list[AnyEvent] = [ResponseDone(response=Response(id="r", status="completed"))]
    assert cuts(after(spoken("i", 100), over), "i", 10) == [("i", 0, 10)]


@given(st.lists(st.integers(0, 500), max_size=5), st.data())
def test_what_is_told_can_be_true_and_telling_it_once_is_enough(
    lengths: list[int], data: st.DataObject
) -> None:
    whole = data.draw(st.booleans())
    spoken_ = (spoken(str(n), ms, whole=whole) for n, ms in enumerate(lengths))
    conversation = after(*spoken_)
    item_id = data.draw(st.sampled_from([str(n) for n in range(len(lengths))] or ["none"]))
    heard_ms = data.draw(st.floats(-10, 600))
    found = truncations(conversation, item_id, heard_ms)
    for event in found:
        item = conversation.item(event.item_id)
        assert item is not None
        assert 0 <= event.audio_end_ms <= item.audio_ms - whole
        assert event.audio_end_ms <= max(heard_ms, 0)
    for event in found:
        conversation.apply(cut(event.item_id, event.audio_end_ms)[0])
    assert truncations(conversation, item_id, heard_ms) == []
