"""A client and a server in any order of events, against a model small enough to be believed."""

from collections import deque
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from meshrt.errors import LocalProtocolError, RemoteProtocolError
from meshrt.events import (
    Error,
    ErrorDetails,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    RealtimeSessionConfig,
    Response,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
)
from meshrt.protocol import (
    TRANSITIONS,
    AnyEvent,
    RealtimeProtocol,
    Role,
    State,
    Step,
    decode,
    encode,
)

response_ids = st.sampled_from(["r1", "r2", "r3"])
event_ids = st.sampled_from(["a", "b"])


class Model:
    """What one side knows, as plainly as it can be said."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.state = State.CONNECTING
        self.session_id: str | None = None
        self.commands: list[AnyEvent] = []
        self.asked: list[str] = []
        self.running: list[str] = []
        self.ended: set[str] = set()

    @property
    def outstanding(self) -> tuple[object, ...]:
        return tuple(command.event_id for command in self.commands)

    def server_said(self, event: AnyEvent) -> None:
        match event:
            case SessionCreated(session=session) | SessionUpdated(session=session):
                self.state = State.OPEN
                self.session_id = getattr(session, "id", None)
            case InputAudioBufferCleared():
                self.settle(lambda command: isinstance(command, InputAudioBufferClear))
            case ResponseCreated(response=Response(id=str(response_id))):
                self.settle(lambda command: isinstance(command, ResponseCreate))
                del self.asked[:1]
                if response_id not in {*self.running, *self.ended}:
                    self.running.append(response_id)
            case ResponseDone(response=Response(id=str(response_id))):
                self.running = [other for other in self.running if other != response_id]
                self.ended.add(response_id)
            case Error(error=ErrorDetails(event_id=str(event_id))):
                self.refuse(event_id)
            case Error() if len(self.commands) == 1:  # it quotes nothing, and can mean only this
                self.refuse(str(self.commands[0].event_id))

    def refuse(self, event_id: str) -> None:
        self.settle(lambda command: command.event_id == event_id)
        self.asked = [asked for asked in self.asked if asked != event_id]

    def settle(self, means: Callable[[AnyEvent], bool]) -> None:
        oldest = next(filter(means, self.commands), None)
        if oldest is not None:
            self.commands = [command for command in self.commands if command is not oldest]

    def client_said(self, event: AnyEvent) -> None:
        if self.role == "client":  # a server waits for no answers
            self.commands.append(event)
        if isinstance(event, ResponseCreate):
            self.asked.append(str(event.event_id))


class Wire(RuleBasedStateMachine):
    """Both sides, and the texts that are on their way."""

    taken: ClassVar[set[tuple[State, Step]]] = set()
    refused: ClassVar[set[tuple[State, Step]]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.sides = {"client": RealtimeProtocol("client"), "server": RealtimeProtocol("server")}
        self.models = {"client": Model("client"), "server": Model("server")}
        self.on_the_way: dict[str, deque[str]] = {"client": deque(), "server": deque()}

    @initialize(state=st.sampled_from(State))
    def begin(self, state: State) -> None:
        """Begin in any state, since much of it is rare to be reached by chance."""
        if state is not State.CONNECTING:
            self.server_greets(SessionCreated, 1)
            self.something_reaches_the_client()
        if state is State.FAILED:
            self.rubbish_reaches_the_client("{")
        if state is State.ENDED:
            self.the_transport_ends("client")
            self.the_transport_ends("server")

    @rule(event_id=event_ids)
    def client_asks(self, event_id: str) -> None:
        self.say("client", ResponseCreate(event_id=event_id))

    @rule()
    def client_clears(self) -> None:
        self.say("client", InputAudioBufferClear(event_id="c"))

    @rule(kind=st.sampled_from([SessionCreated, SessionUpdated]), number=st.integers(1, 3))
    def server_greets(self, kind: type[SessionCreated], number: int) -> None:
        self.say("server", kind(event_id="e", session=RealtimeSessionConfig(id=f"sess_{number}")))

    @rule(response_id=response_ids)
    def server_begins(self, response_id: str) -> None:
        response = Response(id=response_id, status="in_progress")
        self.say("server", ResponseCreated(event_id="e", response=response))

    @rule(response_id=response_ids, status=st.sampled_from(["completed", "cancelled", "failed"]))
    def server_ends(self, response_id: str, status: str) -> None:
        response = Response(id=response_id, status=status)
        self.say("server", ResponseDone(event_id="e", response=response))

    @rule(event_id=event_ids)
    def server_refuses(self, event_id: str) -> None:
        self.say("server", Error(event_id="e", error=ErrorDetails(event_id=event_id)))

    @rule()
    def server_says_something_else(self) -> None:
        self.say("server", InputAudioBufferCleared(event_id="e"))

    @rule()
    def something_reaches_the_client(self) -> None:
        self.deliver("client", Step.SERVER_EVENT)

    @rule()
    def something_reaches_the_server(self) -> None:
        self.deliver("server", Step.CLIENT_EVENT)

    @rule(text=st.sampled_from(["{", "[]", "{}", b"{}", b""]))
    def rubbish_reaches_the_client(self, text: str | bytes) -> None:
        client, model = self.sides["client"], self.models["client"]

        def fail() -> None:
            with pytest.raises(RemoteProtocolError):
                client.receive_text(text)

        if self.try_step("client", Step.VIOLATION, fail, lambda: client.receive_text(text)):
            model.state = State.FAILED
            self.commands_fail("client")

    @rule(text=st.sampled_from(["{", "[]", "{}", b"{}", b""]))
    def rubbish_reaches_the_server(self, text: str | bytes) -> None:
        server = self.sides["server"]
        # To a server it is no violation: it says an error of its own.
        if self.try_step("server", Step.SERVER_EVENT, lambda: server.receive_text(text)):
            (answer,) = server.to_send()
            error = decode(answer)
            assert isinstance(error, Error)
            code = "invalid_event" if isinstance(text, bytes) else "invalid_json"
            assert error.error.code == code
            self.models["server"].server_said(error)
            self.on_the_way["client"].append(answer)

    @rule(role=st.sampled_from(["client", "server"]))
    def the_transport_ends(self, role: Role) -> None:
        side, model = self.sides[role], self.models[role]
        assert self.try_step(role, Step.END, lambda: side.receive_text(None))
        model.state = TRANSITIONS[model.state, Step.END]
        self.commands_fail(role)

    def commands_fail(self, role: Role) -> None:
        side, model = self.sides[role], self.models[role]
        assert tuple(each.event_id for each in side.failed()) == model.outstanding
        model.commands = []

    def teardown(self) -> None:
        """See all that an ended session refuses, which chance alone may leave out."""
        greeting = SessionCreated(event_id="e", session=RealtimeSessionConfig(id="sess_4"))
        if self.models["client"].state in (State.ENDED, State.FAILED):
            self.on_the_way["client"] = deque([encode(greeting)])
            self.something_reaches_the_client()
            self.something_reaches_the_client()
            self.rubbish_reaches_the_client("{")
            self.client_clears()
        self.the_transport_ends("client")

    @invariant()
    def each_side_is_as_its_model(self) -> None:
        for role, side in self.sides.items():
            model = self.models[role]
            assert side.state is model.state
            assert side.session_id == model.session_id
            assert list(side.active_responses) == model.running
            assert side.turn_in_flight == bool(model.running or model.asked)
            assert side.outstanding == model.outstanding
            assert side.events() == []
            assert side.to_send() == []

    def say(self, role: Role, event: AnyEvent) -> None:
        side, model = self.sides[role], self.models[role]
        if role == "client" and event.event_id in model.outstanding:
            with pytest.raises(LocalProtocolError, match="has no answer yet"):
                side.send(event)
            return
        if not self.try_step(role, step_of(event), lambda: side.prepare(event), act=False):
            with pytest.raises(LocalProtocolError):
                side.send(event)
            return
        self.on_the_way["server" if role == "client" else "client"].append(side.send(event))
        (model.client_said if role == "client" else model.server_said)(event)

    def deliver(self, role: Role, step: Step) -> None:
        side, model = self.sides[role], self.models[role]
        queue = self.on_the_way[role]
        text = queue.popleft() if queue else encode(self.something_to(role))
        event = decode(text)
        step = step_of(event) if role == "client" else step
        if self.try_step(role, step, lambda: side.receive_text(text)):
            assert side.events() == [event]
            (model.server_said if role == "client" else model.client_said)(event)

    def something_to(self, role: str) -> AnyEvent:
        return InputAudioBufferCleared() if role == "client" else InputAudioBufferClear()

    def try_step(
        self,
        role: Role,
        step: Step,
        do: Callable[[], object],
        refused: Callable[[], object] | None = None,
        *,
        act: bool = True,
    ) -> bool:
        """Do what the model allows, or see it refused; tell which."""
        place = (self.models[role].state, step)
        if place in TRANSITIONS:
            self.taken.add(place)
            if act:
                do()
            return True
        self.refused.add(place)
        if act:
            with pytest.raises(LocalProtocolError):
                (refused or do)()
        return False


def step_of(event: AnyEvent) -> Step:
    """Name the step that an event is, without looking into the library."""
    if isinstance(event, SessionCreated | SessionUpdated):
        return Step.GREETING
    client = isinstance(event, ResponseCreate | InputAudioBufferClear)
    return Step.CLIENT_EVENT if client else Step.SERVER_EVENT


def test_a_client_and_a_server_are_as_the_model_in_every_order_of_events() -> None:
    Wire.taken.clear()
    Wire.refused.clear()
    run_state_machine_as_test(Wire, settings=settings(max_examples=300, stateful_step_count=40))
    assert Wire.taken == set(TRANSITIONS)
    assert Wire.refused == {(s, p) for s in State for p in Step} - set(TRANSITIONS)
