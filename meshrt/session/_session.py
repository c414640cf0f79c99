"""One conversation with a realtime server, for as long as an ``async with`` block."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self, final

import anyio
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from .._public import NoPublicConstructor
from ..errors import ConfigurationError, RemoteProtocolError
from ..events import Error, Session, SessionCreated, SessionUpdated
from ..protocol import (
    MAX_APPEND_BYTES,
    AnyEvent,
    Conversation,
    Prepared,
    RealtimeProtocol,
    decode,
)
from ..transports import Transport
from ..transports._close_codes import check_close
from ._commands import Commands
from ._connection import Connection
from ._dispatch import Dispatch
from ._end import Closed, End, realtime_error
from ._expiry import Expiry
from ._handlers import Handlers
from ._journal import SessionJournal
from ._ledger import Ledger, Receipt
from ._listener import OVERFLOWS, Listener, Overflow
from ._message import RealtimeMessage
from ._options import SessionOptions
from ._redaction import settled_without_key, without_key
from ._selection import Pattern, Selection, warn_of_strangers
from ._statistics import Statistics
from ._tasks import Tasks
from ._verdict import Verdict

# What says how the session is, and when it expires.
_DESCRIPTIONS: Final = (SessionCreated, SessionUpdated)
# Audio that was sent this long ago makes a session active yet.
_AUDIO_S: Final = 5.0


@final
class RealtimeSession(Commands, Handlers, metaclass=NoPublicConstructor):
    """A session comes from ``async with client.realtime.connect(model=…) as session``.

    One task of it reads the wire and one writes it. Yours hand over and take what is there, so
    that cancelling yours never tears a message apart. Any number of tasks may send; one may
    iterate.
    """

    def __init__(
        self,
        transport: Transport,
        protocol: RealtimeProtocol,
        options: SessionOptions,
        *,
        ledger: Ledger,
        site: str | None = None,
    ) -> None:
        self._site = site
        self._protocol = protocol
        self._options = options
        self._began_at = anyio.current_time()
        self._expiry = Expiry(options.wall_clock)
        self._journal = SessionJournal(protocol, options.redact)
        self._verdict = Verdict(transport, protocol, self._expiry, options.redact, self._journal)
        self._dispatch = Dispatch(options, self._verdict, self._journal)
        self._answers = self._dispatch.answers
        self._inbox = self._dispatch.inbox
        self._connection = Connection(
            transport,
            options,
            self._verdict,
            take=self._take,
            on_end=self._on_end,
            on_interrupt=self._on_interrupt,
            is_active=self._is_active,
            ledger=ledger,
            journal=self._journal,
        )
        self._outbox = self._connection.outbox
        self._tasks: Tasks | None = None
        self._is_lent = False
        self._last_picture: Statistics | None = None
        self._failure: BaseException | None = None

    @property
    def id(self) -> str | None:
        """The session's id, as the server gave it."""
        return self._protocol.session_id

    @property
    def config(self) -> Session | None:
        """The session as the server last described it, with model, voice and expiry."""
        return self._protocol.session

    @property
    def conversation(self) -> Conversation:
        """The items, transcripts, responses, usage and limits that the session has come to."""
        return self._protocol.conversation

    @property
    def closed(self) -> Closed | None:
        """How the session ended; ``None`` while it goes on."""
        end = self._connection.end
        return end.closed if end else None

    @property
    def unsent(self) -> tuple[AnyEvent, ...]:
        """The events that were queued and certainly did not leave, oldest first.

        Empty while the session goes on. What was being written when the connection broke is not
        among them: nobody knows what became of it.
        """
        return tuple(map(decode, self._outbox.unsent))

    @property
    def expires_in(self) -> float | None:
        """How long the session may yet last, in seconds; ``None`` if the server did not say.

        By the server's ``expires_at`` as the session began, and the loop's clock since.
        """
        return self._expiry.left

    async def send(self, event: AnyEvent | Mapping[str, Any], *, strict: bool = True) -> Receipt:
        """Send one event, typed or as a mapping.

        It returns when the event is queued; the session's writer sends what is queued at once.
        It waits while 64 events or 1 MiB are queued.

        Cancelling is safe: the event is either queued whole, and then this call returns, or it
        is not and will never be sent.

        Args:
            event: For example ``{"type": "response.create"}`` or ``ResponseCreate()``. A mapping
                goes out as it is, with an ``event_id`` if it had none.
            strict: ``False`` leaves out the checks against the known shape of the wire.

        Returns:
            What tells whether the event was sent.

        Raises:
            LocalProtocolError: It is not an event that may be sent; nothing was.
            meshrt.transports.SessionClosed: We had closed the session.
            ConnectionLost: The server or the network had ended it.
            Exception: What else had ended it, as :meth:`receive` says.
        """
        await self._ensure_open()
        return await self._hand_over(self._protocol.prepare(event, strict=strict))

    def send_nowait(self, event: AnyEvent | Mapping[str, Any], *, strict: bool = True) -> Receipt:
        """Send one event if there is room for it in the queue, as :meth:`send` does.

        Raises:
            anyio.WouldBlock: The queue is full; nothing was sent, and nothing has changed.
            Exception: What :meth:`send` raises.
        """
        self._check_open()
        prepared = self._protocol.prepare(event, strict=strict)
        if not self._outbox.has_room:
            raise anyio.WouldBlock
        return self._queue(prepared)

    async def flush(self) -> None:
        """Wait until all that is queued now is sent: taken by the operating system.

        Cancelling is safe: what is queued is sent all the same.

        Raises:
            meshrt.transports.SessionClosed: We closed the session first.
            ConnectionLost: The server or the network ended it first.
            Exception: What else ended it first, as :meth:`receive` says.
        """
        if not await self._outbox.flush():
            await self._ensure_open()

    async def send_audio(self, audio: bytes | bytearray | memoryview) -> None:  # noqa: ASYNC910  a chunk or a checkpoint
        """Append audio to the server's input buffer.

        What is longer than 15 MiB goes in several appends; cancelled between two of them, the
        earlier ones are sent.

        Cancelling is safe, as with :meth:`send`.

        Args:
            audio: In the session's input format: by default PCM16 little-endian, 24 kHz, mono.
                Any length; 20 to 100 ms at a time is usual. Nothing is sent for nothing.

        Raises:
            LocalProtocolError: It is not bytes, or is PCM16 with an odd number of them.
            meshrt.transports.SessionClosed: We had closed the session.
            ConnectionLost: The server or the network had ended it.
            Exception: What else had ended it, as :meth:`receive` says.
        """
        if self._connection.end is not None:
            await self._ensure_open()
        *chunks, last = _split(audio)
        prepared = self._protocol.prepare_audio(last)  # if any is refused then this, and all of it
        for chunk in chunks:
            await self._append(self._protocol.prepare_audio(chunk))
        if prepared.audio_bytes:
            await self._append(prepared)
        else:
            await checkpoint()

    async def receive(self) -> RealtimeMessage:
        """Return the next message; :meth:`__aiter__` is the same in a loop.

        Cancelling is safe: the message is still there for the next call.

        Raises:
            RealtimeError: The server reported an error that answers no awaited call. The session
                goes on unless a close follows: call again. Not with ``errors="deliver"``.
            anyio.EndOfStream: The server closed, with code 1000 and no turn running.
            SessionExpired: The server closed because the session had lasted as long as it may.
            ConnectionLost: The session ended in any other way.
            meshrt.transports.SessionClosed: We closed it.
            RemoteProtocolError: The server sent something that is not of this wire.
            SlowConsumerError: Too much was waiting to be read.
            anyio.BusyResourceError: Another task is receiving.
        """
        message = await self._inbox.receive()
        if isinstance(message.event, Error) and self._options.errors == "raise":
            raise realtime_error(message.event)
        return message

    def __aiter__(self) -> Self:
        """Iterate over the messages, until the end."""
        return self

    async def __anext__(self) -> RealtimeMessage:
        """Return the next message, as :meth:`receive` does; stop at a clean end or our close."""
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None
        except anyio.ClosedResourceError:
            raise StopAsyncIteration from None

    def listen(
        self,
        *patterns: Pattern,
        buffer: int | None = None,
        on_overflow: Overflow = "end",
    ) -> Listener:
        """Open a stream of messages of your own, which takes nothing from any other.

        All streams see the same order; iterating over the session is one of them. An ``error``
        of the server comes as a message, to those who asked for it.

        Args:
            patterns: What to hear: the class of an event, its wire name, or a wire name with
                ``*`` such as ``"response.*"``; without any, everything. A class is for events
                that fit it; a name is for every event of that name.
            buffer: What may wait to be read, in bytes; by default the session's ``buffer_bytes``.
            on_overflow: ``"end"`` ends the listener with ``SlowConsumerError`` when that is
                spent; ``"drop_oldest_audio"`` forgets audio first, and counts it.

        Returns:
            A listener that hears from now on; close it, or use it as ``with session.listen(…)``.

        Raises:
            LocalProtocolError: A pattern is neither a name nor the class of a server's event.
            ConfigurationError: An option can't be used.
            meshrt.transports.SessionClosed: The block was left; or, in its place, what had ended
                the session before.
        """
        if self._tasks is None:
            self._check_open()  # it is not: the block was left
        if on_overflow not in OVERFLOWS:
            raise ConfigurationError(f"on_overflow is one of {OVERFLOWS}")
        if buffer is not None and (type(buffer) is not int or buffer < 1):
            raise ConfigurationError("buffer is a whole number of bytes above 0")
        budget = self._options.buffer_bytes if buffer is None else buffer
        selection = Selection(patterns)
        warn_of_strangers(selection, depth=2)
        listener = self._dispatch.listen(selection, budget, on_overflow)
        if self._connection.end is not None:
            listener._end(self._connection.end, discard=True)
        return listener

    def statistics(self) -> Statistics:
        """Return what the session has done and holds, as of now or of the end of its block."""
        if self._last_picture is not None:
            return self._last_picture
        outbox, ledger, dispatch = self._outbox, self._outbox.ledger, self._dispatch
        now = anyio.current_time()
        return Statistics(
            age=now - self._began_at,
            expires_in=self._expiry.left,
            queued=outbox.count,
            queued_bytes=outbox.bytes,
            sent=ledger.sent,
            sent_bytes=outbox.sent_bytes,
            unsent=len(outbox.unsent),
            received=dispatch.received,
            received_bytes=dispatch.received_bytes,
            dropped=dispatch.dropped,
            waiting=dispatch.inbox.count,
            waiting_bytes=dispatch.inbox.cost,
            waiting_handlers=dispatch.callbacks.waiting if dispatch.callbacks else 0,
            waiting_listeners=sum(listener._waiting for listener in dispatch.listeners),
            commands=len(self._protocol.outstanding),
            last_received_age=self._connection.silence,
            last_sent_age=now - outbox.sent_at,
        )

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send what is queued and a CLOSE frame, and wait for the server's, but not for long.

        All of it takes at most ``close_timeout``; then the connection is cut. Running iterations
        stop, later calls raise ``SessionClosed``. What did not leave is in :attr:`unsent`; await
        :meth:`flush` first if it matters. Idempotent: a second call waits for the first. Leaving
        the ``async with`` block does the same.

        Cancelled, it cuts the connection at once and leaves nothing behind.

        Args:
            code: The code of the CLOSE frame: 1000, or 3000 to 4999.
            reason: Its reason, at most 123 bytes as UTF-8.

        Raises:
            LocalProtocolError: The code may not be sent; the session goes on.
        """
        check_close(code, reason)
        self._connection.finish(self._verdict.ours(code, reason), drain=True)
        await self._connection.close()

    def _start(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._connection.start(tasks)

    def _lend(self) -> None:
        """Keep what is unread beyond the block, for those who did not enter it."""
        self._is_lent = True

    async def _leave(self, *, drain: bool) -> None:
        """Close at the end of the block, and let the handlers of the close run, in time."""
        self._connection.finish(self._verdict.ours(1000, ""), drain=drain)
        with anyio.move_on_after(self._options.close_timeout):
            await self._connection.close()
            if self._dispatch.callbacks is not None:
                await self._dispatch.callbacks.done.wait()

    def _give_up(self) -> None:
        self._connection.finish(self._verdict.ours(None, ""))

    async def _abandon(self) -> None:
        await self._connection.abandon()

    async def _hand_over(self, prepared: Prepared) -> Receipt:
        await self._outbox.admit(len(prepared.text))
        self._check_open()
        return self._queue(prepared)

    def _queue(self, prepared: Prepared) -> Receipt:
        self._protocol.advance(prepared)
        self._journal.goes(prepared)
        return self._outbox.put_event(prepared)

    async def _append(self, prepared: Prepared) -> None:
        await self._outbox.admit(len(prepared.text))
        self._check_open()
        self._protocol.advance(prepared)
        self._journal.goes(prepared)
        self._outbox.put_audio(prepared)

    def _check_open(self) -> None:
        self._connection.check_open()

    async def _ensure_open(self) -> None:
        """Raise the end, if there is one; but first a cancellation, which may be why there is."""
        if self._connection.end is not None:
            await checkpoint_if_cancelled()
        self._check_open()

    def _is_active(self) -> bool:
        """Tell whether silence would be noticed: in a turn, and while we talk."""
        silent_for = anyio.current_time() - self._outbox.audio_sent_at
        talks = self._outbox.holds_audio or silent_for <= _AUDIO_S
        return talks or self._protocol.turn_in_flight

    def _take(self, message: str | bytes) -> None:
        """Advance the state by a message, and let all hear of it."""
        if self._connection.end is not None:
            return
        try:
            self._protocol.receive_text(message)
        except RemoteProtocolError as error:
            self._connection.finish(self._verdict.violated(error))
            return
        settled = self._protocol.settled()
        for each in settled:
            self._outbox.ledger.acknowledge(each.event_id)
        for came in self._protocol.events():
            if isinstance(came, _DESCRIPTIONS):
                self._expiry.note(self.conversation.expires_at)
            event, text = came, str(message)
            if isinstance(came, Error):
                event, text = without_key(came, text, self._options.redact)
                settled = settled_without_key(settled, came, event)
            end = self._dispatch.take(event, settled, text)
            if end is not None:
                self._connection.finish(end)
        for text in self._protocol.to_send():
            if not self._outbox.closed:
                self._outbox.put(text)
                self._journal.goes_by_itself(text)

    def _on_end(self, end: End) -> None:
        self._protocol.end(end.message)
        self._dispatch.end(end)

    def _on_interrupt(self, error: BaseException) -> None:
        """Let what interrupted a task of ours, such as Ctrl-C, come out of the block as it is."""
        self._failure = self._failure or error
        if self._tasks is not None:
            self._tasks.cancel("the session was interrupted")

    def _take_failure(self) -> BaseException | None:
        failure, self._failure = self._failure, None
        return failure

    def _warn_of_not_left(self) -> None:
        where = "" if self._site is None else f"; connect() was called at {self._site}"
        warnings.warn(
            f"a session was entered and never left: write `async with`{where}",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )

    def __del__(self) -> None:
        if self._tasks is not None:
            self._warn_of_not_left()
            self._forget()

    def _release(self) -> None:
        """Give up the memory, when the block is left and all tasks are done."""
        self._tasks = None
        self._last_picture = self.statistics()
        if self._is_lent:
            self._connection.release()
            self._dispatch.keep()
        else:
            self._forget()

    def _forget(self) -> None:
        self._connection.release()
        self._dispatch.close()


def _split(
    audio: bytes | bytearray | memoryview,
) -> Sequence[bytes | bytearray | memoryview]:
    """Cut audio into appends, one at least; what is not bytes is left whole, to be refused."""
    if not isinstance(audio, bytes | bytearray | memoryview):
        return [audio]
    if not isinstance(audio, memoryview) and len(audio) <= MAX_APPEND_BYTES:
        return [audio]
    view = memoryview(audio)
    # What has gaps, such as one channel of interleaved samples, can't be cast, and no more can a
    # table that is empty.
    view = (view if view.c_contiguous and view.nbytes else memoryview(view.tobytes())).cast("B")
    return [view[at : at + MAX_APPEND_BYTES] for at in range(0, len(view) or 1, MAX_APPEND_BYTES)]
