"""What a protocol knows of the session and its turns, from the events of both directions."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from meshrt.events import (
    Error,
    ErrorDetails,
    Event,
    RealtimeSessionConfig,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    TranscriptionSession,
    TranslationSession,
)
from meshrt.protocol import RealtimeProtocol, State, encode
from tests.strategies import objects

ids = st.sampled_from("abc")
FULL = RealtimeSessionConfig(id="sess_1", expires_at=1_800_000_000, model="m")


def created(response_id: Any = "r1", **fields: Any) -> ResponseCreated:
    return ResponseCreated(response=Response(id=response_id, **fields))


def done(response_id: Any = "r1", status: str = "completed") -> ResponseDone:
    return ResponseDone(response=Response(id=response_id, status=status))


def refusal(event_id: Any) -> Error:
    return Error(error=ErrorDetails(event_id=event_id))


def ask(event_id: str) -> ResponseCreate:
    return ResponseCreate(event_id=event_id)


def client_after(*events: Event) -> RealtimeProtocol:
    """Return a client that has sent and received these, each as its direction is."""
    protocol = RealtimeProtocol("client")
    for event in events:
        if isinstance(event, ResponseCreate | ResponseCancel):
            protocol.send(event)
        else:
            protocol.receive_text(encode(event))
    return protocol


def server_after(*events: Event) -> RealtimeProtocol:
    protocol = RealtimeProtocol("server")
    for event in events:
        if isinstance(event, ResponseCreate | ResponseCancel):
            protocol.receive_text(encode(event))
        else:
            protocol.send(event)
    return protocol


both_sides = pytest.mark.parametrize("after", [client_after, server_after])


@both_sides
def test_before_the_greeting_nothing_is_known(after: Any) -> None:
    protocol = after()
    assert (protocol.session, protocol.session_id, protocol.state) == (
        None,
        None,
        State.CONNECTING,
    )
    assert (protocol.turn_in_flight, protocol.active_responses) == (False, ())


@both_sides
@pytest.mark.parametrize("greeting", [SessionCreated, SessionUpdated])
def test_the_greeting_says_the_session_its_id_and_its_expiry(after: Any, greeting: Any) -> None:
    protocol = after(greeting(session=FULL))
    assert protocol.session == FULL
    assert protocol.session_id == "sess_1"
    assert protocol.session.expires_at == 1_800_000_000
    assert protocol.state is State.OPEN


@both_sides
def test_the_last_word_about_the_session_counts(after: Any) -> None:
    later = RealtimeSessionConfig(id="sess_1", expires_at=1_900_000_000)
    protocol = after(SessionCreated(session=FULL), SessionUpdated(session=later))
    assert protocol.session == later
    assert protocol.session.expires_at == 1_900_000_000


@both_sides
@pytest.mark.parametrize(
    ("session", "session_id"),
    [
        (TranscriptionSession(id="sess_2"), "sess_2"),
        (RealtimeSessionConfig(id=None), None),
        (RealtimeSessionConfig(), None),
        (TranslationSession(id="sess_3"), "sess_3"),
        ({"type": "new_session", "id": "sess_4"}, "sess_4"),
        ({"type": "new_session", "id": 3}, None),
        ({}, None),
    ],
    ids=repr,
)
def test_a_session_of_any_kind_has_the_id_that_it_says(
    after: Any, session: Any, session_id: str | None
) -> None:
    protocol = after(SessionCreated(session=session))
    assert protocol.session == session
    assert protocol.session_id == session_id


@pytest.mark.parametrize("wire_name", ["session.created", "session.updated"])
def test_a_greeting_under_its_beta_name_is_one_on_both_sides(wire_name: str) -> None:
    server, client = RealtimeProtocol("server"), RealtimeProtocol("client")
    session = {"id": "sess_1", "object": "realtime.transcription_session"}
    client.receive_text(server.send({"type": f"transcription_{wire_name}", "session": session}))
    for protocol in (server, client):
        assert (protocol.state, protocol.session_id) == (State.OPEN, "sess_1")


def test_a_greeting_that_does_not_fit_opens_the_session_and_changes_nothing_known() -> None:
    protocol = RealtimeProtocol("client")
    protocol.receive_text('{"type":"session.created","session":3}')
    assert (protocol.state, protocol.session) == (State.OPEN, None)
    protocol = client_after(SessionCreated(session=FULL))
    protocol.receive_text('{"type":"session.updated","session":3}')
    assert protocol.session == FULL


@given(objects)
def test_whatever_a_server_says_of_its_session_is_kept(session: dict[str, Any]) -> None:
    text = json.dumps({"type": "session.created", "session": session})
    protocol = RealtimeProtocol("client")
    protocol.receive_text(text)
    assert protocol.session == session
    assert protocol.session_id is None or protocol.session_id == session["id"]


@both_sides
@pytest.mark.parametrize(
    ("events", "active"),
    [
        ([created("r1")], ("r1",)),
        ([created("r1"), created("r2")], ("r1", "r2")),
        ([created("r1"), created("r2"), done("r1")], ("r2",)),
        ([created("r1"), created("r2"), done("r2")], ("r1",)),
        ([created("r2"), created("r1"), created("r2")], ("r2", "r1")),
        ([created("r1"), done("r1"), done("r1")], ()),
        ([done("r1")], ()),
        ([created("r1"), done("r2")], ("r1",)),
        ([created("r1"), done("r1", "cancelled")], ()),
        ([created("r1"), ResponseCancel(response_id="r1")], ("r1",)),
        ([created("r1"), refusal("event_1")], ("r1",)),
        ([created(None), created(done().response.object)], ()),
        ([created("r1"), done(None)], ()),  # only this one can be meant
        ([created("r1"), created("r2"), done(None)], ("r1", "r2")),
    ],
)
def test_the_responses_that_run_are_known_by_their_ids_oldest_first(
    after: Any, events: Sequence[Event], active: tuple[str, ...]
) -> None:
    protocol = after(*events)
    assert protocol.active_responses == active
    assert protocol.turn_in_flight == bool(active)


@pytest.mark.parametrize(
    ("events", "in_flight"),
    [
        ([ask("a")], True),
        ([ask("a"), created("r1")], True),
        ([ask("a"), created("r1"), done("r1")], False),
        ([ask("a"), refusal("a")], False),
        ([ask("a"), refusal("b")], True),
        ([ask("a"), refusal(None)], False),
        ([ask("a"), ask("b"), refusal(None)], True),
        ([ask("a"), ask("b"), refusal("b")], True),
        ([ask("a"), ask("b"), refusal("b"), refusal("a")], False),
        ([ask("a"), ask("b"), created("r1"), done("r1")], True),
        ([ask("a"), created(None)], False),
        ([refusal("a"), ask("a")], True),
    ],
)
def test_a_turn_is_in_flight_from_the_moment_it_is_asked_for(
    events: Sequence[Event], in_flight: bool
) -> None:
    protocol = client_after(*events)
    assert protocol.turn_in_flight == in_flight


def test_a_turn_that_was_asked_for_by_a_mapping_counts_under_the_id_that_was_made() -> None:
    protocol = RealtimeProtocol("client")
    event_id = json.loads(protocol.send({"type": "response.create"}))["event_id"]
    assert protocol.turn_in_flight
    protocol.receive_text(encode(refusal(event_id)))
    assert not protocol.turn_in_flight


def test_asking_is_not_what_was_only_prepared() -> None:
    protocol = RealtimeProtocol("client")
    prepared = protocol.prepare(ResponseCreate())
    assert not protocol.turn_in_flight
    protocol.advance(prepared)
    assert protocol.turn_in_flight


def test_a_response_that_does_not_fit_counts_as_far_as_it_can_be_read() -> None:
    protocol = client_after(created("r1"), created("r2"))
    protocol.receive_text('{"type":"response.done","response":{"id":"r1","usage":3}}')
    assert protocol.active_responses == ("r2",)
    protocol.receive_text('{"type":"response.created","response":{"id":7}}')
    assert protocol.active_responses == ("r2",)


def test_what_runs_when_the_transport_goes_is_still_known_after_it() -> None:
    protocol = client_after(ask("a"), created("r1"), SessionCreated(session=FULL))
    protocol.receive_text(None)
    assert protocol.turn_in_flight
    assert protocol.active_responses == ("r1",)
    assert protocol.session_id == "sess_1"


@given(st.lists(ids.map(created) | ids.map(done)))
def test_both_sides_know_the_same_responses(events: list[Event]) -> None:
    assert client_after(*events).active_responses == server_after(*events).active_responses
    begun = {e.response.id for e in events if isinstance(e, ResponseCreated)}
    assert set(client_after(*events).active_responses) <= begun
