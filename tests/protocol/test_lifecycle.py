"""The life of a session: the table says what may happen; what may not happen changes nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from meshrt.errors import LocalProtocolError, MeshError, RemoteProtocolError
from meshrt.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    Error,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    RealtimeSessionConfig,
    SessionCreated,
    SessionUpdated,
    UnknownEvent,
)
from meshrt.protocol import TRANSITIONS, RealtimeProtocol, Role, State, Step, decode, encode
from meshrt.protocol._state import step_of

Do = Callable[[RealtimeProtocol], object]

CREATED = SessionCreated(session=RealtimeSessionConfig(id="sess_1"))
UPDATED = SessionUpdated(session=RealtimeSessionConfig(id="sess_2"))


def receive(text: str | bytes | None) -> Do:
    return lambda protocol: protocol.receive_text(text)


def send(event: Any) -> Do:
    return lambda protocol: protocol.send(event)


# Each way in which a step can happen to a side.
WAYS: dict[tuple[Role, Step], list[Do]] = {
    ("client", Step.GREETING): [receive(encode(CREATED)), receive(encode(UPDATED))],
    ("client", Step.SERVER_EVENT): [
        receive(encode(InputAudioBufferCleared())),
        receive('{"type":"never.heard.of"}'),
        receive('{"type":"response.done"}'),
        receive('{"type":"session.update","session":{"type":"realtime"}}'),
    ],
    ("client", Step.CLIENT_EVENT): [
        send(InputAudioBufferClear()),
        send({"type": "session.update", "session": {"type": "realtime"}}),
        lambda protocol: protocol.advance(protocol.prepare_audio(b"")),
    ],
    ("client", Step.VIOLATION): [receive("{"), receive("[]"), receive(b"{}"), receive("{}")],
    ("client", Step.END): [receive(None)],
    ("server", Step.GREETING): [send(CREATED), send(UPDATED)],
    ("server", Step.SERVER_EVENT): [
        send(InputAudioBufferCleared()),
        send({"type": "never.heard.of"}),
    ],
    ("server", Step.CLIENT_EVENT): [
        receive(encode(InputAudioBufferClear())),
        receive('{"type":"session.created","session":{"type":"realtime"}}'),
        receive('{"type":"never.heard.of"}'),
        receive('{"type":"session.update"}'),
    ],
    ("server", Step.END): [receive(None)],
}
PATHS: dict[tuple[Role, State], list[Step]] = {
    ("client", State.CONNECTING): [],
    ("client", State.OPEN): [Step.GREETING],
    ("client", State.ENDED): [Step.GREETING, Step.END],
    ("client", State.FAILED): [Step.GREETING, Step.VIOLATION],
    ("server", State.CONNECTING): [],
    ("server", State.OPEN): [Step.GREETING],
    ("server", State.ENDED): [Step.GREETING, Step.END],
}
CASES = [
    (role, state, step, index)
    for role, state in PATHS
    for (side, step), ways in WAYS.items()
    if side == role
    for index in range(len(ways))
]


def protocol_in(role: Role, state: State) -> RealtimeProtocol:
    """Return a protocol that has come to a state by itself."""
    protocol = RealtimeProtocol(role)
    for step in PATHS[role, state]:
        try:
            WAYS[role, step][0](protocol)
        except RemoteProtocolError:
            assert step is Step.VIOLATION
    assert protocol.state is state
    return protocol


def snapshot(protocol: RealtimeProtocol) -> tuple[object, ...]:
    """Return all that can be seen of a protocol, without taking anything out of it."""
    return (
        protocol.state,
        protocol.session,
        protocol.turn_in_flight,
        protocol.active_responses,
        list(protocol._events),
        list(protocol._to_send),
    )


def test_the_table_is_all_there_is() -> None:
    living = [
        (State.CONNECTING, Step.GREETING, State.OPEN),
        (State.CONNECTING, Step.SERVER_EVENT, State.CONNECTING),
        (State.CONNECTING, Step.CLIENT_EVENT, State.CONNECTING),
        (State.CONNECTING, Step.VIOLATION, State.FAILED),
        (State.CONNECTING, Step.END, State.ENDED),
        (State.OPEN, Step.GREETING, State.OPEN),
        (State.OPEN, Step.SERVER_EVENT, State.OPEN),
        (State.OPEN, Step.CLIENT_EVENT, State.OPEN),
        (State.OPEN, Step.VIOLATION, State.FAILED),
        (State.OPEN, Step.END, State.ENDED),
    ]
    over = [(state, Step.END, state) for state in (State.ENDED, State.FAILED)]
    assert dict(TRANSITIONS) == {(start, step): end for start, step, end in [*living, *over]}
    with pytest.raises(TypeError, match="does not support item"):
        TRANSITIONS[State.ENDED, Step.GREETING] = State.OPEN  # type: ignore[index]


def test_the_ways_below_are_all_steps_and_the_paths_all_states() -> None:
    assert {step for role, step in WAYS if role == "client"} == set(Step)
    assert {step for role, step in WAYS if role == "server"} == set(Step) - {Step.VIOLATION}
    assert {state for role, state in PATHS if role == "client"} == set(State)
    assert {state for role, state in PATHS if role == "server"} == set(State) - {State.FAILED}


@pytest.mark.parametrize(("role", "state", "step", "index"), CASES, ids=str)
def test_a_step_leads_where_the_table_says_or_nowhere(
    role: Role, state: State, step: Step, index: int
) -> None:
    protocol = protocol_in(role, state)
    before = snapshot(protocol)
    error: MeshError | None = None
    try:
        WAYS[role, step][index](protocol)
    except MeshError as raised:
        error = raised
    if (state, step) not in TRANSITIONS:
        assert type(error) is LocalProtocolError
        assert f"the session is {state.value}" in str(error)
        assert snapshot(protocol) == before
    else:
        assert type(error) is (RemoteProtocolError if step is Step.VIOLATION else type(None))
        assert protocol.state is TRANSITIONS[state, step]
    if step in (Step.VIOLATION, Step.END):
        assert snapshot(protocol)[1:] == before[1:]


def test_each_event_is_the_step_that_its_side_and_its_name_say() -> None:
    for wire_name in (*SERVER_EVENTS, *CLIENT_EVENTS, "never.heard.of"):
        greets = wire_name in {"session.created", "session.updated"}
        expected = Step.GREETING if greets else Step.SERVER_EVENT
        assert step_of(wire_name, from_server=True) is expected
        assert step_of(wire_name, from_server=False) is Step.CLIENT_EVENT


@pytest.mark.parametrize(
    ("text", "close_code"), [(b'{"type":"error"}', 1003), (b"", 1003), ("{", 1007), ("[]", 1007)]
)
def test_a_client_says_with_which_code_to_close(text: str | bytes, close_code: int) -> None:
    protocol = RealtimeProtocol("client")
    with pytest.raises(RemoteProtocolError) as info:
        protocol.receive_text(text)
    assert info.value.close_code == close_code
    assert (protocol.to_send(), protocol.events()) == ([], [])


@pytest.mark.parametrize("state", [State.ENDED, State.FAILED])
@pytest.mark.parametrize("text", ['{"type":"error"}', b"", "{"])
def test_after_the_end_a_client_receives_nothing_but_the_end(
    state: State, text: str | bytes
) -> None:
    protocol = protocol_in("client", state)
    before = snapshot(protocol)
    with pytest.raises(LocalProtocolError, match="nothing more can be received"):
        protocol.receive_text(text)
    protocol.receive_text(None)
    assert snapshot(protocol) == before


def test_what_came_before_the_end_can_still_be_taken() -> None:
    protocol = protocol_in("client", State.CONNECTING)
    protocol.receive_text('{"type":"never.heard.of"}')
    with pytest.raises(RemoteProtocolError):
        protocol.receive_text("{")
    assert [event.type for event in protocol.events()] == ["never.heard.of"]


def test_events_come_in_order_and_once() -> None:
    protocol = RealtimeProtocol("client")
    names = [f"event.number_{index}" for index in range(5)]
    for name in names[:3]:
        protocol.receive_text(json.dumps({"type": name}))
    first = protocol.events()
    assert [event.type for event in first] == names[:3]
    assert protocol.events() == []
    for name in names[3:]:
        protocol.receive_text(json.dumps({"type": name}))
    assert [event.type for event in protocol.events()] == names[3:]
    assert len(first) == 3


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *[(text, "invalid_json") for text in ("", "{", "[]", "{}", "\ud800")],
        *[(data, "invalid_event") for data in (b"", b'{"type":"input_audio_buffer.clear"}')],
    ],
)
@pytest.mark.parametrize("state", [State.CONNECTING, State.OPEN])
def test_a_server_answers_what_is_not_of_this_wire_and_goes_on(
    state: State, text: str | bytes, code: str
) -> None:
    protocol = protocol_in("server", state)
    protocol.receive_text(text)
    assert protocol.state is state
    assert protocol.events() == []
    (answer,) = protocol.to_send()
    error = decode(answer)
    assert isinstance(error, Error)
    assert isinstance(error.event_id, str)
    assert (error.error.type, error.error.code) == ("invalid_request_error", code)
    assert (error.error.param, error.error.event_id) == (None, None)
    assert isinstance(error.error.message, str)
    protocol.receive_text(encode(InputAudioBufferClear(event_id="mine")))
    assert protocol.events() == [InputAudioBufferClear(event_id="mine")]
    client = RealtimeProtocol("client")
    client.receive_text(answer)
    assert client.events() == [error]


def test_what_a_server_owes_comes_in_order_and_once_also_after_the_end() -> None:
    protocol = RealtimeProtocol("server", make_id=iter("abc").__next__)
    for text in ("{", b"", "[]"):
        protocol.receive_text(text)
    protocol.receive_text(None)
    answers = [json.loads(text) for text in protocol.to_send()]
    assert [answer["event_id"] for answer in answers] == ["a", "b", "c"]
    assert [answer["error"]["code"] for answer in answers] == [
        "invalid_json",
        "invalid_event",
        "invalid_json",
    ]
    assert protocol.to_send() == []


@pytest.mark.parametrize("role", ["client", "server"])
def test_an_event_of_our_own_side_is_unknown_and_says_why(role: Role) -> None:
    event = InputAudioBufferClear() if role == "client" else InputAudioBufferCleared()
    protocol = RealtimeProtocol(role)
    protocol.receive_text(encode(event))
    (received,) = protocol.events()
    assert received == UnknownEvent(type=event.type, data={"type": event.type})
    assert isinstance(received, UnknownEvent)
    assert received.problem == f"{event.type} is an event of our own side"


def test_a_greeting_from_a_client_opens_no_server() -> None:
    protocol = RealtimeProtocol("server")
    protocol.receive_text(encode(CREATED))
    assert protocol.state is State.CONNECTING
    assert protocol.session is None


def test_an_update_that_a_server_sends_to_itself_opens_no_client() -> None:
    protocol = RealtimeProtocol("client")
    protocol.send({"type": "session.update", "session": {"type": "realtime", "id": "x"}})
    assert protocol.state is State.CONNECTING
    assert protocol.session is None
