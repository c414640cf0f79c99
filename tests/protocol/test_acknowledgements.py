"""Each command has its own answer, once; and an answer that is nobody's goes to nobody."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import attrs
import pytest
from hypothesis import example, given, strategies as st

from meshrt.errors import LocalProtocolError, MeshError, RemoteProtocolError
from meshrt.events import (
    CLIENT_EVENTS,
    UNSET,
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemCreated,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    Error,
    ErrorDetails,
    Event,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferTimeoutTriggered,
    McpListTools,
    OutputAudioBufferClear,
    OutputAudioBufferCleared,
    RealtimeSessionConfig,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    ResponseParams,
    SessionClose,
    SessionClosed,
    SessionCreated,
    SessionInputAudioBufferAppend,
    SessionUpdate,
    SessionUpdated,
    SystemMessage,
    UnknownEvent,
    UserMessage,
)
from meshrt.protocol import (
    ACKNOWLEDGEMENTS,
    REFUSALS,
    Acknowledgements,
    AnyEvent,
    RealtimeProtocol,
    Settled,
    decode,
    encode,
)
from meshrt.protocol._fields import field_of
from tests.strategies import client_events, server_events, unknown_events

PLACE: dict[str, Any] = {"content_index": 0, "audio_end_ms": 0}


def message(item_id: Any = UNSET) -> UserMessage:
    return UserMessage(id=item_id, content=[])


def with_id(item: Any, item_id: str) -> Any:
    return {**item, "id": item_id} if isinstance(item, dict) else attrs.evolve(item, id=item_id)


def update() -> SessionUpdate:
    return SessionUpdate(session=RealtimeSessionConfig())


def updated() -> SessionUpdated:
    return SessionUpdated(session=RealtimeSessionConfig())


def create(item_id: Any = UNSET) -> ConversationItemCreate:
    return ConversationItemCreate(item=message(item_id))


def added(item_id: Any = "server's") -> ConversationItemAdded:
    return ConversationItemAdded(item=message(item_id))


def ask(metadata: Any = UNSET) -> ResponseCreate:
    return ResponseCreate(response=ResponseParams(metadata=metadata))


def created(metadata: Any = UNSET, response_id: str = "r") -> ResponseCreated:
    return ResponseCreated(response=Response(id=response_id, metadata=metadata))


def ended(response_id: Any = "r", **fields: Any) -> ResponseDone:
    return ResponseDone(response=Response(id=response_id, **fields))


def error(event_id: Any = UNSET, code: Any = UNSET) -> Error:
    return Error(error=ErrorDetails(event_id=event_id, code=code))


def truncate(item_id: str) -> ConversationItemTruncate:
    return ConversationItemTruncate(item_id=item_id, **PLACE)


def truncated(item_id: str) -> ConversationItemTruncated:
    return ConversationItemTruncated(item_id=item_id, **PLACE)


def committed(item_id: str = "u") -> InputAudioBufferCommitted:
    return InputAudioBufferCommitted(item_id=item_id)


def client(*commands: Event) -> RealtimeProtocol:
    """A client that has sent these, with the ids 1, 2, 3, …"""
    protocol = RealtimeProtocol("client", make_id=map(str, iter(range(1, 1000))).__next__)
    for command in commands:
        send(protocol, command)
    return protocol


def send(protocol: RealtimeProtocol, command: Event) -> str:
    """Send a command; there is no audio here, without which a commit is refused."""
    return protocol.send(command, strict=not isinstance(command, InputAudioBufferCommit))


def answered(protocol: RealtimeProtocol, *events: AnyEvent | dict[str, Any]) -> list[str | None]:
    """Return the ids of the commands that these answer, each with its own event."""
    found: list[str | None] = []
    for event in events:
        protocol.receive_text(json.dumps(event) if isinstance(event, dict) else encode(event))
        came = protocol.events()[-1]
        settled = protocol.settled()
        assert [each.event for each in settled] == [came] * len(settled)
        assert len(settled) < 2
        found.append(settled[0].event_id if settled else None)
    return found


def rubbish(protocol: RealtimeProtocol) -> None:
    with pytest.raises(RemoteProtocolError):
        protocol.receive_text("[]")


# --- the table

ANSWERS = [
    (update(), updated()),
    (InputAudioBufferCommit(), committed()),
    (InputAudioBufferClear(), InputAudioBufferCleared()),
    (create(), added()),
    (create(), ConversationItemCreated(item=message("server's"))),
    (create(), ConversationItemAdded(item={"type": "message"})),
    (ConversationItemCreate(item={"type": "new"}), ConversationItemAdded(item={"type": "new"})),
    (create("ours"), added("ours")),
    (create("ours"), ConversationItemCreated(item=message("ours"))),
    (ConversationItemDelete(item_id="i"), ConversationItemDeleted(item_id="i")),
    (ConversationItemRetrieve(item_id="i"), ConversationItemRetrieved(item=message("i"))),
    (truncate("i"), truncated("i")),
    (ResponseCreate(), created()),
    (ask(), created(None)),
    (ask({}), created({})),
    (ask({"a": "b"}), created({"a": "b"})),
    (ResponseCancel(), ended()),
    (ResponseCancel(response_id="r"), ended("r")),
]
OTHERS = [
    (create("ours"), added("another")),
    (create("ours"), added(None)),
    (create(), ConversationItemDone(item=message("server's"))),
    (create(), ConversationItemAdded(item=McpListTools(id="t", server_label="s", tools=[]))),
    (create(), ConversationItemAdded(item=SystemMessage(id="s", content=[]))),
    (create(), ConversationItemAdded(item={"id": "n", "type": "new"})),
    (ConversationItemDelete(item_id="i"), ConversationItemDeleted(item_id="j")),
    (ConversationItemRetrieve(item_id="i"), ConversationItemRetrieved(item=message("j"))),
    (ConversationItemRetrieve(item_id="i"), ConversationItemRetrieved(item={"id": ["i"]})),
    (truncate("i"), truncated("j")),
    (ask(), created({"a": "b"})),
    (ask({"a": "b"}), created()),
    (ask({"a": "b"}), created({"a": "c"})),
    (ResponseCancel(response_id="r"), ended("s")),
    (ResponseCancel(response_id="r"), ended(None)),
    (update(), SessionCreated(session=RealtimeSessionConfig())),
]
each_answer = pytest.mark.parametrize(
    ("command", "answer"), ANSWERS, ids=[f"{one.type}-{n}" for n, (one, _) in enumerate(ANSWERS)]
)


def test_every_command_that_is_answered_is_in_the_table() -> None:
    assert {command.type for command, _ in ANSWERS} == set(ACKNOWLEDGEMENTS)
    for name, rule in ACKNOWLEDGEMENTS.items():
        assert {type(answer) for one, answer in ANSWERS if one.type == name} == {*rule.answers}
    assert set(CLIENT_EVENTS) - set(ACKNOWLEDGEMENTS) == {
        "input_audio_buffer.append",
        "output_audio_buffer.clear",  # over WebRTC and SIP
        "session.close",  # its answer is the end
        "session.input_audio_buffer.append",
    }
    with pytest.raises(TypeError, match="does not support item"):
        ACKNOWLEDGEMENTS["x"] = ACKNOWLEDGEMENTS["session.update"]  # type: ignore[index]


@each_answer
def test_a_command_is_settled_by_its_answer_once(command: Event, answer: Event) -> None:
    protocol = client(command)
    assert protocol.outstanding == ("1",)
    protocol.receive_text(encode(answer))
    expected = Settled(type=command.type, event_id="1", event=answer, abandoned=False)
    assert protocol.settled() == [expected]
    assert protocol.settled() == []
    assert protocol.outstanding == ()
    assert answered(protocol, answer) == [None]


@each_answer
def test_the_answer_of_one_kind_settles_no_other_kind(command: Event, answer: Event) -> None:
    for other in {other.type: other for other, _ in ANSWERS}.values():
        if other.type != command.type:
            assert answered(client(other), answer) == [None]


@each_answer
def test_an_answer_goes_to_the_oldest_of_its_kind(command: Event, answer: Event) -> None:
    protocol = client(command, command)
    again = [answer, answer]
    if isinstance(command, ConversationItemCreate) and not field_of(command.item, "id"):
        # The server gives each its own id.
        again = [type(answer)(item=with_id(answer.item, name)) for name in "ab"]  # type: ignore[attr-defined, call-arg]
    assert answered(protocol, *again) == ["1", "2"]


@pytest.mark.parametrize(("command", "other"), OTHERS)
def test_what_answers_another_does_not_answer_this(command: Event, other: Event) -> None:
    protocol = client(command)
    assert answered(protocol, other) == [None]
    assert protocol.outstanding == ("1",)


@pytest.mark.parametrize("command", [
    InputAudioBufferAppend(audio=b"\0\0"),
    InputAudioBufferAppend(audio=b"\0\0", event_id="a"),
    SessionInputAudioBufferAppend(audio=b"\0\0"),
    OutputAudioBufferClear(),
    SessionClose(),
])  # fmt: skip
def test_what_has_no_answer_is_not_waited_for(command: Event) -> None:
    protocol = client(command)
    assert protocol.outstanding == ()
    others = [error(), error("1"), OutputAudioBufferCleared(response_id="r"), SessionClosed()]
    assert answered(protocol, *others) == [None] * 4


def test_an_event_of_a_type_that_nobody_knows_is_not_waited_for() -> None:
    protocol = RealtimeProtocol("client")
    protocol.send({"type": "never.heard.of"}, strict=False)
    assert protocol.outstanding == ()


# --- exactness


def test_an_id_of_ours_is_more_exact_than_the_order() -> None:
    protocol = client(create("a"), create(), create("b"), create())
    events = [added("b"), added("server's"), added("a"), added("another")]
    assert answered(protocol, *events) == ["3", "2", "1", "4"]


def test_metadata_are_more_exact_than_the_order() -> None:
    protocol = client(ask({"n": "1"}), ask(), ask({"n": "3"}), ask({"n": "1"}))
    events = [created({"n": "3"}), created(), created({"n": "1"}), created({"n": "1"})]
    assert answered(protocol, *events) == ["3", "2", "1", "4"]


def test_the_item_of_a_command_is_more_exact_than_the_order() -> None:
    protocol = client(truncate("a"), truncate("b"), ConversationItemDelete(item_id="a"))
    events = [truncated("b"), ConversationItemDeleted(item_id="a"), truncated("a")]
    assert answered(protocol, *events) == ["2", "3", "1"]


def test_the_end_of_a_response_answers_the_oldest_cancel_that_it_may() -> None:
    protocol = client(ResponseCancel(response_id="q"), ResponseCancel(), ResponseCancel())
    assert answered(protocol, ended("r"), ended("q"), ended("s")) == ["2", "1", "3"]


@pytest.mark.parametrize("announcement", [
    committed("i"),
    InputAudioBufferSpeechStarted(item_id="i", audio_start_ms=0),
    InputAudioBufferTimeoutTriggered(item_id="i", audio_start_ms=0, audio_end_ms=1),
    ResponseOutputItemAdded(response_id="r", output_index=0, item=message("i")),
])  # fmt: skip
@pytest.mark.parametrize("event", [ConversationItemAdded, ConversationItemCreated])
def test_an_item_that_the_server_announced_answers_no_command_of_ours(
    announcement: Event, event: Any
) -> None:
    protocol = client()
    protocol.receive_text(encode(announcement))
    protocol.events()
    protocol.send(create())
    came = event(item=message("i"))
    assert answered(protocol, came, came, added("server's")) == [None, None, "1"]
    # An id that we chose is ours, whatever the server announced.
    protocol.send(create("i"))
    assert answered(protocol, came) == ["2"]


def test_a_server_that_says_both_added_and_created_answers_once() -> None:
    both = [added("a"), ConversationItemCreated(item=message("a"))]
    assert answered(client(create(), create()), *both, added("b")) == ["1", None, "2"]
    assert answered(client(create(), create()), *both[::-1], added("b")) == ["1", None, "2"]


def test_items_without_an_id_that_the_server_announces_hide_no_others() -> None:
    protocol = client(create())
    nameless = ResponseOutputItemAdded(response_id="r", output_index=0, item=message())
    events: list[Event] = [nameless, ConversationItemAdded(item={"id": 3})]
    assert answered(protocol, *events) == [None, "1"]


@pytest.mark.parametrize("item", [3, "x", None, [], {"id": ["a"]}, {"id": None}])
def test_a_command_of_any_shape_can_be_waited_for(item: Any) -> None:
    protocol = RealtimeProtocol("client")
    command = {"type": "conversation.item.create", "event_id": "1", "item": item}
    protocol.send(command, strict=False)
    protocol.send({"type": "response.create", "event_id": "2", "response": item}, strict=False)
    assert answered(protocol, added(), created()) == ["1", "2"]


# --- errors


@each_answer
def test_an_error_that_quotes_a_command_settles_it_and_it_alone(
    command: Event, answer: Event
) -> None:
    protocol = client(command, command, command)
    assert answered(protocol, error("2")) == ["2"]
    assert protocol.outstanding == ("1", "3")
    assert answered(protocol, error("2"), error("never sent")) == [None, None]


@each_answer
@pytest.mark.parametrize("event_id", [None, UNSET, ""])
def test_an_error_that_quotes_nothing_settles_the_only_one(
    command: Event, answer: Event, event_id: Any
) -> None:
    assert answered(client(command), error(event_id)) == ["1"]
    assert answered(client(command, command), error(event_id)) == [None]
    assert answered(client(), error(event_id)) == [None]
    assert answered(client(command), error("another's")) == [None]


@pytest.mark.parametrize("quoted", [{"event_id": "2"}, {"event_id": "2", "code": 404}])
def test_an_error_that_does_not_fit_its_class_is_one_yet(quoted: dict[str, Any]) -> None:
    protocol = client(update(), update())
    assert answered(protocol, {"type": "error", "error": quoted}) == ["2"]


@pytest.mark.parametrize("what", ["no", None, 3, ["x"], {"code": 404}, {"event_id": []}])
def test_an_error_that_says_nothing_settles_the_only_one(what: Any) -> None:
    wrong = {"type": "error", "error": what}
    assert answered(client(update()), wrong) == ["1"]
    assert answered(client(update(), update()), wrong, {"type": "error"}) == [None, None]


@pytest.mark.parametrize(
    ("command", "wire_name"),
    [
        *[(command, answer.type) for command, answer in ANSWERS],
        (update(), "transcription_session.updated"),
    ],
)
def test_an_answer_that_does_not_fit_its_class_settles_the_oldest_that_it_may(
    command: Event, wire_name: str
) -> None:
    protocol = client(command, command)
    wrong = {"type": wire_name, "event_id": 7}
    assert answered(protocol, wrong) == ["1"]
    assert protocol.outstanding == ("2",)


def test_what_nobody_knows_settles_nothing() -> None:
    protocol = client(*[command for command, _ in ANSWERS])
    others = [
        {"type": "never.heard.of"},
        {"type": "session.update", "session": {"type": "realtime"}},
        {"type": "response.output_text.done", "text": 3},
    ]
    assert answered(protocol, *others) == [None] * 3
    # A type of ours that came without a problem, which only somebody's own events can be.
    ledger = Acknowledgements()
    ledger.sent({"type": "session.update", "event_id": "1"})
    assert ledger.saw(UnknownEvent(type="session.updated", data={})) is None


@pytest.mark.parametrize(
    ("command", "event", "later"),
    [
        (create, added, added),
        (lambda name: ConversationItemDelete(item_id=name),
         lambda name: ConversationItemDeleted(item_id=name), None),
        (lambda name: ConversationItemRetrieve(item_id=name),
         lambda name: ConversationItemRetrieved(item=message(name)), None),
        (truncate, truncated, None),
        (lambda name: ask({"n": name}), lambda name: created({"n": name}), None),
        (lambda name: ResponseCancel(response_id=name), ended, None),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_told_by_what_of_it_can_be_read(
    command: Any, event: Any, later: Any
) -> None:
    wrong = [{**json.loads(encode(event(name))), "event_id": 7} for name in "bca"]
    assert answered(client(command("a"), command("b")), *wrong) == ["2", None, "1"]


def test_of_a_response_that_does_not_fit_its_class_the_metadata_count() -> None:
    protocol = client(ask({"n": "1"}), ask(), ask())
    wrong = [{"id": 7, "metadata": {"n": "2"}}, {"id": 7}, {"id": 7, "metadata": 5}, 7]
    events = [{"type": "response.created", "response": each} for each in wrong]
    assert answered(protocol, *events) == [None, "2", None, "1"]


# --- errors that quote nothing, and whose code says what they are about

KINDS = {
    "session.update": update(),
    "input_audio_buffer.commit": InputAudioBufferCommit(),
    "response.create": ask(),
    "response.cancel": ResponseCancel(response_id="r"),
    "conversation.item.truncate": truncate("i"),
}


def test_the_code_of_an_error_is_one_that_a_command_can_be_answered_with() -> None:
    assert set(REFUSALS.values()) == set(KINDS) <= set(ACKNOWLEDGEMENTS)


@pytest.mark.parametrize("code", REFUSALS)
def test_an_error_that_quotes_nothing_is_that_of_the_only_command_of_its_kind(code: str) -> None:
    meant = KINDS[REFUSALS[code]]
    others = [command for kind, command in KINDS.items() if kind != REFUSALS[code]]
    assert answered(client(*others, meant), error(None, code)) == [str(len(KINDS))]
    assert answered(client(*others, meant, meant), error(None, code)) == [None]
    for other in others:
        assert answered(client(other), error(None, code)) == [None]
    wrong = {"type": "error", "error": {"code": code, "message": 7}}
    assert answered(client(*others, meant), wrong) == [str(len(KINDS))]


NOT_ACTIVE = "response_cancel_not_active"


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", UNSET])
@pytest.mark.parametrize("response_id", ["r", UNSET])
def test_the_error_of_a_cancel_that_came_too_late_is_nobody_elses(
    status: Any, response_id: Any
) -> None:
    late = ResponseCancel(response_id=response_id)
    protocol = client(late)
    assert answered(protocol, ended("r", status=status)) == ["1"]
    protocol.send(update())
    assert answered(protocol, error(None, NOT_ACTIVE)) == [None]
    protocol.send(ResponseCancel(response_id="s"))
    assert answered(protocol, error(None, NOT_ACTIVE), error(None, NOT_ACTIVE)) == ["3", None]
    assert protocol.outstanding == ("2",)


@pytest.mark.parametrize("quoted", ["1", "another's"])
def test_an_error_that_quotes_the_late_cancel_is_the_one_that_was_to_come(quoted: str) -> None:
    protocol = client(ResponseCancel(response_id="r"))
    assert answered(protocol, ended("r", status="completed")) == ["1"]
    protocol.send(ResponseCancel(response_id="s"))
    assert answered(protocol, error(quoted, NOT_ACTIVE)) == [None]
    expected = ["2"] if quoted == "1" else [None]
    assert answered(protocol, error(None, NOT_ACTIVE)) == expected


def test_after_a_cancel_in_time_no_error_is_to_come() -> None:
    protocol = client(ResponseCancel(response_id="r"))
    assert answered(protocol, ended("r", status="cancelled")) == ["1"]
    protocol.send(ResponseCancel(response_id="s"))
    assert answered(protocol, error(None, NOT_ACTIVE)) == ["2"]


# --- a cancel without an id is about the conversation

OUTSIDE: dict[str, Any] = {"id": "outside", "conversation_id": None}


@pytest.mark.parametrize("again", [{}, {"conversation_id": None}])
@pytest.mark.parametrize("wrong", [{}, {"output": 7}])
def test_the_end_of_a_response_outside_is_no_answer_to_a_cancel_without_an_id(
    again: dict[str, Any], wrong: dict[str, Any]
) -> None:
    protocol = client()
    events = [
        {"type": "response.created", "response": {**OUTSIDE, **wrong}},
        {"type": "response.created", "response": {"id": "inside", "conversation_id": "c"}},
    ]
    assert answered(protocol, *events) == [None, None]
    protocol.send(ResponseCancel())
    over = {"type": "response.done", "response": {"id": "outside", **again, **wrong}}
    assert answered(protocol, over, ended("inside")) == [None, "1"]
    # Its id may be used again, and be another's.
    protocol.send(ResponseCancel())
    assert answered(protocol, ended("outside")) == ["2"]


def test_a_cancel_by_its_id_is_answered_wherever_the_response_is() -> None:
    protocol = client(ResponseCancel(), ResponseCancel(response_id="outside"))
    assert answered(protocol, ended(response_id="outside", conversation_id=None)) == ["2"]


def test_what_is_changed_after_it_was_prepared_changes_nothing() -> None:
    item = {"id": "a", "type": "message", "role": "user", "content": []}
    params: dict[str, Any] = {"metadata": {"n": "1"}, "conversation": "none"}
    protocol = client()
    prepared = [
        protocol.prepare({"type": "conversation.item.create", "item": item}),
        protocol.prepare({"type": "response.create", "response": params}),
    ]
    item["id"] = "b"
    params["metadata"]["n"] = "2"
    params["conversation"] = "auto"
    for each in prepared:
        protocol.advance(each)
        assert json.loads(each.text) == each.body
    assert protocol.respond() is not None  # what was asked for is outside the conversation
    assert answered(protocol, added("b"), added("a")) == [None, "1"]
    assert answered(protocol, created({"n": "2"}), created({"n": "1"})) == [None, "2"]


# --- one id, one command


@each_answer
def test_the_id_of_a_command_that_waits_can_not_be_given_to_another(
    command: Event, answer: Event
) -> None:
    protocol = RealtimeProtocol("client")
    first = protocol.prepare(attrs.evolve(command, event_id="x"), strict=False)  # type: ignore[call-arg]
    second = protocol.prepare({"type": "response.create", "event_id": "x"})
    beta = {"type": "transcription_session.update", "session": {}}
    protocol.advance(first)
    for refused in (
        lambda: protocol.send({"type": "session.update", "event_id": "x"}, strict=False),
        lambda: protocol.send({**beta, "event_id": "x"}, strict=False),
        lambda: protocol.respond(event_id="x"),
        lambda: protocol.advance(second),
        # Never answered, but an error about it would be taken for the command's.
        lambda: protocol.send({"type": "input_audio_buffer.append", "event_id": "x", "audio": ""}),
        lambda: protocol.send(OutputAudioBufferClear(event_id="x"), strict=False),
    ):
        with pytest.raises(LocalProtocolError, match=r"'x' is that of a .* no answer yet"):
            refused()
    assert (protocol.outstanding, protocol.turn_in_flight) == (
        ("x",),
        command.type == "response.create",
    )
    protocol.receive_text(encode(answer))
    assert protocol.outstanding == ()
    protocol.send({"type": "session.update", "event_id": "x"}, strict=False)
    with pytest.raises(LocalProtocolError, match="no answer yet"):
        Acknowledgements.sent(protocol._commands, {"type": "session.update", "event_id": "x"})


def test_the_id_of_a_response_that_waits_can_not_be_given_to_another() -> None:
    protocol = client(ask())
    prepared = protocol.prepare({"type": "session.update", "event_id": "x"}, strict=False)
    assert protocol.respond(event_id="x") is None
    for refused in (
        lambda: protocol.respond(event_id="x"),
        lambda: protocol.prepare({"type": "response.create", "event_id": "x"}),
        lambda: protocol.advance(prepared),
    ):
        with pytest.raises(LocalProtocolError, match=r"'x' is that of a .* waits for its turn"):
            refused()
    assert protocol.outstanding == ("1",)


def test_an_id_that_is_counted_is_nobodys_yet() -> None:
    protocol = RealtimeProtocol("client")
    for number in (1, 2, 4):
        protocol.send({"type": "response.create", "event_id": f"event_{number}"})
    assert protocol.respond(event_id="event_5") is None
    assert [protocol.make_id(), protocol.make_id()] == ["event_3", "event_6"]


@pytest.mark.parametrize("item_id", [UNSET, "ours"])
def test_many_commands_take_no_longer_for_each(item_id: Any) -> None:
    def once(many: int) -> float:
        ledger = Acknowledgements()
        start = perf_counter()
        for number in range(many):
            item = {"type": "message", "role": "user", "id": item_id and f"ours {number}"}
            ledger.sent(
                {"type": "conversation.item.create", "event_id": str(number), "item": item}
            )
        for number in range(many):
            ledger.saw(committed(f"u {number}"))
            assert ledger.saw(added(f"u {number}")) is None
        for number in reversed(range(many)):
            assert ledger.saw(added(f"ours {number}")) is not None
        assert ledger.outstanding == ()
        return perf_counter() - start

    # 8 times as many take 8 times as long, and not 64 times; with room for a busy machine.
    assert min(once(4000) for _ in range(3)) < 32 * max(min(once(500) for _ in range(3)), 0.005)


# --- those that nobody waits for


@each_answer
def test_the_late_answer_to_an_abandoned_command_is_not_given_to_the_next(
    command: Event, answer: Event
) -> None:
    protocol = client(command, command)
    protocol.abandon("1")
    assert protocol.outstanding == ("1", "2")
    again = [answer, answer]
    if isinstance(command, ConversationItemCreate) and not field_of(command.item, "id"):
        again = [type(answer)(item=with_id(answer.item, name)) for name in "ab"]  # type: ignore[attr-defined, call-arg]
    for event, event_id, abandoned in zip(again, "12", (True, False), strict=True):
        protocol.receive_text(encode(event))
        expected = Settled(type=command.type, event_id=event_id, event=event, abandoned=abandoned)
        assert protocol.settled() == [expected]


@pytest.mark.parametrize("late", [error("1"), error(None)])
def test_the_late_error_of_an_abandoned_command_is_its_own(late: Event) -> None:
    protocol = client(update())
    protocol.abandon("1")
    protocol.receive_text(encode(late))
    (settled,) = protocol.settled()
    assert (settled.event_id, settled.abandoned) == ("1", True)


def test_abandoning_what_is_not_waited_for_changes_nothing() -> None:
    protocol = client(update())
    protocol.abandon("never sent")
    assert answered(protocol, updated()) == ["1"]
    protocol.abandon("1")


def test_when_there_will_be_no_answers_those_who_wait_are_named_once() -> None:
    ledger = Acknowledgements()
    for event_id in "abc":
        ledger.sent({"type": "session.update", "event_id": event_id})
    ledger.abandon("b")
    assert ledger.outstanding == ("a", "b", "c")
    failed = ledger.fail_all("over")
    assert [(each.event_id, each.abandoned) for each in failed] == [
        ("a", False),
        ("b", True),
        ("c", False),
    ]
    assert {(each.type, each.reason) for each in failed} == {("session.update", "over")}
    assert (ledger.outstanding, ledger.fail_all("over")) == ((), ())
    assert ledger.saw(updated()) is None


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda protocol: protocol.end("the line went dead"), "the line went dead"),
        (lambda protocol: protocol.receive_text(None), "the transport has ended"),
        (rubbish, "the other side sent text that is not a JSON object"),
    ],
    ids=["end", "transport", "violation"],
)
def test_any_end_fails_what_waits_with_its_reason(
    end: Callable[[RealtimeProtocol], None], reason: str
) -> None:
    protocol = client(update(), ask())
    assert protocol.respond(event_id="later") is None

    end(protocol)

    failed = protocol.failed()
    assert [(each.type, each.event_id) for each in failed] == [
        ("session.update", "1"),
        ("response.create", "2"),
        ("response.create", "later"),
    ]
    assert all(each.reason.startswith(reason) for each in failed)
    assert (protocol.outstanding, protocol.settled()) == ((), [])
    protocol.end("once more")
    assert protocol.failed() == []


def test_the_beta_name_of_an_update_is_answered_as_its_twin() -> None:
    protocol = RealtimeProtocol("client")
    beta = {"type": "transcription_session.update", "event_id": "1", "session": {}}
    protocol.send(beta, strict=False)
    assert protocol.outstanding == ("1",)
    came = {"type": "transcription_session.updated", "session": {}}
    protocol.receive_text(json.dumps(came))
    (settled,) = protocol.settled()
    assert (settled.type, settled.event_id) == ("transcription_session.update", "1")


# --- any commands and answers in any order


class Server:
    """A server that answers each command once, and says by an id of its own which one.

    Commands that differ in nothing are answered in their order, and others in any.
    """

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.queues: dict[Any, list[Event]] = {}
        self.items = 0

    def take(self, command: Event) -> None:
        match command:
            case ConversationItemCreate(item=UserMessage(id=item_id)):
                kind: Any = item_id
            case ResponseCreate(response=ResponseParams(metadata=metadata)):
                kind = json.dumps(metadata or None)
            case _:
                kind = getattr(command, "item_id", None) or getattr(command, "response_id", None)
        self.queues.setdefault((command.type, kind), []).append(command)

    def answers(self) -> list[Event]:
        return [self.answer()] if self.queues else []

    def answer(self) -> Event:
        key = self.draw(st.sampled_from(sorted(self.queues, key=repr)))
        command = self.queues[key].pop(0)
        if not self.queues[key]:
            del self.queues[key]
        mark: Any = {"event_id": f"for {command.event_id}"}
        if self.draw(st.integers(0, 4)) == 0:
            return Error(error=ErrorDetails(event_id=command.event_id), **mark)
        return self.answer_to(command, mark)

    def answer_to(self, command: Any, mark: Any) -> Event:  # noqa: PLR0911  a table
        match command:
            case SessionUpdate():
                return SessionUpdated(session=RealtimeSessionConfig(), **mark)
            case InputAudioBufferCommit():
                return InputAudioBufferCommitted(item_id=self.new_item(), **mark)
            case InputAudioBufferClear():
                return InputAudioBufferCleared(**mark)
            case ConversationItemCreate(item=item):
                return ConversationItemAdded(item=message(item.id or self.new_item()), **mark)
            case ConversationItemDelete(item_id=item_id):
                return ConversationItemDeleted(item_id=item_id, **mark)
            case ConversationItemRetrieve(item_id=item_id):
                return ConversationItemRetrieved(item=message(item_id), **mark)
            case ConversationItemTruncate(item_id=item_id):
                return ConversationItemTruncated(item_id=item_id, **PLACE, **mark)
            case ResponseCreate(response=ResponseParams(metadata=metadata)):
                return ResponseCreated(response=Response(id="r", metadata=metadata), **mark)
        return ResponseDone(response=Response(id=command.response_id), **mark)

    def something_else(self) -> list[Event]:
        """Say what answers nothing: what the model says, and what the user does."""
        item = self.new_item()
        speech = InputAudioBufferSpeechStarted(item_id=item, audio_start_ms=0)
        output = ResponseOutputItemAdded(response_id="x", output_index=0, item=message(item))
        events: list[Event] = [self.draw(st.sampled_from([speech, output])), added(item)]
        others = [created({"not": "ours"}), ended("not ours"), error("not ours")]
        return [*events, self.draw(st.sampled_from(others))]

    def new_item(self) -> str:
        self.items += 1
        return f"server's {self.items}"


commands = st.one_of(
    st.just(update()),
    st.just(InputAudioBufferCommit()),
    st.just(InputAudioBufferClear()),
    st.just(create()),
    st.just("a new item of ours"),
    st.sampled_from("ab").map(lambda item_id: ConversationItemDelete(item_id=item_id)),
    st.sampled_from("ab").map(lambda item_id: ConversationItemRetrieve(item_id=item_id)),
    st.sampled_from("ab").map(truncate),
    st.sampled_from([None, {"n": "1"}, {"n": "2"}]).map(ask),
    st.sampled_from(["r1", "r2"]).map(lambda name: ResponseCancel(response_id=name)),
    st.just(InputAudioBufferAppend(audio=b"")),
)
happenings = st.lists(
    commands | st.sampled_from(["answer", "answer", "abandon", "something else"]), max_size=40
)


@given(happenings, st.data())
def test_every_command_is_settled_once_and_by_its_own_answer(
    happened: list[Any], data: st.DataObject
) -> None:
    protocol, server = RealtimeProtocol("client"), Server(data)
    sent: dict[str, str] = {}
    settled: list[Settled] = []
    abandoned: set[str] = set()

    def receive(*events: Event) -> None:
        for event in events:
            protocol.receive_text(encode(event))
        settled.extend(protocol.settled())

    for what in [*happened, *["answer"] * len(happened)]:
        match what:
            case "answer":
                receive(*server.answers())
            case "abandon":
                abandoned |= {*protocol.outstanding[:1]}
                for event_id in protocol.outstanding[:1]:
                    protocol.abandon(event_id)
            case "something else":
                receive(*server.something_else())
            case _:
                command = create(f"ours {len(sent)}") if isinstance(what, str) else what
                came = decode(send(protocol, command))
                assert isinstance(came, Event)
                if not isinstance(came, InputAudioBufferAppend):
                    sent[str(came.event_id)] = came.type
                    server.take(came)

    assert server.queues == {}
    assert protocol.outstanding == ()
    assert {each.event_id: each.type for each in settled} == sent
    assert len(settled) == len(sent)
    assert {each.event_id for each in settled if each.abandoned} == abandoned
    for each in settled:
        assert isinstance(each.event, Event)
        assert each.event.event_id == f"for {each.event_id}"  # type: ignore[attr-defined]


@given(st.lists(client_events | server_events | unknown_events, max_size=15))
@example([InputAudioBufferCommit(event_id="0"), OutputAudioBufferClear(event_id="0")])
def test_no_commands_and_no_answers_are_too_much(events: list[AnyEvent]) -> None:
    protocol, sent = RealtimeProtocol("client"), 0
    settled = []
    for event in events:
        if event.type in CLIENT_EVENTS:
            taken = ("", *protocol.outstanding)
            with nullcontext() if event.event_id not in taken else pytest.raises(MeshError):  # type: ignore[union-attr]
                protocol.send(event, strict=False)
                sent += event.type in ACKNOWLEDGEMENTS
        else:
            protocol.receive_text(encode(event))
        settled += [each.event_id for each in protocol.settled()]
    assert len(settled) + len(protocol.outstanding) == sent
