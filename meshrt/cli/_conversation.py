"""A turn held with a server: one task speaks, one listens, and both know when it is over."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol, final

import anyio
import attrs
from anyio.lowlevel import checkpoint

from ..audio import bytes_of_ms, chunks, duration_ms
from ..errors import MeshError, RealtimeError
from ..events import (
    ConversationItemCreate,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    InputText,
    RealtimeSessionConfig,
    ResponseCreate,
    SessionUpdate,
    SessionUpdated,
    UserMessage,
)
from ..session import Closed, Connecting, RealtimeSession
from ..transports import ConnectionLost
from ._turn import CHUNK_MS, Turn

# Servers end a turn after 200 to 500 ms of silence, semantic ones after a little more.
_SILENCE_MS: Final = 1_200
# What a server may need to say so once it has all of it.
_GRACE_S: Final = 1.0
_COMMIT_ID: Final = "demo_commit"


@final
class NoReplyError(MeshError):
    """The session was fine, or ended, and there is no whole spoken reply."""


@attrs.frozen(kw_only=True)
class Report:
    """What came of a turn.

    Attributes:
        session_id: The session's id, as the server gave it.
        model: The model, as the server names it.
        sent_audio_ms: The audio that was sent, in ms, with the silence after the question.
        received_audio_ms: The audio of the reply, in ms.
        transcript: The reply's words.
        first_audio_ms: From the end of the question to the first audio, in ms; ``None`` where the
            question was put faster than anybody speaks.
        events: How many events of each type came.
        closed: How the session ended.
        audio: The reply: PCM16 little-endian, 24 kHz, mono.
    """

    session_id: str | None
    model: str
    sent_audio_ms: float
    received_audio_ms: float
    transcript: str
    first_audio_ms: float | None
    events: Mapping[str, int]
    closed: Closed
    audio: bytes = attrs.field(repr=lambda audio: f"<{len(audio)} bytes>")


class Question(Protocol):
    """What is said or written in a turn."""

    async def put(self, line: "Line") -> None:
        """Put it, so that the server answers."""
        ...


async def converse(connecting: Connecting, question: Question, turn: Turn) -> Report:
    """Hold one turn of a conversation in a session of its own.

    Cancelling is safe: the session is cut, and nothing is left of it.

    Args:
        connecting: The session to open; it must raise the server's errors.
        question: What to say.
        turn: Where what happens is taken down.

    Raises:
        NoReplyError: The reply was cut, refused or silent.
        RealtimeError: The server reported an error.
        ConnectionLost: The session ended before the reply did.
        ConnectError: No session came about.
    """
    async with connecting as session:
        turn.greeted(session_id=session.id, model=_model_of(session))
        line = Line(session, turn)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(line.listen)
            # How the session ended is for the listener to tell, after all that came before it.
            with suppress(ConnectionLost):
                await question.put(line)
                await line.until(lambda: turn.answered)
                tasks.cancel_scope.cancel("the turn is over")
    return _report(turn, session.closed)


@final
class Line:
    """Both directions of a session for one turn."""

    def __init__(self, session: RealtimeSession, turn: Turn) -> None:
        self._session = session
        self._news = anyio.Event()
        self.turn = turn

    async def listen(self) -> None:
        """Take down every event until the session ends, or until cancelled."""
        while True:
            await checkpoint()
            try:
                async for message in self._session:
                    self.turn.hear(message.event, anyio.current_time())
                    self._tell()
            except RealtimeError as error:
                if not self._is_idle(error):
                    raise
            else:
                raise ConnectionLost("the server closed the session before the turn was over")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the events that have come make a condition true."""
        await checkpoint()
        while not condition():
            await self._news.wait()

    async def write(self, text: str) -> None:
        """Send a message of text and ask for a response."""
        item = UserMessage(content=[InputText(text=text)])
        await self._session.send(ConversationItemCreate(item=item))
        await self.ask()

    async def say(self, chunk: bytes) -> None:
        """Send a piece of audio."""
        await self._session.send_audio(chunk)
        self.turn.say(chunk)

    async def ask(self) -> None:
        """Ask for a response."""
        self.turn.ask(anyio.current_time())
        await self._session.send(ResponseCreate())

    async def catch_up(self) -> None:
        """Wait until the server has dealt with everything sent so far.

        An update that changes nothing is answered in its place.
        """
        seen = self.turn.events[SessionUpdated.type]
        await self._session.send(SessionUpdate(session=RealtimeSessionConfig()))
        await self.until(lambda: self.turn.events[SessionUpdated.type] > seen)

    async def end_speech(self) -> None:
        """End the turn ourselves, unless the server has heard its end after all."""
        with anyio.move_on_after(_GRACE_S):
            await self.until(lambda: self.turn.ended_by_server)
            return
        self.turn.note("the server heard no end of speech: committing the audio")
        seen = self.turn.events[InputAudioBufferCommitted.type]
        await self._session.send(InputAudioBufferCommit(event_id=_COMMIT_ID))
        self.turn.ask(anyio.current_time())
        await self.until(
            lambda: (
                self.turn.ended_by_server
                or self.turn.events[InputAudioBufferCommitted.type] > seen
            )
        )
        if not self.turn.ended_by_server:
            await self._session.send(ResponseCreate())

    def _tell(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    def _is_idle(self, error: RealtimeError) -> bool:
        """Tell whether our commit came just after the server's own, to find nothing left."""
        return error.event_id == _COMMIT_ID and self.turn.ended_by_server


@final
class Speech:
    """A question that is said.

    Args:
        pcm: PCM16 little-endian, 24 kHz, mono.
        interval_s: What lies between two pieces of 20 ms, in seconds: 0.02 is how people speak,
            0 is as fast as it goes.
    """

    def __init__(self, pcm: bytes, *, interval_s: float) -> None:
        self._pcm = pcm
        self._interval_s = interval_s

    async def put(self, line: Line) -> None:
        """Say it, and be silent until the server has heard its end, or end it."""
        beat = _Beat(self._interval_s)
        for chunk in chunks(self._pcm, CHUNK_MS):
            await beat.wait()
            await line.say(chunk)
        await line.catch_up()
        for chunk in chunks(bytes(bytes_of_ms(_SILENCE_MS)), CHUNK_MS):
            if line.turn.ended_by_server:
                return
            await beat.wait()
            await line.say(chunk)
        await line.catch_up()
        await line.end_speech()


@final
class Writing:
    """A question that is written."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def put(self, line: Line) -> None:
        """Send it and ask for a response."""
        await line.write(self._text)


@final
class _Beat:
    """The moments at which a microphone would have the next piece; lateness does not add up."""

    def __init__(self, interval_s: float) -> None:
        self._next = anyio.current_time()
        self._interval_s = interval_s

    async def wait(self) -> None:
        self._next += self._interval_s
        await anyio.sleep_until(self._next)


def _model_of(session: RealtimeSession) -> str:
    config = session.config  # a mapping where the server speaks the beta wire
    named = config.get("model") if isinstance(config, Mapping) else getattr(config, "model", None)
    return str(named or "an unnamed model")


def _report(turn: Turn, closed: Closed | None) -> Report:
    audio = bytes(turn.received[: len(turn.received) // 2 * 2])
    if turn.failure is not None:
        raise NoReplyError(turn.failure)
    if not audio:
        raise NoReplyError("the reply has no audio: is this a model that speaks?")
    if closed is None or (closed.initiator, closed.code) != ("client", 1000):
        raise NoReplyError(f"the reply came, but the session did not end as it should: {closed}")
    return Report(
        session_id=turn.session_id,
        model=turn.model,
        sent_audio_ms=turn.sent_ms,
        received_audio_ms=duration_ms(audio),
        transcript=turn.transcript,
        first_audio_ms=turn.first_audio_ms,
        events=dict(turn.events),
        closed=closed,
        audio=audio,
    )
