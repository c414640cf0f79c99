"""Whose turn it is: what may be asked for now, what waits, and what is cancelled by which id."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from meshrt.errors import LocalProtocolError
from meshrt.events import (
    UNSET,
    Error,
    ErrorDetails,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseParams,
)
from meshrt.protocol import (
    AnyEvent,
    Conversation,
    Failed,
    RealtimeProtocol,
    decode,
    encode,
)
from meshrt.protocol._turns import Turns

OUTSIDE = ResponseParams(conversation="none")


def created(response_id: Any = "r", **fields: Any) -> ResponseCreated:
    return ResponseCreated(response=Response(id=response_id, **fields))


def ended(response_id: Any = "r", **fields: Any) -> ResponseDone:
    return ResponseDone(response=Response(id=response_id, status="completed", **fields))


TAKEN = "conversation_already_has_active_response"


def refusal(event_id: Any, code: Any = UNSET) -> Error:
    return Error(error=ErrorDetails(event_id=event_id, code=code))


def receive(protocol: RealtimeProtocol, *events: AnyEvent | dict[str, Any]) -> None:
    for event in events:
        protocol.receive_text(json.dumps(event) if isinstance(event, dict) else encode(event))


def client(*events: AnyEvent) -> RealtimeProtocol:
    protocol = RealtimeProtocol("client")
    receive(protocol, *events)
    return protocol


def ask(protocol: RealtimeProtocol, event_id: str, **params: Any) -> None:
    event = ResponseCreate(event_id=event_id)
    response = ResponseParams(**params)
    protocol.send(ResponseCreate(event_id=event_id, response=response) if params else event)


def due(protocol: RealtimeProtocol) -> list[AnyEvent]:
    """Return what the protocol owes the server, without the ids that it makes."""
    found = [json.loads(text) for text in protocol.to_send()]
    assert all(isinstance(event.pop("event_id"), str) for event in found)
    return [decode(json.dumps(event)) for event in found]


# --- respond


@pytest.mark.parametrize("params", [None, ResponseParams(), ResponseParams(instructions="Go.")])
def test_with_nothing_in_the_way_a_response_may_be_asked_for_at_once(params: Any) -> None:
    protocol = client()
    event = protocol.respond(params, event_id="mine")
    response = UNSET if params is None else params
    assert event == ResponseCreate(event_id="mine", response=response)
    assert protocol.to_send() == []
    assert not protocol.turn_in_flight  # it is not sent yet


@pytest.mark.parametrize("place", ["conv_1", UNSET])
def test_a_response_waits_for_the_one_that_runs(place: Any) -> None:
    protocol = client(created(conversation_id=place))
    params = ResponseParams(instructions="Later.")
    assert protocol.respond(params) is None
    receive(protocol, InputAudioBufferCleared(), ended("another"))
    assert due(protocol) == []
    assert protocol.turn_in_flight
    receive(protocol, ended(conversation_id=place))
    assert due(protocol) == [ResponseCreate(response=params)]
    assert protocol.turn_in_flight
    assert protocol.to_send() == []


def test_a_response_waits_for_the_one_that_was_asked_for_also_by_hand() -> None:
    protocol = client()
    protocol.send({"type": "response.create"})
    assert protocol.respond() is None
    receive(protocol, created())
    assert due(protocol) == []
    receive(protocol, ended())
    assert due(protocol) == [ResponseCreate()]


def test_a_response_is_due_after_the_error_that_refused_what_it_waits_for() -> None:
    protocol = client()
    ask(protocol, "mine")
    assert protocol.respond() is None
    receive(protocol, refusal("another"))
    assert due(protocol) == []
    receive(protocol, refusal("mine"))
    assert due(protocol) == [ResponseCreate()]


@pytest.mark.parametrize("event_id", [None, UNSET])
def test_an_error_that_quotes_nothing_refuses_the_only_command_there_is(event_id: Any) -> None:
    protocol = client()
    ask(protocol, "mine")
    assert protocol.respond() is None
    protocol.send(InputAudioBufferClear())
    receive(protocol, refusal(event_id))
    assert due(protocol) == []
    receive(protocol, InputAudioBufferCleared(), refusal(event_id))
    assert due(protocol) == [ResponseCreate()]


@pytest.mark.parametrize("details", [{}, {"event_id": None}, {"message": 7}])
def test_an_error_whose_code_is_about_a_response_refuses_the_oldest_whatever_else_is_out(
    details: dict[str, Any],
) -> None:
    protocol = client()
    ask(protocol, "outside", conversation="none")
    ask(protocol, "mine")
    protocol.send(InputAudioBufferClear())
    assert protocol.respond() is None
    receive(protocol, {"type": "error", "error": {**details, "code": "server_error"}})
    assert due(protocol) == []
    receive(protocol, {"type": "error", "error": {**details, "code": TAKEN}})
    assert due(protocol) == [ResponseCreate()]
    # What was asked for outside can't have been refused for this.
    receive(protocol, created("o", conversation_id=None), ended("o"))
    assert protocol.turn_in_flight


def test_an_error_that_is_about_a_response_refuses_one_and_no_more() -> None:
    protocol = client()
    ask(protocol, "mine")
    ask(protocol, "another")
    receive(protocol, refusal("mine", TAKEN), refusal("never sent", TAKEN))
    assert protocol.turn_in_flight
    receive(protocol, refusal(None, TAKEN), refusal(None, TAKEN))
    assert not protocol.turn_in_flight


def test_the_waiting_take_their_turns_one_by_one_in_order() -> None:
    protocol = client(created("r0"))
    for number in range(3):
        assert protocol.respond(ResponseParams(instructions=str(number))) is None
    asked = []
    for number in range(4):
        receive(protocol, ended(f"r{number}"))
        asked += due(protocol)
        assert due(protocol) == []
        receive(protocol, created(f"r{number + 1}"))
    assert asked == [ResponseCreate(response=ResponseParams(instructions=n)) for n in "012"]


def test_one_that_was_waiting_and_is_refused_gives_way_to_the_next() -> None:
    protocol = client(created("r0"))
    protocol.respond()
    protocol.respond(ResponseParams(instructions="Second."))
    receive(protocol, ended("r0"))
    (text,) = protocol.to_send()
    receive(protocol, refusal(json.loads(text)["event_id"]))
    assert due(protocol) == [ResponseCreate(response=ResponseParams(instructions="Second."))]


def test_a_waiting_response_that_is_abandoned_is_not_asked_for() -> None:
    protocol = client(created("r0"))
    for event_id in "abcd":
        assert protocol.respond(event_id=event_id) is None
    for event_id in ("b", "d", "never heard of"):
        protocol.abandon(event_id)
    asked = []
    for number in range(4):
        receive(protocol, ended(f"r{number}"))
        asked += [json.loads(text)["event_id"] for text in protocol.to_send()]
        receive(protocol, created(f"r{number + 1}"))
    assert asked == ["a", "c"]


def test_a_response_can_be_known_by_its_id_before_it_is_sent() -> None:
    protocol = client()
    event_id = protocol.make_id()
    event = protocol.respond(event_id=event_id)
    assert event == ResponseCreate(event_id=event_id)
    assert json.loads(protocol.send(event))["event_id"] == event_id
    assert protocol.outstanding == (event_id,)
    assert protocol.make_id() != event_id


def test_a_response_outside_the_conversation_waits_for_nothing() -> None:
    protocol = client(created())
    ask(protocol, "mine")
    event = protocol.respond(OUTSIDE, event_id="other")
    assert event == ResponseCreate(event_id="other", response=OUTSIDE)


@pytest.mark.filterwarnings("ignore:meshrt does not know the value at .*conversation")
@pytest.mark.parametrize("place", ["auto", None, UNSET, "conv_7"])
def test_a_response_in_any_other_place_waits(place: Any) -> None:
    protocol = client(created())
    assert protocol.respond(ResponseParams(conversation=place)) is None


def test_nothing_waits_for_a_response_outside_the_conversation() -> None:
    protocol = client()
    ask(protocol, "outside", conversation="none")
    assert protocol.respond() is not None
    receive(protocol, created(conversation_id=None))
    assert protocol.respond() is not None


def test_params_that_can_not_be_sent_are_refused_at_once_and_do_not_wait() -> None:
    protocol = client(created())
    with pytest.raises(LocalProtocolError, match="does not fit"):
        protocol.respond(ResponseParams(instructions=7))  # type: ignore[arg-type]
    receive(protocol, ended())
    assert due(protocol) == []


def test_a_server_asks_for_no_response() -> None:
    with pytest.raises(LocalProtocolError, match="sent by the other side"):
        RealtimeProtocol("server").respond()


def test_when_the_session_has_ended_nothing_is_due() -> None:
    protocol = client(created())
    protocol.respond()
    protocol.receive_text(None)
    assert due(protocol) == []


# --- cancel


def test_where_nothing_runs_there_is_nothing_to_cancel() -> None:
    protocol = client(created(), ended())
    assert protocol.cancel() == ()
    assert protocol.cancel("r") == ()
    assert protocol.cancel("never heard of") == ()


def test_what_runs_in_the_conversation_is_cancelled_by_its_id() -> None:
    protocol = client(created("r"), created("outside", conversation_id=None), created("s"))
    assert protocol.cancel() == (
        ResponseCancel(response_id="r"),
        ResponseCancel(response_id="s"),
    )
    assert protocol.cancel("s") == (ResponseCancel(response_id="s"),)
    assert protocol.cancel("outside") == (ResponseCancel(response_id="outside"),)


def test_what_was_asked_for_is_cancelled_as_soon_as_it_has_an_id() -> None:
    protocol = client()
    ask(protocol, "mine")
    assert protocol.cancel() == ()
    assert protocol.cancel() == ()
    assert due(protocol) == []
    receive(protocol, created("r"))
    assert due(protocol) == [ResponseCancel(response_id="r")]
    receive(protocol, created("s"))
    assert due(protocol) == []


def test_a_cancel_by_id_marks_nothing_else() -> None:
    protocol = client(created("r"))
    ask(protocol, "mine")
    assert protocol.cancel("r") == (ResponseCancel(response_id="r"),)
    receive(protocol, ended("r"), created("s"))
    assert due(protocol) == []


def test_what_was_asked_for_outside_the_conversation_is_not_cancelled_with_it() -> None:
    protocol = client()
    ask(protocol, "outside", conversation="none")
    assert protocol.cancel() == ()
    receive(protocol, created("r", conversation_id=None))
    assert due(protocol) == []


def test_of_two_that_were_asked_for_the_one_in_the_same_place_is_cancelled() -> None:
    protocol = client()
    ask(protocol, "inside")
    ask(protocol, "outside", conversation="none")
    protocol.cancel()
    receive(protocol, created("s", conversation_id=None))
    assert due(protocol) == []
    receive(protocol, created("r", conversation_id="conv_1"))
    assert due(protocol) == [ResponseCancel(response_id="r")]


@pytest.mark.parametrize("place", [UNSET, "conv_1"])
def test_where_the_place_is_not_said_or_not_asked_for_the_oldest_is_answered(place: Any) -> None:
    protocol = client()
    ask(protocol, "outside", conversation="none")
    if place is UNSET:
        ask(protocol, "inside")
    protocol.cancel()
    receive(protocol, created("r", conversation_id=place))
    assert due(protocol) == []
    receive(protocol, created("s", conversation_id=place))
    assert due(protocol) == ([ResponseCancel(response_id="s")] if place is UNSET else [])


def test_a_cancelled_one_that_is_refused_is_forgotten() -> None:
    protocol = client()
    ask(protocol, "mine")
    protocol.cancel()
    receive(protocol, refusal("mine"), created("r"))
    assert due(protocol) == []


@pytest.mark.parametrize("response_id", [None, UNSET])
def test_a_response_without_an_id_can_not_be_cancelled_and_is_no_longer_waited_for(
    response_id: Any,
) -> None:
    protocol = client()
    ask(protocol, "mine")
    protocol.cancel()
    receive(protocol, created(response_id))
    assert due(protocol) == []
    assert not protocol.turn_in_flight


def test_who_cancels_everything_withdraws_what_waits_as_well() -> None:
    protocol = client(created("r"))
    assert protocol.respond(event_id="a") is None
    assert protocol.respond(event_id="b") is None
    assert protocol.cancel("r") == (ResponseCancel(response_id="r"),)
    assert (protocol.failed(), protocol.pending_responses) == ([], ("a", "b"))
    assert protocol.cancel() == (ResponseCancel(response_id="r"),)
    reason = "it was cancelled before its turn came"
    assert protocol.failed() == [
        Failed(type="response.create", event_id=event_id, reason=reason, abandoned=False)
        for event_id in "ab"
    ]
    assert protocol.pending_responses == ()
    assert protocol.respond(event_id="a") is None  # it is a new one
    receive(protocol, ended("r"))
    assert due(protocol) == [ResponseCreate()]


def test_what_has_not_begun_is_known_by_its_ids() -> None:
    protocol = client()
    ask(protocol, "asked")
    ask(protocol, "outside", conversation="none")
    for event_id in ("a", "b"):
        protocol.respond(event_id=event_id)
    assert protocol.pending_responses == ("asked", "outside", "a", "b")
    assert protocol.outstanding == ("asked", "outside")
    protocol.abandon("a")
    receive(protocol, created("r"), refusal("outside"))
    assert protocol.pending_responses == ("b",)
    receive(protocol, ended("r"))
    assert protocol.pending_responses == protocol.outstanding == ("b",)
    receive(protocol, created("s"))
    assert protocol.pending_responses == ()
    server = RealtimeProtocol("server")
    receive(server, ResponseCreate(), ResponseCreate(event_id="a"))
    assert server.pending_responses == ("a",)


def test_the_cancel_goes_out_before_what_waits() -> None:
    protocol = client()
    ask(protocol, "mine")
    protocol.cancel()
    protocol.respond()
    receive(protocol, created("r"))
    assert due(protocol) == [ResponseCancel(response_id="r")]
    receive(protocol, ended("r"))
    assert due(protocol) == [ResponseCreate()]


def test_the_protocols_own_cancel_is_a_command_like_others() -> None:
    protocol = client()
    ask(protocol, "mine")
    protocol.cancel()
    receive(protocol, created("r"))
    (text,) = protocol.to_send()
    assert protocol.outstanding == (json.loads(text)["event_id"],)
    receive(protocol, ended("r"))
    assert [settled.type for settled in protocol.settled()] == [
        "response.create",
        "response.cancel",
    ]


# --- what does not fit


def test_a_created_that_does_not_fit_ends_the_waiting_for_it() -> None:
    protocol = client()
    ask(protocol, "mine")
    receive(protocol, {"type": "response.created", "response": {"id": 7}})
    assert not protocol.turn_in_flight
    receive(protocol, {"type": "response.created", "response": {"id": 7}})


@pytest.mark.parametrize("response", [{"id": "r", "output": 5}, {"id": 7}, 7, None])
def test_an_end_that_does_not_fit_makes_way_for_what_waits(response: Any) -> None:
    protocol = client(created("r"))
    assert protocol.respond() is None
    receive(protocol, {"type": "response.done", "response": response})
    assert protocol.active_responses == ()
    assert due(protocol) == [ResponseCreate()]


def test_a_cancelled_one_whose_created_does_not_fit_is_cancelled_by_its_id() -> None:
    protocol = client()
    ask(protocol, "mine")
    protocol.cancel()
    receive(protocol, {"type": "response.created", "response": {"id": "r", "output": 5}})
    assert protocol.active_responses == ("r",)
    assert due(protocol) == [ResponseCancel(response_id="r")]


@pytest.mark.parametrize(
    "error", [{"event_id": "mine", "code": 404}, {"event_id": "mine", "x": 1}]
)
def test_an_error_that_does_not_fit_refuses_what_it_quotes(error: dict[str, Any]) -> None:
    protocol = client()
    ask(protocol, "mine")
    ask(protocol, "another")
    receive(protocol, {"type": "error", "error": error})
    assert protocol.outstanding == ("another",)
    receive(protocol, {"type": "error", "error": {**error, "event_id": "another"}})
    assert not protocol.turn_in_flight


@pytest.mark.parametrize("error", ["no", None, [], {"event_id": None, "code": 404}, {}])
def test_an_error_that_fits_nothing_and_quotes_nothing_does_as_well(error: Any) -> None:
    protocol = client()
    ask(protocol, "mine")
    ask(protocol, "another")
    receive(protocol, {"type": "error", "error": error}, refusal("another"))
    assert protocol.turn_in_flight
    receive(protocol, {"type": "error", "error": error})
    assert not protocol.turn_in_flight


# --- the other side


def test_a_server_knows_what_was_asked_of_it() -> None:
    server = RealtimeProtocol("server")
    receive(server, ResponseCreate(event_id="a"), ResponseCreate(event_id="b"))
    assert server.turn_in_flight
    server.send(refusal("b"))
    server.send(created("r"))
    server.send(ended("r"))
    assert not server.turn_in_flight
    assert server.to_send() == []


@pytest.mark.parametrize("event_id", [None, UNSET, ""])
def test_a_request_without_an_id_is_refused_by_an_error_without_one(event_id: Any) -> None:
    server = RealtimeProtocol("server")
    receive(server, ResponseCreate(event_id=event_id))
    assert server.turn_in_flight
    for event in (refusal("another"), InputAudioBufferCleared()):
        server.send(event)
        assert server.turn_in_flight
    server.send(refusal(None))
    assert not server.turn_in_flight


def test_a_request_outside_the_conversation_is_one_for_the_server_too() -> None:
    server = RealtimeProtocol("server")
    receive(server, ResponseCreate(event_id="a", response=OUTSIDE))
    server.send(created("r", conversation_id=None))
    server.send(ended("r"))
    assert not server.turn_in_flight


def test_who_waits_can_be_seen() -> None:
    conversation = Conversation()
    turns = Turns(conversation)
    turns.asked("a", in_conversation=True)
    assert turns.waiting == ()
    event = ResponseCreate(event_id="b")
    assert turns.respond(event) is None
    assert (turns.waiting, list(turns.due())) == (("b",), [])
    turns.saw(refusal("a"), refused="a")
    assert (turns.waiting, list(turns.due()), list(turns.due())) == ((), [event], [])


# --- any order of all of it

NAMES = ["r1", "r2", "r3"]
steps = st.one_of(
    st.just(("respond", "")),
    st.just(("ask", "")),
    st.just(("cancel", "")),
    st.tuples(st.just("created"), st.sampled_from(NAMES)),
    st.tuples(st.just("ended"), st.sampled_from(NAMES)),
    st.tuples(st.just("refused"), st.integers(0, 3).map(str)),
)


@given(st.lists(steps, max_size=25))
def test_whatever_happens_two_turns_are_never_asked_for_by_the_protocol_at_once(
    taken: list[tuple[str, str]],
) -> None:
    protocol = client()
    responds, asked_later = 0, 0
    ids: list[str] = []
    for step, name in taken:
        match step:
            case "respond":
                event = protocol.respond()
                responds += event is None
                if event is not None:
                    # Nothing may be sent while something runs, or is on its way.
                    assert not protocol.turn_in_flight
                    ids.append(json.loads(protocol.send(event))["event_id"])
            case "ask":
                ids.append(json.loads(protocol.send(ResponseCreate()))["event_id"])
            case "cancel":
                running = protocol.active_responses
                assert [event.response_id for event in protocol.cancel()] == list(running)
            case "created":
                receive(protocol, created(name))
            case "ended":
                receive(protocol, ended(name))
            case _:
                receive(protocol, *(refusal(event_id) for event_id in ids[int(name) :][:1]))
                receive(protocol, InputAudioBufferCommitted(item_id="u"))
        for text in protocol.to_send():
            event_ = decode(text)
            if isinstance(event_, ResponseCreate):
                asked_later += 1
                assert protocol.active_responses == ()
                ids.append(json.loads(text)["event_id"])
            else:
                assert isinstance(event_, ResponseCancel)
                assert event_.response_id in NAMES
    assert asked_later <= responds
