"""Two protocols, one of each role, and nothing between them but text."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
from hypothesis import given, strategies as st

from meshrt.errors import MeshError, RemoteProtocolError
from meshrt.events import Event, UnknownEvent
from meshrt.protocol import AnyEvent, RealtimeProtocol, Role, decode, encode
from tests.strategies import (
    client_events,
    known_events,
    mutated_bytes,
    server_events,
    unknown_events,
)

Said = tuple[Role, AnyEvent]
said: st.SearchStrategy[list[Said]] = st.lists(
    st.tuples(st.just("client"), client_events | unknown_events)
    | st.tuples(st.just("server"), server_events | unknown_events),
    max_size=8,
)
texts_of_anything = st.one_of(
    known_events.map(encode),
    unknown_events.map(encode),
    known_events.map(lambda event: encode(event).encode())
    .flatmap(mutated_bytes)
    .map(lambda data: data.decode(errors="replace")),
    st.sampled_from(["{", "[]", "{}", ""]),
    st.binary(max_size=4),
    st.none(),
)
Step = tuple[Literal["send", "receive"], Any]
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.just("send"), known_events | unknown_events)
    | st.tuples(st.just("receive"), texts_of_anything),
    max_size=10,
)


def as_received(event: AnyEvent, text: str) -> AnyEvent:
    """Return what has to arrive of an event, given the text that was made of it."""
    event_id = json.loads(text)["event_id"]
    if isinstance(event, UnknownEvent):
        return UnknownEvent(type=event.type, data={**event.data, "event_id": event_id})
    return attrs.evolve(event, event_id=event_id)


def run(role: Role, script: Sequence[Step]) -> list[object]:
    """Play a script to one protocol, and return all that can be seen of it after each step."""
    protocol = RealtimeProtocol(role)
    seen: list[object] = []
    for verb, value in script:
        try:
            if verb == "send":
                seen.append(protocol.send(value, strict=False))
            else:
                protocol.receive_text(value)
        except MeshError as error:
            seen.append((type(error), str(error)))
        seen += [protocol.events(), protocol.to_send(), protocol.state, protocol.session]
        seen += [protocol.turn_in_flight, protocol.active_responses]
    return seen


def may_be_sent(event: AnyEvent, protocol: RealtimeProtocol) -> bool:
    """Tell whether its id is one, and no other command's that waits."""
    data = event.data if isinstance(event, UnknownEvent) else attrs.asdict(event)
    return data.get("event_id") not in ("", *protocol.outstanding)


@given(said)
def test_what_one_side_sends_the_other_receives(script: list[Said]) -> None:
    sides = {"client": RealtimeProtocol("client"), "server": RealtimeProtocol("server")}
    for role, event in script:
        if not may_be_sent(event, sides[role]):
            continue
        other = sides["server" if role == "client" else "client"]
        text = sides[role].send(event, strict=False)
        other.receive_text(text)
        (received,) = other.events()
        assert received == as_received(event, text)
        assert type(received) is type(event)
    client, server = sides["client"], sides["server"]
    assert client.state is server.state
    assert client.session == server.session
    assert client.active_responses == server.active_responses


@given(said)
def test_what_was_sent_at_once_arrives_in_order(script: list[Said]) -> None:
    client, server = RealtimeProtocol("client"), RealtimeProtocol("server")
    expected = []
    for _, event in (pair for pair in script if pair[0] == "server"):
        if not may_be_sent(event, server):
            continue
        text = server.send(event, strict=False)
        client.receive_text(text)
        expected.append(as_received(event, text))
    assert client.events() == expected


@given(st.sampled_from(["client", "server"]), steps)
def test_the_same_calls_give_the_same_results(role: Role, script: list[Step]) -> None:
    assert run(role, script) == run(role, script)


@given(steps)
def test_whatever_comes_a_server_answers_and_a_client_fails_once(script: list[Step]) -> None:
    client, server = RealtimeProtocol("client"), RealtimeProtocol("server")
    for _, text in (step for step in script if step[0] == "receive" and step[1] is not None):
        server.receive_text(text)
        received, owed = server.events(), server.to_send()
        assert len(received) + len(owed) == 1
        assert all(decode(answer).type == "error" for answer in owed)
        try:
            client.receive_text(text)
        except RemoteProtocolError:
            assert owed
            client = RealtimeProtocol("client")
        else:
            assert len(client.events()) == len(received) == 1


@given(known_events)
def test_an_event_of_ours_is_known_and_one_of_theirs_is_not(event: Event) -> None:
    for role in ("client", "server"):
        protocol = RealtimeProtocol(role)
        protocol.receive_text(encode(event))
        (received,) = protocol.events()
        assert received.type == event.type
        assert received.data == event.data
        if isinstance(received, UnknownEvent):
            assert received.problem is not None
            assert "of our own side" in received.problem
        else:
            assert received == event


def test_a_mapping_arrives_as_the_typed_event_that_it_describes() -> None:
    client, server = RealtimeProtocol("client"), RealtimeProtocol("server")
    mapping: Mapping[str, Any] = {
        "type": "session.update",
        "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}},
    }
    server.receive_text(client.send(mapping))
    (received,) = server.events()
    assert received.data == {**mapping, "event_id": "event_1"}
    assert isinstance(received, Event)
