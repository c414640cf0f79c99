"""The wire without I/O: events in, text out; text in, events out."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias, final

from ..errors import LocalProtocolError, RemoteProtocolError
from ..events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    UNSET,
    Error,
    ErrorDetails,
    Event,
    ResponseCancel,
    ResponseCreate,
    ResponseFunctionCallArgumentsDelta,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
    ResponseParams,
    Session,
    UnknownEvent,
)
from ._acknowledgements import Acknowledgements
from ._answers import Failed, Settled
from ._buffer import BufferedAudio
from ._codec import AnyEvent, decode
from ._conversation import Conversation
from ._fields import field_of
from ._outgoing import Outgoing, Prepared
from ._refusals import refused_id
from ._state import TRANSITIONS, State, Step, step_of
from ._turns import Turns

Role: TypeAlias = Literal["client", "server"]

_CLOSE_UNSUPPORTED_DATA = 1003  # RFC 6455, 7.4.1: a type of data that the endpoint can't accept


# Nearly all of what a client receives. They answer no command, and neither begin nor end a turn.
_QUIET: Final = frozenset(
    {
        ResponseOutputAudioDelta,
        ResponseOutputAudioTranscriptDelta,
        ResponseOutputTextDelta,
        ResponseFunctionCallArgumentsDelta,
    }
)


@final
class RealtimeProtocol:
    """One session's wire, for either side, over whatever transport you have.

    Feed what comes to :meth:`receive_text` and take the :meth:`events`; give what you want to say
    to :meth:`send` and put the text it returns on your transport; and after each call of either,
    send what :meth:`to_send` returns. It does no I/O, has no clock and invents no randomness: the
    same calls give the same results.

    Args:
        role: ``"client"`` or ``"server"``: whom we play.
        make_id: Makes the ``event_id`` of events that have none; it has to make a new one at each
            call. By default they are counted: ``event_1``, ``event_2``, …
        keep_audio: Whether the conversation keeps the audio that comes.
        keep_audio_text: Whether events with audio keep their raw text, for their ``data``.
        has_left: Tells whether a command of ours, by its id, is on its way: for those who queue
            what :meth:`send` returns. By default what was sent has left.

    Attributes:
        role: Whom we play.
        conversation: What the session has come to, folded from the events of both directions.
    """

    def __init__(
        self,
        role: Role,
        *,
        make_id: Callable[[], str] | None = None,
        keep_audio: bool = False,
        keep_audio_text: bool = False,
        has_left: Callable[[str], bool] = bool,
    ) -> None:
        if role not in ("client", "server"):
            raise LocalProtocolError(f'a role is "client" or "server", and not {role!r}')
        self.role: Role = role
        self.conversation: Conversation = Conversation(keep_audio=keep_audio)
        self._outgoing = Outgoing(role, make_id or self._counted().__next__, self.conversation)
        self._keep_audio_text = keep_audio_text
        self._state = State.CONNECTING
        self._turns = Turns(self.conversation)
        self._buffer = BufferedAudio()
        self._commands = Acknowledgements(has_left)
        self._events: list[AnyEvent] = []
        self._settled: list[Settled] = []
        self._failed: list[Failed] = []
        self._to_send: list[str] = []

    @property
    def state(self) -> State:
        """Where the session is in its life."""
        return self._state

    @property
    def session(self) -> Session | None:
        """The session as the server last described it; ``None`` before it did."""
        return self.conversation.session

    @property
    def session_id(self) -> str | None:
        """The session's id; ``None`` before the server said it."""
        return self.conversation.session_id

    @property
    def turn_in_flight(self) -> bool:
        """Whether a response runs, or was asked for and has not come."""
        return self._turns.in_flight

    @property
    def active_responses(self) -> tuple[str, ...]:
        """The ids of the responses that run, oldest first."""
        return tuple(response.id for response in self.conversation.active_responses)

    @property
    def pending_responses(self) -> tuple[str, ...]:
        """The event ids of the responses that have not begun, those asked for before the waiting.

        Those that wait for their turn are not sent yet, and so not among :attr:`outstanding`.
        """
        return self._turns.pending

    @property
    def outstanding(self) -> tuple[str, ...]:
        """The ids of our commands that have no answer yet, oldest first."""
        return self._commands.outstanding

    def send(self, event: AnyEvent | Mapping[str, Any], *, strict: bool = True) -> str:
        """Check an event, note that it is sent, and return the text to put on the transport.

        Args:
            event: An event of our role, typed or as a mapping. A mapping goes out as it is, with
                an ``event_id`` if it had none; it is never changed.
            strict: ``False`` sends what the checks against the wire's known shape would refuse.

        Raises:
            LocalProtocolError: It is not an event that we may send now. Nothing has changed.
        """
        return self.advance(self.prepare(event, strict=strict))

    def prepare(self, event: AnyEvent | Mapping[str, Any], *, strict: bool = True) -> Prepared:
        """Check and write an event, without a change to the state: :meth:`advance` follows.

        The two halves of :meth:`send`, for a session that has to wait for room in between.

        Raises:
            LocalProtocolError: It is not an event that we may send.
        """
        prepared = self._outgoing.prepare(event, strict=strict)
        self._check_id(prepared)
        if strict and self.role == "client":
            self._buffer.check(prepared, self.session)
        return prepared

    def prepare_audio(self, audio: bytes | bytearray | memoryview) -> Prepared:
        """Check and write an append of audio: :meth:`prepare`, without a detour.

        Args:
            audio: In the session's input format, by default PCM16 little-endian, 24 kHz, mono;
                at most 15 MiB.

        Raises:
            LocalProtocolError: It is longer, is not bytes, or is PCM16 of an odd number of bytes.
        """
        return self._outgoing.prepare_audio(audio)

    def advance(self, prepared: Prepared) -> str:
        """Note that a prepared event is sent, and return its text.

        Raises:
            LocalProtocolError: The session has ended, or another command with this ``event_id``
                was sent in the meantime and waits for its answer. Nothing has changed.
        """
        self._check_id(prepared)
        self._step(step_of(prepared.type, from_server=self.role == "server"))
        if self.role == "server":
            self._note(decode(prepared.text))
        else:
            self._buffer.sent(prepared, self.session)
            self._sent(prepared)
        return prepared.text

    def make_id(self) -> str:
        """Return a new ``event_id``, for an event that you want to know again."""
        return self._outgoing.make_id()

    def respond(
        self, params: ResponseParams | None = None, *, event_id: str | None = None
    ) -> ResponseCreate | None:
        """Decide when to ask for a response: the event to send now, or ``None`` to wait.

        A server has one response in the conversation at a time. While one runs, or was asked for,
        the event waits; :meth:`to_send` has its text when its turn comes.

        Args:
            params: What the response does differently from the session.
            event_id: The event's id, if you want to know it before it is sent.

        Raises:
            LocalProtocolError: The parameters can't be sent, or the session has ended.
        """
        self._check_goes_on(Step.CLIENT_EVENT)
        event = ResponseCreate(
            event_id=self.make_id() if event_id is None else event_id,
            response=UNSET if params is None else params,
        )
        self.prepare(event)
        return self._turns.respond(event)

    def cancel(self, response_id: str | None = None) -> tuple[ResponseCancel, ...]:
        """Decide what to cancel: the events to send now, each by id.

        What was asked for and has no id yet is cancelled when it has: :meth:`to_send` has that
        text. Where nothing runs, nothing is to be sent, since the server would answer an error.

        Who cancels everything wants silence: without an id, the responses that wait for their
        turn are withdrawn as well, else the next one would begin as soon as this one has ended.
        They are in :meth:`failed`, so that nobody waits for them. What is asked for after this
        call is not concerned.

        Args:
            response_id: The response; ``None`` for all in the conversation.
        """
        if response_id is None:
            self._failed += self._turns.fail_all("it was cancelled before its turn came")
        return tuple(self._turns.cancel(response_id))

    def receive_text(self, text: str | bytes | bytearray | memoryview | None) -> None:
        """Take one message of the other side, or ``None`` for the end of the transport.

        What it means is in :meth:`events`. As a server, a message that is not of this wire is
        answered as the real one does, by an ``error`` in :meth:`to_send`, and the session goes on.

        Args:
            text: A text message as ``str``; a binary message, which this wire does not have, as
                ``bytes`` or what else holds bytes; ``None`` for the end.

        Raises:
            RemoteProtocolError: As a client: the server sent something that is not of this wire.
                The session has failed; close with the error's ``close_code``.
            LocalProtocolError: The session had ended already.
        """
        if text is None:
            return self.end("the transport has ended")
        if self._state is not State.OPEN:
            self._check_receivable()
        try:
            event = self._read(text)
        except RemoteProtocolError as error:
            if self.role == "client":
                self._step(Step.VIOLATION)
                self._fail_all(str(error))
                raise
            return self._object(error, binary=not isinstance(text, str))
        if type(event) in _QUIET and self._state is State.OPEN:
            self._events.append(event)
            self.conversation.apply(event)
            return None
        self._step(step_of(event.type, from_server=self.role == "client"))
        self._received(event)
        return None

    def end(self, reason: str) -> None:
        """Note that the session is over, and why; what comes after the first time changes nothing.

        No command is answered any more: those that waited are in :meth:`failed`.

        Args:
            reason: Why, for those who waited.
        """
        self._step(Step.END)
        self._fail_all(reason)

    def events(self) -> list[AnyEvent]:
        """Return the events that have come since the last call, in order."""
        events, self._events = self._events, []
        return events

    def settled(self) -> list[Settled]:
        """Return which of our commands were answered since the last call, and by what."""
        settled, self._settled = self._settled, []
        return settled

    def failed(self) -> list[Failed]:
        """Return which of our commands will have no answer, since the last call.

        All of them when the session ends, the responses that waited for their turn among them;
        and those responses alone when :meth:`cancel` withdraws them.
        """
        failed, self._failed = self._failed, []
        return failed

    def abandon(self, event_id: str) -> None:
        """Let the answer to this command go to nobody, when it comes.

        A response that waits for its turn is not asked for any more.
        """
        self._turns.withdraw(event_id)
        self._commands.abandon(event_id)

    def to_send(self) -> list[str]:
        """Return the texts that the protocol itself owes the other side, in order."""
        texts, self._to_send = self._to_send, []
        return texts

    def _counted(self) -> Iterator[str]:
        """Count ids, and pass by one that somebody has chosen for a command of theirs."""
        return filter(self._is_free, map("event_{}".format, itertools.count(1)))

    def _is_free(self, event_id: str) -> bool:
        return event_id not in self._commands and event_id not in self._turns

    def _step(self, step: Step) -> None:
        self._check_goes_on(step)
        self._state = TRANSITIONS[self._state, step]

    def _check_goes_on(self, step: Step) -> None:
        if (self._state, step) not in TRANSITIONS:
            raise LocalProtocolError(
                f"the session is {self._state.value}: there is no place for {step.value}; "
                "start a new session"
            )

    def _fail_all(self, reason: str) -> None:
        self._failed += self._commands.fail_all(reason)
        self._failed += self._turns.fail_all(reason)

    def _check_receivable(self) -> None:
        if (self._state, Step.VIOLATION) not in TRANSITIONS:
            raise LocalProtocolError(
                f"the session is {self._state.value}: nothing more can be received in it"
            )

    def _read(self, text: str | bytes | bytearray | memoryview) -> AnyEvent:
        if not isinstance(text, str):
            raise RemoteProtocolError(
                "the other side sent a binary message; this wire has audio as base64 in text",
                close_code=_CLOSE_UNSUPPORTED_DATA,
            )
        event = decode(text, keep_audio_text=self._keep_audio_text)
        known = SERVER_EVENTS if self.role == "client" else CLIENT_EVENTS
        if isinstance(event, Event) and event.type not in known:
            problem = f"{event.type} is an event of our own side"
            return UnknownEvent(type=event.type, data=event.data, problem=problem)
        return event

    def _check_id(self, prepared: Prepared) -> None:
        """Refuse the id of a command that is not answered, or not yet sent.

        Also for what is never answered itself: the server's ``error`` could mean either.
        """
        if self.role == "client" and prepared.event_id:
            self._commands.check(prepared.event_id)
            self._turns.check(prepared.event_id)

    def _sent(self, prepared: Prepared) -> None:
        """Note an event of the client's, whichever side we are."""
        if not prepared.body:
            return
        self._commands.sent(prepared.body)
        if prepared.type == ResponseCreate.type:
            params = prepared.body.get("response")
            in_conversation = field_of(params, "conversation") != "none"
            self._turns.asked(prepared.event_id, in_conversation=in_conversation)

    def _received(self, event: AnyEvent) -> None:
        self._events.append(event)
        if self.role == "client":
            self._note(event)
        elif isinstance(event, ResponseCreate):
            in_conversation = field_of(event.response, "conversation") != "none"
            self._turns.asked(event.event_id or None, in_conversation=in_conversation)

    def _note(self, event: AnyEvent) -> None:
        """Note an event of the server's, whichever side we are."""
        self.conversation.apply(event)
        settled = self._commands.saw(event) if self.role == "client" else None
        self._buffer.saw(event, settled)
        refused = refused_id(event)
        if refused is None and settled is not None:
            refused = settled.event_id  # the one command that is out, if the error quotes none
        self._turns.saw(event, refused=refused)
        if self.role == "client":
            self._settled += [settled] if settled else []
            self._to_send += map(self.send, self._turns.due())

    def _object(self, error: RemoteProtocolError, *, binary: bool) -> None:
        details = ErrorDetails(
            type="invalid_request_error",
            code="invalid_event" if binary else "invalid_json",
            message=str(error),
            param=None,
            event_id=None,
        )
        self._to_send.append(self.send(Error(error=details)))
