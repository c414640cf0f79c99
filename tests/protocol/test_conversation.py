"""A conversation is what its events say, in every order in which the wire may say it."""

import json
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from time import perf_counter
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from meshrt.events import (
    UNSET,
    AssistantMessage,
    AudioConfig,
    AudioInput,
    AudioOutput,
    AudioPart,
    AudioPCM,
    AudioPCMA,
    AudioPCMU,
    CachedTokensDetails,
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted as Heard,
    ConversationItemInputAudioTranscriptionDelta as HeardDelta,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    FunctionCall,
    InputAudio,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    InputImage,
    InputTokenDetails,
    OutputAudio,
    OutputText,
    OutputTokenDetails,
    RateLimit,
    RateLimitsUpdated,
    RealtimeSessionConfig,
    Response,
    ResponseContentPartDone,
    ResponseCreated,
    ResponseDone,
    ResponseFailure,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    SessionCreated,
    SessionUpdated,
    StatusDetails,
    TextPart,
    TranscriptionDurationUsage,
    TranscriptionTokensUsage,
    UnknownEvent,
    Usage,
    UserMessage,
)
from meshrt.protocol import AnyEvent, Conversation, ItemRecord, UsageTotals, decode, encode
from tests.strategies import json_values, server_events, unknown_events

SECOND = bytes(48_000)  # of PCM16 at 24 kHz


def after(*events: AnyEvent, keep_audio: bool = False) -> Conversation:
    conversation = Conversation(keep_audio=keep_audio)
    for event in events:
        conversation.apply(event)
    return conversation


def user(item_id: Any = "u", transcript: Any = None) -> UserMessage:
    return UserMessage(id=item_id, content=[InputAudio(transcript=transcript)])


def spoken(item_id: str = "i", transcript: Any = UNSET) -> AssistantMessage:
    content = [] if transcript is UNSET else [OutputAudio(transcript=transcript)]
    return AssistantMessage(id=item_id, content=content)


def added(item_id: str, previous: Any = UNSET) -> ConversationItemAdded:
    return ConversationItemAdded(item=user(item_id), previous_item_id=previous)


def done(item: Any, previous: Any = UNSET) -> ConversationItemDone:
    return ConversationItemDone(item=item, previous_item_id=previous)


def created(response_id: Any = "r", **fields: Any) -> ResponseCreated:
    return ResponseCreated(response=Response(id=response_id, status="in_progress", **fields))


def ended(response_id: Any = "r", status: Any = "completed", **fields: Any) -> ResponseDone:
    return ResponseDone(response=Response(id=response_id, status=status, **fields))


def opened(item_id: str = "i", response_id: str = "r") -> ResponseOutputItemAdded:
    return ResponseOutputItemAdded(response_id=response_id, output_index=0, item=spoken(item_id))


def closed(item: Any, response_id: str = "r") -> ResponseOutputItemDone:
    return ResponseOutputItemDone(response_id=response_id, output_index=0, item=item)


def of(response_id: str = "r", item_id: str = "i", index: int = 0) -> dict[str, Any]:
    return {
        "response_id": response_id,
        "item_id": item_id,
        "output_index": 0,
        "content_index": index,
    }


def audio(pcm: bytes, **place: Any) -> ResponseOutputAudioDelta:
    return ResponseOutputAudioDelta(delta=pcm, **of(**place))


def text(delta: str, **place: Any) -> ResponseOutputTextDelta:
    return ResponseOutputTextDelta(delta=delta, **of(**place))


def words(delta: str, **place: Any) -> ResponseOutputAudioTranscriptDelta:
    return ResponseOutputAudioTranscriptDelta(delta=delta, **of(**place))


def heard(transcript: str, item_id: str = "u", usage: Any = UNSET, index: int = 0) -> Heard:
    return Heard(item_id=item_id, content_index=index, transcript=transcript, usage=usage)


def misfit(name: str, response: Any) -> UnknownEvent:
    """An event as it comes, that does not fit the class of its type."""
    body = {} if response is UNSET else {"response": response}
    event = decode(json.dumps({"type": name, "event_id": 5, **body}))
    assert isinstance(event, UnknownEvent)
    assert event.problem is not None
    return event


def order(conversation: Conversation) -> list[str]:
    return [item.id for item in conversation.items]


def said(conversation: Conversation, item_id: str) -> str:
    item = conversation.item(item_id)
    assert item is not None
    return item.text


# --- any events in any order


IDS = ("item_id", "response_id", "previous_item_id")
ids = st.sampled_from(["a", "b", "c", ""])


@st.composite
def colliding(draw: st.DrawFn) -> AnyEvent:
    """An event of the server's about one of few items and one of few responses."""
    event = draw(server_events)
    names = {field.name for field in attrs.fields(type(event))}
    event = attrs.evolve(event, **{name: draw(ids) for name in IDS if name in names})
    for name in {"item", "response"} & names:
        inside = getattr(event, name)
        named = {**inside, "id": draw(ids | json_values)} if isinstance(inside, dict) else None
        event = attrs.evolve(event, **{name: named or attrs.evolve(inside, id=draw(ids))})
    return event


unfit_events = st.builds(
    lambda event, data: UnknownEvent(type=event.type, data={**data, "type": event.type}),
    server_events,
    st.dictionaries(st.sampled_from(["item", "response", "error", "item_id"]), json_values),
)
any_events = st.lists(colliding() | unknown_events | unfit_events, max_size=12)


@given(any_events, st.booleans())
def test_no_sequence_of_events_is_too_much(events: list[AnyEvent], keep_audio: bool) -> None:
    conversation = after(keep_audio=keep_audio)
    for event in events:
        conversation.apply(event)
        conversation.snapshot()
    assert len(set(order(conversation))) == len(order(conversation))
    for item in conversation.items:
        assert conversation.item(item.id) == item
        assert isinstance(item.text, str)
    assert len({r.id for r in conversation.responses}) == len(conversation.responses)
    for response in conversation.responses:
        assert conversation.response(response.id) == response
        assert len(set(response.item_ids)) == len(response.item_ids)
    assert conversation.last_response in (None, *conversation.responses)
    assert all(response in conversation.responses for response in conversation.active_responses)


@given(any_events, st.integers(0, 12))
def test_the_same_events_give_the_same_snapshot(events: list[AnyEvent], more: int) -> None:
    assert after(*events).snapshot() == after(*events).snapshot()
    # And a snapshot is of one moment: what comes later does not change it.
    conversation = after(*events[:more])
    snapshot = conversation.snapshot()
    for event in events[more:]:
        conversation.apply(event)
    assert snapshot == after(*events[:more]).snapshot()


@given(any_events)
def test_a_conversation_is_the_same_after_its_events_went_over_the_wire(
    events: list[AnyEvent],
) -> None:
    again = [decode(encode(event)) for event in events]
    fitting = [event for event, read in zip(events, again, strict=True) if event == read]
    assert after(*fitting).snapshot() == after(*map(decode, map(encode, fitting))).snapshot()


# --- the order of the items


def test_items_are_where_added_puts_them() -> None:
    conversation = after(added("a", None), added("b", "a"), added("c", "a"), added("d", None))
    assert order(conversation) == ["d", "a", "c", "b"]


@pytest.mark.parametrize("previous", [UNSET, "never heard of"])
def test_an_item_after_nobody_knows_what_is_the_last(previous: Any) -> None:
    assert order(after(added("a", None), added("b", "a"), added("c", previous))) == list("abc")


@pytest.mark.parametrize("previous", [None, UNSET, "a", "never heard of"])
def test_done_and_retrieved_and_a_second_added_change_no_order(previous: Any) -> None:
    before = [added("a", None), added("b", "a"), added("c", "b")]
    for again in (
        done(user("c"), previous),
        ConversationItemRetrieved(item=user("c")),
        added("c", previous),
    ):
        assert order(after(*before, again)) == ["a", "b", "c"]


def test_a_server_that_says_only_done_has_its_items_in_that_order() -> None:
    conversation = after(done(user("a"), None), done(user("b"), None))
    assert order(conversation) == ["a", "b"]
    assert all(item.done for item in conversation.items)


@pytest.mark.parametrize("event", [ConversationItemAdded, ConversationItemCreated])
def test_the_older_name_of_added_is_as_good(event: Any) -> None:
    conversation = after(
        event(item=user("a"), previous_item_id=None), event(item=user("b"), previous_item_id=None)
    )
    assert order(conversation) == ["b", "a"]
    assert not any(item.done for item in conversation.items)


@pytest.mark.parametrize("event", [added, ConversationItemCreated, ConversationItemDone])
@pytest.mark.parametrize("item_id", [None, UNSET, 7, ["a"], {}])
def test_an_item_without_an_id_is_nowhere(event: Any, item_id: Any) -> None:
    make = ConversationItemAdded if event is added else event
    item = user(item_id) if item_id is None or item_id is UNSET else {"id": item_id}
    assert after(make(item=item)).snapshot() == after().snapshot()
    unnamed = ResponseOutputItemAdded(response_id="r", output_index=0, item=item)
    assert after(created(), unnamed).responses[0].item_ids == ()


def test_an_item_of_an_unknown_kind_is_kept_as_it_is() -> None:
    item = {"id": "a", "type": "new", "content": [{"text": "x"}, 3, {"transcript": 4}, None]}
    conversation = after(ConversationItemAdded(item=item, previous_item_id=None))
    assert conversation.items[0].item == item
    assert conversation.items[0].text == "x"


def test_parts_in_a_tuple_are_parts() -> None:
    item = AssistantMessage(id="i", content=(OutputText(text="x"), OutputAudio(transcript="y")))
    assert after(done(item)).items[0].parts == {0: "x", 1: "y"}


@pytest.mark.parametrize("straggler", [
    done(user("b", "late")),
    heard("late", "b"),
    HeardDelta(item_id="b", delta="late"),
    text("late", item_id="b"),
    audio(SECOND, item_id="b"),
    opened("b"),
    ConversationItemTruncated(item_id="b", content_index=0, audio_end_ms=1),
    ConversationItemRetrieved(item=user("b")),
])  # fmt: skip
def test_what_was_deleted_stays_away_whatever_still_comes_of_it(straggler: AnyEvent) -> None:
    events = [added("a", None), added("b", "a"), added("c", "b"), created()]
    conversation = after(*events, ConversationItemDeleted(item_id="b"), straggler)
    assert order(conversation) == ["a", "c"]
    assert conversation.item("b") is None


def test_a_deleted_item_is_noted_once_with_its_response_whatever_still_comes_of_it() -> None:
    conversation = after(created(), opened("b"), ConversationItemDeleted(item_id="b"))
    for straggler in (opened("b"), text("late", item_id="b"), opened("c"), opened("c")):
        conversation.apply(straggler)
    assert conversation.responses[0].item_ids == ("b", "c")


def test_an_item_is_of_the_response_that_it_came_with_first() -> None:
    conversation = after(created("r"), created("s"), opened("i", "r"), opened("i", "s"))
    item = conversation.item("i")
    assert item is not None
    assert item.response_id == "r"
    assert [r.item_ids for r in conversation.responses] == [("i",), ()]


def test_deleting_what_is_not_there_changes_nothing() -> None:
    conversation = after(added("a", None), ConversationItemDeleted(item_id="b"))
    assert order(conversation) == ["a"]


def test_the_id_of_a_deleted_item_can_be_used_again() -> None:
    events = [added("a", None), heard("x", "a"), ConversationItemDeleted(item_id="a")]
    conversation = after(*events, added("b", None), added("a", "b"))
    assert order(conversation) == ["b", "a"]
    assert said(conversation, "a") == ""


@pytest.mark.parametrize("previous", ["b", "c"])
def test_after_an_item_that_was_deleted_is_where_it_stood(previous: str) -> None:
    gone = [ConversationItemDeleted(item_id=each) for each in "cb"]
    before = [added("a", None), added("b", "a"), added("c", "b"), added("d", "c")]
    assert order(after(*before, *gone, added("e", previous))) == ["a", "e", "d"]
    assert order(after(*before, *gone[::-1], added("e", previous))) == ["a", "e", "d"]
    first = ConversationItemDeleted(item_id="a")
    assert order(after(*before, *gone, first, added("e", previous))) == ["e", "d"]
    never = ConversationItemDeleted(item_id="never there")
    assert order(after(*before, never, added("e", "never there"))) == [*"abcd", "e"]
    assert order(after(never, added("e", "never there"))) == ["e"]
    assert order(after(*before, *gone, gone[0], added("e", previous))) == ["a", "e", "d"]


@pytest.mark.parametrize("first", [opened("i"), text("x"), audio(SECOND), closed(spoken())])
def test_an_item_that_is_never_added_stands_where_it_came(first: AnyEvent) -> None:
    before = [added("a", None), created(), first, added("b", "a")]
    assert order(after(*before)) == ["a", "b", "i"]
    assert order(after(*before, added("c"))) == ["a", "b", "i", "c"]


@pytest.mark.parametrize(
    ("previous", "expected"),
    [("a", "aibj"), (None, "iabj"), ("j", "abji"), (UNSET, "abij"), ("never heard of", "abij")],
)
def test_added_puts_an_item_where_it_belongs_and_once(previous: Any, expected: str) -> None:
    before = [added("a", None), created(), added("b", "a"), opened("i"), opened("j")]
    conversation = after(*before, added("i", previous))
    assert order(conversation) == [*expected]
    conversation.apply(added("i", "b"))
    assert order(conversation) == [*expected]


def test_items_of_a_response_outside_the_conversation_stand_nowhere() -> None:
    outside = created(conversation_id=None)
    assert order(after(outside, opened("i"), ended())) == []
    # Also if that is said late, unless the server itself has put them there.
    late = [created(), opened("i"), opened("j"), added("j"), ended(conversation_id=None)]
    assert order(after(*late)) == ["j"]


def test_items_of_a_response_that_is_known_late_stand_where_it_is_known() -> None:
    conversation = after(opened("i"), added("a", None))
    assert order(conversation) == ["a"]
    conversation.apply(created())
    assert order(conversation) == ["a", "i"]
    assert order(after(opened("i"), added("a", None), ended())) == ["a", "i"]
    assert order(after(opened("i"), ended(conversation_id=None))) == []


def test_an_item_that_only_the_end_of_its_response_tells_of_is_one() -> None:
    nameless: Any = {"type": "new"}
    output = [spoken("i", "Hello"), nameless, FunctionCall(id="f", name="f", arguments="{}")]
    conversation = after(created(), ended(output=output))
    assert [(item.id, item.text, item.done) for item in conversation.items] == [
        ("i", "Hello", True),
        ("f", "", True),
    ]
    assert conversation.responses[0].item_ids == ("i", "f")
    late = after(created(), opened(), text("Hel"), ended(output=output))
    assert late.items == conversation.items
    # What is complete was described already, and what was deleted stays away.
    whole = [created(), opened(), closed(spoken(transcript="Hello!")), ended(output=output[:1])]
    assert [item.text for item in after(*whole).items] == ["Hello!"]
    gone = [created(), opened("i"), ConversationItemDeleted(item_id="i"), ended(output=output)]
    assert order(after(*gone)) == ["f"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (TextPart(text="Hello"), "Hello"),
        (AudioPart(transcript="Hello"), "Hello"),
        ({"type": "new", "text": "Hello"}, "Hello"),
        (TextPart(text=""), "Hel"),
        (AudioPart(transcript=None), "Hel"),
        ({"type": "new", "text": 5}, "Hel"),
    ],
)
def test_a_part_that_is_done_says_its_text(part: Any, expected: str) -> None:
    finished = ResponseContentPartDone(part=part, **of())
    assert said(after(created(), opened(), text("Hel"), finished), "i") == expected
    over = after(created(), opened(), text("Hel"), ended(), finished)
    assert said(over, "i") == "Hel"


# --- what was said


def test_transcripts_come_before_their_item_late_and_in_any_order() -> None:
    conversation = after(
        HeardDelta(item_id="a", content_index=0, delta="When do"),
        added("a", None),
        added("b", "a"),
        created(),
        HeardDelta(item_id="b", delta="Never"),
        heard("Never mind.", "b"),
        ended(),
        HeardDelta(item_id="a", content_index=0, delta=" they leave"),
    )
    assert (said(conversation, "a"), said(conversation, "b")) == (
        "When do they leave",
        "Never mind.",
    )
    conversation.apply(heard("When do they leave?", "a"))
    assert [item.text for item in conversation.items] == ["When do they leave?", "Never mind."]


def test_a_delta_after_the_whole_transcript_says_nothing_more() -> None:
    late = HeardDelta(item_id="u", content_index=0, delta="Hel")
    other = HeardDelta(item_id="u", content_index=1, delta="!")
    conversation = after(added("u"), heard("Hello"), late, other)
    assert conversation.items[0].parts == {0: "Hello", 1: "!"}
    conversation = after(added("u"), heard("x"), ConversationItemDeleted(item_id="u"), added("u"))
    conversation.apply(late)
    assert said(conversation, "u") == "Hel"


@pytest.mark.parametrize("delta", [None, UNSET, ""])
@pytest.mark.parametrize("index", [None, UNSET, 0])
def test_a_transcription_delta_may_lack_its_text_and_its_place(delta: Any, index: Any) -> None:
    conversation = after(
        added("u", None),
        HeardDelta(item_id="u", content_index=index, delta="a"),
        HeardDelta(item_id="u", content_index=index, delta=delta),
    )
    assert conversation.items[0].parts == {0: "a"}


def test_the_parts_of_an_item_are_kept_apart_and_read_in_order() -> None:
    conversation = after(
        created(), opened(), text("c", index=2), words("a", index=0), text("d", index=2),
        ConversationItemAdded(item=spoken()),
    )  # fmt: skip
    assert conversation.items[0].parts == {0: "a", 2: "cd"}
    assert conversation.items[0].text == "acd"


def test_the_last_word_about_a_text_is_the_servers() -> None:
    place = of()
    conversation = after(created(), opened(), text("Helo"))
    conversation.apply(ResponseOutputTextDone(text="Hello", **place))
    assert said(conversation, "i") == "Hello"
    conversation.apply(ResponseOutputAudioTranscriptDone(transcript="Hello.", **place))
    assert said(conversation, "i") == "Hello."
    conversation.apply(closed(spoken(transcript="Hello!")))
    assert said(conversation, "i") == "Hello!"


@pytest.mark.parametrize("transcript", [None, UNSET, ""])
def test_an_item_that_does_not_say_its_text_does_not_take_it_away(transcript: Any) -> None:
    item = spoken(transcript=transcript)
    for event in (done(item), closed(item), ConversationItemRetrieved(item=item)):
        assert said(after(created(), opened(), words("Hello"), event), "i") == "Hello"
    conversation = after(heard("Hello"), ConversationItemAdded(item=user("u", transcript)))
    assert conversation.items[0].text == "Hello"


@pytest.mark.parametrize("grow", [
    lambda delta, number: text(delta),
    lambda delta, number: HeardDelta(item_id="u", delta=delta),
    lambda delta, number: added(f"i{number}", f"i{number - 1}" if number else None),
])  # fmt: skip
def test_a_long_conversation_takes_no_longer_for_each_event(grow: Any) -> None:
    delta = "x" * 1000

    def once(events: list[AnyEvent]) -> float:
        start = perf_counter()
        after(*events).snapshot()
        return perf_counter() - start

    def seconds(many: int) -> float:
        events = [created(), *(grow(delta, number) for number in range(many))]
        return min(once(events) for _ in range(3))

    # 16 times as many take 16 times as long, and not 256 times; with room for a busy machine.
    assert seconds(16_000) < 80 * max(seconds(1000), 0.005)


@given(st.lists(st.text(max_size=5)), st.sampled_from([text, words]))
def test_deltas_together_are_the_whole(deltas: list[str], delta: Any) -> None:
    parts = [delta(each) for each in deltas]
    assert said(after(created(), opened(), *parts), "i") == "".join(deltas)
    late = [HeardDelta(item_id="u", content_index=0, delta=each) for each in deltas]
    assert said(after(added("u"), *late), "u") == "".join(deltas)


def test_overlapping_items_and_responses_are_kept_apart_by_their_ids() -> None:
    conversation = after(
        created("r"), created("s", conversation_id=None),
        opened("i", "r"), opened("k", "s"), opened("j", "r"),
        words("1"), words("2", item_id="j"), words("3", item_id="k", response_id="s"),
        words("4"), ended("r"), words("5", item_id="k", response_id="s"),
    )  # fmt: skip
    assert [said(conversation, each) for each in "ijk"] == ["14", "2", "35"]
    assert [r.item_ids for r in conversation.responses] == [("i", "j"), ("k",)]
    assert [r.id for r in conversation.active_responses] == ["s"]


@pytest.mark.parametrize("straggler", [
    text("late"),
    words("late"),
    audio(SECOND),
    ResponseOutputTextDone(text="late", **of()),
    ResponseOutputAudioTranscriptDone(transcript="late", **of()),
    opened("late"),
    closed(spoken(transcript="late")),
    text("late", item_id="late"),
])  # fmt: skip
def test_what_comes_of_a_response_after_its_end_is_dropped(straggler: AnyEvent) -> None:
    item = ConversationItemAdded(item=spoken())
    events = [created(), opened(), item, words("on time"), ended(status="cancelled")]
    assert after(*events, straggler).snapshot() == after(*events).snapshot()
    assert after(*events, straggler).item("late") is None
    assert after(*events[:-1], straggler).snapshot() != after(*events[:-1]).snapshot()


def test_a_call_is_an_item_like_others() -> None:
    call = FunctionCall(id="i", call_id="c", name="f", arguments="{}")
    conversation = after(created(), opened(), closed(call), done(call), ended())
    assert conversation.items[0].item == call
    assert conversation.items[0].response_id == "r"
    assert conversation.items[0].text == ""


def test_a_cut_keeps_what_was_said_and_says_where() -> None:
    conversation = after(created(), opened(), words("Hello there"), audio(SECOND), ended())
    conversation.apply(ConversationItemAdded(item=spoken()))
    assert conversation.items[0].truncated_ms is None
    for ms in (700, 300):
        cut = ConversationItemTruncated(item_id="i", content_index=0, audio_end_ms=ms)
        conversation.apply(cut)
        assert conversation.items[0].truncated_ms == ms
    assert (conversation.items[0].text, conversation.items[0].audio_ms) == ("Hello there", 1000)


def test_a_retrieved_item_is_described_anew() -> None:
    whole = AssistantMessage(id="i", content=[OutputAudio(audio=b"\0\0", transcript="Hello")])
    conversation = after(added("i", None), ConversationItemRetrieved(item=whole), keep_audio=True)
    assert conversation.items[0].item == whole
    assert conversation.items[0].text == "Hello"
    assert not conversation.items[0].done  # it may still grow
    conversation = after(done(whole), ConversationItemRetrieved(item=whole))
    assert conversation.items[0].done


# --- audio


def with_output(audio_format: Any) -> RealtimeSessionConfig:
    return RealtimeSessionConfig(audio=AudioConfig(output=AudioOutput(format=audio_format)))


@pytest.mark.parametrize(
    ("session", "ms"),
    [
        (None, 10),
        (RealtimeSessionConfig(), 10),
        (RealtimeSessionConfig(audio=AudioConfig()), 10),
        (with_output(UNSET), 10),
        (with_output(None), 10),
        (with_output(AudioPCM(rate=24_000)), 10),
        (with_output({"type": "audio/opus"}), 10),
        (with_output({"type": []}), 10),
        (with_output(AudioPCMU()), 60),
        (with_output(AudioPCMA()), 60),
        ({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, 60),
        ({"output_audio_format": "g711_ulaw"}, 60),
        ({"output_audio_format": "g711_alaw"}, 60),
        ({"output_audio_format": "pcm16"}, 10),
        ({"audio": 3}, 10),
        (
            RealtimeSessionConfig(audio=AudioConfig(input=AudioInput(format=AudioPCMU()))),
            10,
        ),
    ],
    ids=repr,
)
def test_how_long_audio_is_depends_on_its_format(session: Any, ms: float) -> None:
    greeting = [] if session is None else [SessionCreated(session=session)]
    conversation = after(*greeting, created(), audio(bytes(240)), audio(bytes(240)))
    item = conversation.item("i")
    assert item is not None
    assert item.audio_ms == ms


def test_a_response_in_a_format_of_its_own_is_measured_in_that() -> None:
    config = AudioConfig(output=AudioOutput(format=AudioPCMU()))
    conversation = after(
        SessionCreated(session=with_output(AudioPCM())),
        created("r", audio=config), created("s"),
        audio(bytes(480)), audio(bytes(480), response_id="s", item_id="j"),
    )  # fmt: skip
    items = [conversation.item("i"), conversation.item("j")]
    assert [item.audio_ms for item in items if item] == [60, 10]


def test_audio_that_came_keeps_its_length_when_the_session_changes() -> None:
    conversation = after(created(), audio(bytes(480)))
    conversation.apply(SessionUpdated(session=with_output(AudioPCMU())))
    conversation.apply(audio(bytes(480)))
    item = conversation.item("i")
    assert item is not None
    assert item.audio_ms == 20


@pytest.mark.parametrize("keep_audio", [True, False])
def test_audio_is_kept_only_if_it_is_asked_for(keep_audio: bool) -> None:
    events = [created(), audio(b"ab", index=1), audio(b"cd", index=1)]
    item = after(*events, keep_audio=keep_audio).item("i")
    assert item is not None
    assert item.audio == (b"abcd" if keep_audio else b"")
    assert (item.audio_ms, item.audio_index) == (4 / 48, 1)
    assert "abcd" not in repr(item)


PICTURE = InputImage(image_url="data:")
WITH_AUDIO = [
    (InputAudio(audio=b"\0\0", transcript="x"), InputAudio(transcript="x")),
    (OutputAudio(audio=b"\0\0"), OutputAudio()),
    ({"type": "new", "audio": "AAAA", "x": 1}, {"type": "new", "x": 1}),
]


@pytest.mark.parametrize(("part", "silent"), WITH_AUDIO)
@pytest.mark.parametrize(
    "event",
    [
        lambda item: ConversationItemRetrieved(item=item),
        lambda item: ConversationItemAdded(item=item),
        done,
        closed,
        lambda item: ended(output=[item]),
    ],
)
def test_no_audio_is_kept_in_an_item_either_unless_it_is_asked_for(
    event: Any, part: Any, silent: Any
) -> None:
    whole = AssistantMessage(id="i", content=[PICTURE, part])
    mapping = {"id": "i", "type": "new", "content": [part]}
    for item, without in (
        (whole, attrs.evolve(whole, content=[PICTURE, silent])),
        (mapping, {**mapping, "content": [silent]}),
    ):
        kept = after(created(), event(item), keep_audio=True).item("i")
        assert kept is not None
        assert kept.item == item
        record = after(created(), event(item)).item("i")
        assert record is not None
        assert record.item == without
        assert record.text == kept.text


# --- usage, limits, the session


USAGE = Usage(
    total_tokens=30,
    input_tokens=20,
    output_tokens=10,
    input_token_details=InputTokenDetails(
        text_tokens=8,
        audio_tokens=9,
        image_tokens=3,
        cached_tokens=7,
        cached_tokens_details=CachedTokensDetails(text_tokens=4, audio_tokens=2, image_tokens=1),
    ),
    output_token_details=OutputTokenDetails(text_tokens=6, audio_tokens=4, reasoning_tokens=5),
)
TOTALS = UsageTotals(
    responses=1,
    input_tokens=20,
    input_text_tokens=8,
    input_audio_tokens=9,
    input_image_tokens=3,
    cached_tokens=7,
    cached_text_tokens=4,
    cached_audio_tokens=2,
    cached_image_tokens=1,
    output_tokens=10,
    output_text_tokens=6,
    output_audio_tokens=4,
    reasoning_tokens=5,
)


def test_cached_tokens_are_among_the_input_tokens_and_not_more() -> None:
    totals = after(ended(usage=USAGE)).usage
    assert totals == TOTALS
    assert totals.total_tokens == USAGE.total_tokens


def test_usage_is_summed_over_the_responses_each_counted_once() -> None:
    conversation = after(
        created("r"), ended("r", usage=USAGE), ended("r", usage=USAGE), ended("s", usage=USAGE)
    )
    numbers = attrs.asdict(conversation.usage)
    assert numbers == {name: 2 * number for name, number in attrs.asdict(TOTALS).items()}


@pytest.mark.parametrize("usage", [None, UNSET])
def test_a_response_that_does_not_say_its_usage_is_not_counted(usage: Any) -> None:
    assert after(ended("r", usage=usage), ended("s", usage=USAGE)).usage == TOTALS


@pytest.mark.parametrize("nothing", [None, UNSET])
def test_what_a_usage_leaves_out_is_zero(nothing: Any) -> None:
    empty = Usage(
        total_tokens=nothing,
        input_tokens=nothing,
        output_tokens=nothing,
        input_token_details=nothing,
        output_token_details=nothing,
    )
    half = Usage(
        input_tokens=1,
        input_token_details=InputTokenDetails(text_tokens=1, cached_tokens_details=nothing),
        output_token_details=OutputTokenDetails(text_tokens=nothing),
    )
    assert after(ended(usage=empty)).usage == UsageTotals(responses=1)
    expected = UsageTotals(responses=1, input_tokens=1, input_text_tokens=1)
    assert after(ended(usage=half)).usage == expected


def test_transcriptions_count_in_tokens_or_in_seconds_once_for_each_item() -> None:
    tokens = TranscriptionTokensUsage(total_tokens=5)
    half = TranscriptionDurationUsage(seconds=1.5)
    events = [
        heard("", "a", tokens), heard("", "b", half), heard("", "c", half), heard("", "d", tokens),
        heard("", "e", None), heard("", "f"), heard("", "g", {"type": "new"}),
        heard("", "h", TranscriptionTokensUsage()),
    ]  # fmt: skip
    expected = UsageTotals(transcription_tokens=10, transcription_seconds=3.0)
    assert after(*events).usage == expected
    assert after(*events, *events).usage == expected


def test_a_transcription_that_is_said_again_counts_as_it_is_said_last() -> None:
    first = heard("Wh", "a", TranscriptionDurationUsage(seconds=0.5))
    second = heard("When", "a", TranscriptionDurationUsage(seconds=2.0))
    conversation = after(added("a"), first, second, heard("When?", "a"))
    assert conversation.usage == UsageTotals(transcription_seconds=2.0)
    assert said(conversation, "a") == "When?"


def test_the_limits_are_those_last_said_each_by_its_name() -> None:
    first = [RateLimit(name="tokens", remaining=9), RateLimit(name="requests", remaining=5)]
    second = [RateLimit(name="tokens", remaining=3), RateLimit(name=None), RateLimit()]
    conversation = after(RateLimitsUpdated(rate_limits=first))
    conversation.apply(RateLimitsUpdated(rate_limits=second))
    conversation.apply(RateLimitsUpdated(rate_limits=[]))
    assert conversation.rate_limits == {"tokens": second[0], "requests": first[1]}


def test_what_is_given_away_can_be_changed_without_harm() -> None:
    conversation = after(RateLimitsUpdated(rate_limits=[RateLimit(name="tokens")]), heard("x"))
    conversation.apply(added("u"))
    conversation.rate_limits.clear()  # type: ignore[attr-defined]
    conversation.items[0].parts.clear()  # type: ignore[attr-defined]
    assert set(conversation.rate_limits) == {"tokens"}
    assert said(conversation, "u") == "x"


@pytest.mark.parametrize(
    ("session", "session_id", "expires_at"),
    [
        (RealtimeSessionConfig(id="s", expires_at=1_800_000_000), "s", 1_800_000_000),
        (RealtimeSessionConfig(id=None, expires_at=None), None, None),
        (RealtimeSessionConfig(), None, None),
        ({"id": "s", "expires_at": 9}, "s", 9),
        ({"id": 7, "expires_at": "soon"}, None, None),
        ({}, None, None),
    ],
    ids=repr,
)
def test_the_session_says_its_id_and_its_end(
    session: Any, session_id: Any, expires_at: Any
) -> None:
    for event in (SessionCreated, SessionUpdated):
        conversation = after(event(session=session))
        assert conversation.session == session
        assert conversation.session_id == session_id
        assert conversation.expires_at == expires_at


def test_an_item_of_which_nothing_has_come_is_empty() -> None:
    nothing = {"response_id": None, "parts": {}, "truncated_ms": None, "done": False}
    silence = {"audio_ms": 0, "audio_index": 0, "audio": b""}
    expected = ItemRecord(id="u", item=user("u"), **nothing, **silence)
    assert after(added("u")).items == (expected,)


def test_audio_is_not_kept_unless_it_is_asked_for() -> None:
    conversation = Conversation()
    conversation.apply(audio(b"ab"))
    item = conversation.item("i")
    assert item is not None
    assert (item.audio, item.audio_ms, item.item, item.done) == (b"", 2 / 48, None, False)


def test_at_the_beginning_there_is_nothing() -> None:
    nothing = after()
    assert (nothing.session, nothing.session_id, nothing.expires_at) == (None, None, None)
    assert (nothing.items, nothing.responses, nothing.active_responses) == ((), (), ())
    assert (nothing.last_response, nothing.item("a"), nothing.response("r")) == (None, None, None)
    assert (nothing.usage, nothing.rate_limits, nothing.speaking) == (UsageTotals(), {}, False)


def test_the_user_speaks_from_the_start_of_speech_to_its_end() -> None:
    conversation = after(InputAudioBufferSpeechStarted(item_id="u", audio_start_ms=0))
    assert conversation.speaking
    conversation.apply(InputAudioBufferSpeechStopped(item_id="u", audio_end_ms=1))
    assert not conversation.speaking


# --- responses


@pytest.mark.parametrize(
    ("status", "details"),
    [
        ("completed", None),
        ("cancelled", StatusDetails(type="cancelled", reason="turn_detected")),
        ("cancelled", StatusDetails(type="cancelled", reason="client_cancelled")),
        ("incomplete", StatusDetails(type="incomplete", reason="max_output_tokens")),
        ("incomplete", StatusDetails(type="incomplete", reason="content_filter")),
        ("failed", StatusDetails(type="failed", error=ResponseFailure(code="server_error"))),
        ("cancelled", "turn_detected"),
        ("never heard of", None),
    ],
)
def test_the_last_response_says_why_it_ended(status: str, details: Any) -> None:
    conversation = after(created("q"), created("r"), ended("r", status, status_details=details))
    last = conversation.last_response
    assert last is not None
    assert (last.id, last.status, last.details) == ("r", status, details)
    assert [r.id for r in conversation.active_responses] == ["q"]
    conversation.apply(ended("q"))
    assert conversation.last_response == conversation.response("q")
    assert conversation.snapshot().last_response_id == "q"
    assert after().snapshot().last_response_id is None


def test_a_response_with_an_empty_id_is_one() -> None:
    last = after(created(""), ended("")).last_response
    assert last is not None
    assert last.id == ""


@pytest.mark.parametrize("status", [None, UNSET, "in_progress", ""])
def test_a_response_is_over_when_it_is_done_whatever_it_says(status: Any) -> None:
    conversation = after(created(), ended(status=status))
    assert conversation.active_responses == ()
    assert [r.status for r in conversation.responses] == ["completed"]


@pytest.mark.parametrize("status", [None, UNSET, "in_progress"])
def test_a_response_runs_when_it_is_created_unless_it_says_otherwise(status: Any) -> None:
    running = ResponseCreated(response=Response(id="r", status=status))
    assert len(after(running).active_responses) == 1
    over = ResponseCreated(response=Response(id="r", status="cancelled"))
    assert after(over).active_responses == ()


@pytest.mark.parametrize(
    ("at_first", "at_last", "is_in"),
    [("conv", "conv", True), (None, None, False), (None, UNSET, False), (UNSET, UNSET, True),
     ("conv", UNSET, True), (UNSET, None, False)],
)  # fmt: skip
def test_a_response_is_where_it_says_and_stays_there_if_it_does_not_say_it_again(
    at_first: Any, at_last: Any, is_in: bool
) -> None:
    conversation = after(created(conversation_id=at_first), ended(conversation_id=at_last))
    assert conversation.responses[0].in_conversation == is_in


@pytest.mark.parametrize("details", [None, UNSET, ""])
def test_a_response_without_details_has_none(details: Any) -> None:
    for event in (created(status_details=details), ended(status_details=details)):
        assert after(event).responses[0].details is None


@pytest.mark.parametrize("at_last", [{"topic": "trains"}, None, UNSET])
def test_the_metadata_of_a_response_stay_with_it(at_last: Any) -> None:
    conversation = after(created(metadata={"topic": "trains"}), ended(metadata=at_last))
    assert conversation.responses[0].metadata == {"topic": "trains"}


def test_a_response_that_begins_twice_or_ends_twice_does_so_once() -> None:
    events = [created(), opened(), created(metadata={"a": "b"}), ended(status="cancelled")]
    conversation = after(*events, ended(), created())
    assert len(conversation.responses) == 1
    assert conversation.responses[0].status == "cancelled"
    assert conversation.responses[0].metadata is None
    assert conversation.responses[0].item_ids == ("i",)


@pytest.mark.parametrize("response_id", [None, UNSET])
def test_a_clone_that_creates_without_an_id_is_followed_from_its_items_on(
    response_id: Any,
) -> None:
    conversation = after(created(response_id), opened("i"), words("Hello"), opened("j"))
    assert conversation.responses == ()
    conversation.apply(ended("r", usage=USAGE))
    assert [(r.id, r.status, r.item_ids) for r in conversation.responses] == [
        ("r", "completed", ("i", "j"))
    ]
    assert (said(conversation, "i"), conversation.usage) == ("Hello", TOTALS)


@pytest.mark.parametrize("response_id", [None, UNSET])
def test_an_end_without_an_id_is_that_of_the_one_that_runs(response_id: Any) -> None:
    over = ended("q")
    nameless = after(created("q"), over, created("r"), ended(response_id, "failed", usage=USAGE))
    assert [(r.id, r.status) for r in nameless.responses] == [("q", "completed"), ("r", "failed")]
    assert (nameless.active_responses, nameless.usage) == ((), TOTALS)
    assert (
        after(created("q"), over, ended(response_id)).snapshot()
        == after(created("q"), over).snapshot()
    )


@pytest.mark.parametrize("response_id", [None, UNSET])
def test_of_several_that_run_an_end_without_an_id_is_that_of_the_one_that_is_left(
    response_id: Any,
) -> None:
    conversation = after(created("q"), created("r"), created("s"), ended(response_id))
    assert [r.id for r in conversation.active_responses] == ["q", "r", "s"]
    conversation.apply(created("t"))  # it began after that end, so it can't be the one
    conversation.apply(ended("r"))
    assert [r.id for r in conversation.active_responses] == ["q", "s", "t"]
    conversation.apply(ended("q"))
    assert [(r.id, r.status) for r in conversation.responses] == [
        ("q", "completed"), ("r", "completed"), ("s", "failed"), ("t", "in_progress")
    ]  # fmt: skip
    assert conversation.last_response == conversation.response("s")
    twice = after(created("q"), created("r"), ended(response_id), ended(response_id))
    assert [r.status for r in twice.responses] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"status": "cancelled", "output": 5}, "cancelled"),
        ({"status": "in_progress", "output": 5}, "failed"),
        ({"status": None, "output": 5}, "failed"),
        ({"status": 5}, "failed"),
        ({"output": 5}, "failed"),
        ({"metadata": 5}, "failed"),
        ({"conversation_id": 5}, "failed"),
    ],
)
@pytest.mark.parametrize("response_id", ["r", "never begun", None, 7])
def test_an_end_that_does_not_fit_is_an_end(
    said: dict[str, Any], status: str, response_id: Any
) -> None:
    event = misfit("response.done", {"id": response_id, **said})
    conversation = after(created("r", metadata={"a": "b"}), event)
    response_id = "never begun" if response_id == "never begun" else "r"
    last = conversation.last_response
    assert last is not None
    assert (last.id, last.status) == (response_id, status)
    assert "r" not in {r.id for r in conversation.active_responses} or response_id != "r"


@pytest.mark.parametrize("response", [5, None, [], UNSET])
def test_an_end_without_a_response_is_that_of_the_one_that_runs(response: Any) -> None:
    conversation = after(created("r"), misfit("response.done", response))
    assert [(r.id, r.status) for r in conversation.responses] == [("r", "failed")]


def test_a_beginning_that_does_not_fit_is_a_beginning() -> None:
    said = {"id": "r", "conversation_id": None, "metadata": {"a": "b"}, "output": 5}
    conversation = after(misfit("response.created", said), text("Hello"))
    (response,) = conversation.active_responses
    assert (response.in_conversation, response.metadata) == (False, {"a": "b"})
    assert response.item_ids == ("i",)
    for nobody in (5, {"id": 5}, {"output": 5}):
        assert after(misfit("response.created", nobody)).responses == ()


def test_events_that_are_for_others_change_nothing() -> None:
    before = after(created(), opened()).snapshot()
    others = ["response.content_part.added", "error", "never.heard.of", "response.done"]
    unknown = [UnknownEvent(type=name, data={"type": name}) for name in others]
    assert after(created(), opened(), *unknown).snapshot() == before


# --- the orders that the wire allows


Chain = Sequence[AnyEvent]


class Script:
    """A session as chains of events, each in order, and which event has to wait for which."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.waits: list[set[int]] = []

    def chain(self, events: Iterable[AnyEvent], after_: Iterable[int] = ()) -> list[int]:
        places = []
        for event in events:
            self.waits.append({*after_, *places[-1:]})
            places.append(len(self.events))
            self.events.append(event)
        return places

    def before(self, first: Iterable[int], then: int) -> None:
        self.waits[then] |= set(first)

    def shuffled(self, chance: random.Random) -> list[AnyEvent]:
        """Return the events in one of the orders that are allowed."""
        left, gone = set(range(len(self.events))), []
        while left:
            ready = sorted(place for place in left if self.waits[place] <= set(gone))
            gone.append(chance.choice(ready))
            left.discard(gone[-1])
        return [self.events[place] for place in gone]


pieces = st.lists(st.text("ab ", min_size=1, max_size=3), max_size=3)


def write_user(script: Script, item_id: str, deltas: list[str], seconds: float) -> list[AnyEvent]:
    """Let the user's words come when they like: before their item, or after all else."""
    usage = TranscriptionDurationUsage(seconds=seconds)
    late = [HeardDelta(item_id=item_id, content_index=0, delta=delta) for delta in deltas]
    script.chain([*late, heard("".join(deltas), item_id, usage)])
    return [added(item_id), done(user(item_id), None)]


def write_item(
    script: Script, place: dict[str, Any], spoken_: list[str], typed: list[str]
) -> tuple[list[int], list[int]]:
    """Let audio, its transcript and a text of one item come in any mixture."""
    item_id = place["item_id"]
    first = {**place, "content_index": 0}
    second = {**place, "content_index": 1}
    begin = [opened(item_id, place["response_id"]), ConversationItemAdded(item=spoken(item_id))]
    head = script.chain(begin)
    chains = [
        [ResponseOutputAudioDelta(delta=bytes(len(piece)), **first) for piece in spoken_],
        [
            *(ResponseOutputAudioTranscriptDelta(delta=piece, **first) for piece in spoken_),
            ResponseOutputAudioTranscriptDone(transcript="".join(spoken_), **first),
        ],
        [
            *(ResponseOutputTextDelta(delta=piece, **second) for piece in typed),
            ResponseOutputTextDone(text="".join(typed), **second),
        ],
    ]
    places = [place for chain in chains for place in script.chain(chain, head[-1:])]
    parts = [OutputAudio(transcript="".join(spoken_)), OutputText(text="".join(typed))]
    whole = AssistantMessage(id=item_id, content=parts)
    tail = script.chain([done(whole, None), closed(whole, place["response_id"])], places)
    return head, tail


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    script = Script()
    spine = script.chain([SessionCreated(session=RealtimeSessionConfig(id="s", expires_at=9))])
    for turn in range(draw(st.integers(1, 2))):
        words_ = draw(pieces)
        users = write_user(script, f"u{turn}", words_, draw(st.sampled_from([0.25, 1.5])))
        spine += script.chain(users, spine[-1:])
        response_id = f"r{turn}"
        spine += script.chain([created(response_id)], spine[-1:])
        ends: list[int] = []
        heads = [spine[-1:]]
        for item in range(draw(st.integers(0, 2))):
            place = {"response_id": response_id, "item_id": f"i{turn}{item}", "output_index": item}
            head, tail = write_item(script, place, draw(pieces), draw(pieces))
            heads.append(head)
            ends += tail
        for one, other in pairwise(heads):
            script.before(one[-1:], other[0])
        is_over = script.chain([ended(response_id, usage=USAGE)], spine[-1:])
        script.before([*ends, *heads[-1]], is_over[0])
        spine += is_over
        limits = RateLimitsUpdated(rate_limits=[RateLimit(name="tokens", remaining=9 - turn)])
        spine += script.chain([limits], spine[-1:])
    return script


@given(scripts(), st.randoms(use_true_random=False))
def test_every_order_that_the_wire_allows_comes_to_the_same(
    script: Script, chance: random.Random
) -> None:
    plain = after(*script.events)
    assert after(*script.shuffled(chance)).snapshot() == plain.snapshot()
    # And what they come to is what they say.
    for event in script.events:
        match event:
            case ResponseOutputTextDone(item_id=item_id, text=whole):
                record = plain.item(item_id)
                assert record is not None
                assert record.parts[1] == whole
            case ResponseOutputAudioTranscriptDone(item_id=item_id, transcript=whole):
                record = plain.item(item_id)
                assert record is not None
                assert record.parts[0] == whole
                assert record.audio_ms == len(whole) / 48
            case Heard(item_id=item_id, transcript=whole):
                assert said(plain, item_id) == whole
    assert plain.active_responses == ()
    assert all(item.done for item in plain.items)


def test_the_script_allows_more_than_one_order() -> None:
    script = Script()
    write_user(script, "u", ["a"], 1.0)
    _, tail = write_item(
        script, {"response_id": "r", "item_id": "i", "output_index": 0}, ["b"], []
    )
    orders = {tuple(e.type for e in script.shuffled(random.Random(n))) for n in range(50)}
    assert len(orders) > 10
    assert all(order_[-1] == script.events[tail[-1]].type or "input" in order_[-1]
               for order_ in orders)  # fmt: skip
