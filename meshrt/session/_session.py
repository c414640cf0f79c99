"""One conversation with a realtime server, for as long as an ``async with`` block."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, final

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from .._public import NoPublicConstructor
from ..errors import RealtimeError, RemoteProtocolError
from ..events import Error, Session
from ..protocol import (
    MAX_APPEND_BYTES,
    AnyEvent,
    Conversation,
    Prepared,
    RealtimeProtocol,
    Settled,
)
from ..transports import ConnectionLost, Transport
from ..transports._close_codes import check_close
from ._answers import Answers
from ._callbacks import Callbacks, Handler, check_handler
from ._cancellation import is_cancellation
from ._commands import Commands
from ._end import Closed, End, EndKind, is_expiry, realtime_error
from ._inbox import Inbox
from ._message import RealtimeMessage
from ._options import SessionOptions
from ._outbox import Outbox

_logger = logging.getLogger("meshrt.session")
_CLOSE_NORMAL = 1000
_CLOSE_TOO_SLOW = 1008  # RFC 6455, 7.4.1: "policy", where no other code fits


@final
class RealtimeSession(Commands, metaclass=NoPublicConstructor):
    """A session comes from ``async with client.realtime.connect(model=…) as session``.

    One task of it reads the wire and one writes it. Yours hand over and take what is there, so
    that cancelling yours never tears a message apart. Any number of tasks may send; one may
    iterate.
    """

    def __init__(
        self, transport: Transport, protocol: RealtimeProtocol, options: SessionOptions
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._options = options
        self._outbox = Outbox()
        self._inbox = Inbox(options.buffer_bytes)
        self._callbacks: Callbacks | None = None
        self._answers = Answers()
        self._last_error: RealtimeError | None = None
        self._end: End | None = None
        self._goodbye: tuple[int, str] = (1000, "")
        self._patience = anyio.CancelScope()  # with the writer, from the end of the session on
        self._reader_done = anyio.Event()
        self._gone = anyio.Event()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._handler_failure: BaseException | None = None
        transport.wake = self._outbox.wake

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
        return self._end.closed if self._end else None

    async def send(self, event: AnyEvent | Mapping[str, Any], *, strict: bool = True) -> None:
        """Send one event, typed or as a mapping.

        It returns when the event is queued; the session's writer sends what is queued at once.
        It waits while 64 events or 1 MiB are queued.

        Cancelling is safe: the event is either queued whole, and then this call returns, or it
        is not and will never be sent.

        Args:
            event: For example ``{"type": "response.create"}`` or ``ResponseCreate()``. A mapping
                goes out as it is, with an ``event_id`` if it had none.
            strict: ``False`` leaves out the checks against the known shape of the wire.

        Raises:
            LocalProtocolError: It is not an event that may be sent; nothing was.
            meshrt.transports.SessionClosed: We had closed the session.
            ConnectionLost: The server or the network had ended it.
            Exception: What else had ended it, as :meth:`receive` says.
        """
        self._check_open()
        await self._hand_over(self._protocol.prepare(event, strict=strict))

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
        self._check_open()
        chunks = _split(audio)
        for prepared in [self._protocol.prepare_audio(chunk) for chunk in chunks]:
            await self._hand_over(prepared)
        if not chunks:
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

    def on(self, name: Literal["message", "error", "close"], handler: Handler) -> Self:
        """Call a handler for what comes from now on; returns the session, for the next ``on``.

        Handlers are called in order, one at a time, by a task of the session; they may be
        coroutine functions. What one raises ends the session and leaves its ``async with``.

        Args:
            name: ``"message"`` calls ``handler(message)``, ``"error"`` calls
                ``handler(error)`` with a :class:`~meshrt.errors.RealtimeError`, ``"close"`` calls
                ``handler(code, reason)``, with 1006 where no CLOSE came.
            handler: What to call.

        Raises:
            LocalProtocolError: There is no such name, or the handler is no function.
            meshrt.transports.SessionClosed: The block was left; or, in its place, what had ended
                the session before.
        """
        check_handler(name, handler)
        if self._tasks is None:
            self._check_open()  # it is not: the block was left, and nobody calls handlers
        callbacks = self._callbacks or Callbacks(self._options.buffer_bytes)
        callbacks.add(name, handler)
        if self._callbacks is None:
            self._start_callbacks(callbacks)
        return self

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send what is queued and a CLOSE frame, and wait for the server's, but not for long.

        All of it takes at most ``close_timeout``; then the connection is cut. Running iterations
        stop, later calls raise ``SessionClosed``. Idempotent: a second call waits
        for the first. Leaving the ``async with`` block does the same.

        Cancelled, it cuts the connection at once and leaves nothing behind.

        Args:
            code: The code of the CLOSE frame: 1000, or 3000 to 4999.
            reason: Its reason, at most 123 bytes as UTF-8.

        Raises:
            LocalProtocolError: The code may not be sent; the session goes on.
        """
        check_close(code, reason)
        self._finish(self._ours(code, reason), goodbye=(code, reason), drain=True)
        try:
            with anyio.move_on_after(self._options.close_timeout):
                await self._gone.wait()
        finally:
            if not self._gone.is_set():
                with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 1):
                    await self._transport.abort()

    def _start(self, tasks: anyio.abc.TaskGroup) -> None:
        self._tasks = tasks
        tasks.start_soon(self._read, name="meshrt reader")
        tasks.start_soon(self._write, name="meshrt writer")

    async def _leave(self, *, drain: bool) -> None:
        """Close at the end of the block, and let the handlers of the close run, in time."""
        self._finish(self._ours(1000, ""), goodbye=(1000, ""), drain=drain)
        with anyio.move_on_after(self._options.close_timeout):
            await self.close()
            if self._callbacks is not None:
                await self._callbacks.done.wait()

    async def _abandon(self) -> None:
        """End without ceremony: under cancellation, or where no session came about."""
        self._finish(self._ours(None, ""), goodbye=(1000, ""))
        await self._transport.abort()

    async def _hand_over(self, prepared: Prepared) -> None:
        await self._outbox.admit(len(prepared.text))
        self._check_open()
        self._outbox.put(self._protocol.advance(prepared))

    def _check_open(self) -> None:
        if self._end is not None:
            raise self._end.to_sender()

    async def _read(self) -> None:  # noqa: ASYNC910  a task of its own
        """Drain the wire, whoever reads or does not, until it ends."""
        try:
            while True:
                for message in await self._transport.receive():
                    self._take(message)
        except anyio.EndOfStream:
            self._closed_by_server()
        except RemoteProtocolError as error:
            self._violated(error)
        except (ConnectionLost, anyio.ClosedResourceError) as error:
            self._lost(error)
        except Exception as error:  # noqa: BLE001  a task of ours records, and never raises
            self._broke(error)
        finally:
            self._reader_done.set()

    async def _write(self) -> None:
        """Write what is queued, all of it at a time, and at last the goodbye."""
        try:
            with self._patience:
                await self._outbox.write_to(self._transport)
                await self._transport.aclose(*self._goodbye)
                await self._reader_done.wait()
        except (ConnectionLost, anyio.ClosedResourceError) as error:
            await self._failed_to_write(error)
        except Exception as error:  # noqa: BLE001  a task of ours records, and never raises
            self._broke(error)
        finally:
            # Cancelled from outside or cut while it was stuck: from here on nobody writes.
            end = self._finish(self._ours(None, ""), goodbye=(1000, ""))
            self._close_outbox(end, drain=False)
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 1):
                await self._transport.abort()
            self._gone.set()

    async def _failed_to_write(self, error: Exception) -> None:
        """Let the reader say why first: a CLOSE that came knows more than a failed write."""
        with anyio.move_on_after(self._options.close_timeout):
            await self._reader_done.wait()
        self._lost(error)

    def _take(self, message: str | bytes) -> None:
        if self._end is not None:
            return None
        if isinstance(message, str):
            message = self._options.redact(message)
        try:
            self._protocol.receive_text(message)
        except RemoteProtocolError as error:
            return self._violated(error)
        settled = self._protocol.settled()
        for event in self._protocol.events():
            self._dispatch(event, settled, str(message))
        for text in self._protocol.to_send():
            if not self._outbox.closed:
                self._outbox.put(text)
        return None

    def _dispatch(self, event: AnyEvent, settled: Sequence[Settled], text: str) -> None:
        """Serve those who wait for an answer before those who read."""
        self._last_error = realtime_error(event) if isinstance(event, Error) else None
        if self._answers.offer(event, settled):
            return
        if isinstance(event, Error):
            self._log_if_unheard(event)
        message = RealtimeMessage(event)
        if message.audio is None or self._options.keep_audio_text:
            message = RealtimeMessage(event, text)
        self._deliver(message, 2 * len(text) + 512)

    def _deliver(self, message: RealtimeMessage, cost: int) -> None:
        callbacks = self._callbacks
        if callbacks and not callbacks.has_ended and not callbacks.offer(message, cost):
            callbacks.end(self._too_slow("the handlers"), discard=False)
        if not self._inbox.offer(message, cost):
            end = self._too_slow("the iteration")
            self._finish(end, goodbye=(_CLOSE_TOO_SLOW, "slow consumer"))

    def _log_if_unheard(self, event: Error) -> None:
        handled = self._callbacks is not None and self._callbacks.handles("error")
        if not (handled or self._inbox.was_read):
            _logger.warning("the server reported an error: %.200a", str(realtime_error(event)))

    def _start_callbacks(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        if self._end is not None:
            callbacks.end(self._end, discard=True)
            callbacks.over(self._end.closed)
        if self._tasks is not None:
            self._tasks.start_soon(self._call_back, callbacks, name="meshrt callbacks")

    async def _call_back(self, callbacks: Callbacks) -> None:  # noqa: ASYNC910  a task of its own
        try:
            await callbacks.run()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # it is the user's, and is raised outside
            if is_cancellation(error):
                raise
            self._handler_failure = error
            if self._tasks is not None:
                self._tasks.cancel_scope.cancel("a handler failed")

    def _finish(self, end: End, *, goodbye: tuple[int, str], drain: bool = False) -> End:
        """End the session, if nothing has ended it before: the first reason wins."""
        if self._end is not None:
            return self._end
        self._end = end
        self._goodbye = goodbye
        self._patience.deadline = anyio.current_time() + self._options.close_timeout
        self._protocol.end(end.message)
        self._close_outbox(end, drain=drain)
        discard = end.kind is EndKind.OURS
        self._inbox.end(end, discard=discard)
        if self._callbacks is not None:
            self._callbacks.end(end, discard=discard)
            self._callbacks.over(end.closed)
        self._answers.ended(end)
        return end

    def _close_outbox(self, end: End, *, drain: bool) -> None:
        dropped = self._outbox.close(drain=drain)
        if dropped:
            _logger.warning("%d queued events were not sent: %s", dropped, end.message)

    def _take_failure(self) -> BaseException | None:
        failure, self._handler_failure = self._handler_failure, None
        return failure

    def _release(self) -> None:
        """Give up the memory, when the block is left and all tasks are done."""
        self._tasks = None
        self._outbox.discard()
        self._inbox.close()
        if self._callbacks is not None:
            self._callbacks.close()

    def _picture(
        self, initiator: Literal["client", "server", "network"], code: int | None, reason: str
    ) -> Closed:
        return Closed(
            initiator=initiator,
            code=code,
            reason=reason,
            last_byte_age=anyio.current_time() - self._transport.last_byte_at,
            error=self._last_error if initiator != "client" else None,
        )

    def _ours(self, code: int | None, reason: str) -> End:
        """Say that we ended it; without a code, that we cut it off."""
        return End(
            EndKind.OURS,
            self._picture("client", code, reason),
            "this session is closed, by close() or because its `async with` block was left; "
            "connect again for a new one",
        )

    def _closed_by_server(self) -> None:
        code = self._transport.close_code
        reason = self._options.redact(self._transport.close_reason)
        closed = self._picture("server", code, reason)
        kind = EndKind.LOST
        if is_expiry(code, reason, closed.error):
            kind = EndKind.EXPIRED
        elif code == _CLOSE_NORMAL and not self._protocol.turn_in_flight:
            kind = EndKind.CLEAN
        said = f": {reason[:200]!a}" if reason else ""
        message = f"the server closed the session with code {code}{said}{self._aftermath(closed)}"
        self._finish(End(kind, closed, message), goodbye=(1000, ""))

    def _aftermath(self, closed: Closed) -> str:
        """Say what was cut, what the server objected to, and what to do."""
        turn = ", in the middle of a response" if self._protocol.turn_in_flight else ""
        error = f", after the error {str(closed.error)[:200]!a}" if closed.error else ""
        return f"{turn}{error}; connect again for a new session"

    def _lost(self, error: Exception) -> None:
        closed = self._picture("network", None, "")
        kind = EndKind.EXPIRED if is_expiry(None, "", closed.error) else EndKind.LOST
        message = f"the connection broke without a CLOSE frame{self._aftermath(closed)}: {error}"
        self._finish(End(kind, closed, message, error), goodbye=(1000, ""))

    def _violated(self, error: RemoteProtocolError) -> None:
        closed = self._picture("client", error.close_code, "")
        self._finish(End(EndKind.VIOLATION, closed, str(error)), goodbye=(error.close_code, ""))

    def _too_slow(self, who: str) -> End:
        closed = self._picture("client", _CLOSE_TOO_SLOW, "slow consumer")
        message = (
            f"{who} did not keep up with the server: more than {self._options.buffer_bytes} bytes "
            "were waiting. Read in a task of its own and do slow work elsewhere, or raise "
            "`buffer_bytes`"
        )
        return End(EndKind.SLOW, closed, message)

    def _broke(self, error: Exception) -> None:
        _logger.error("a bug in meshrt; please report it", exc_info=error)
        closed = self._picture("client", 1011, "")
        message = f"a bug in meshrt; please report it: {type(error).__name__}: {error}"
        self._finish(End(EndKind.BUG, closed, message, error), goodbye=(1011, ""))


def _split(
    audio: bytes | bytearray | memoryview,
) -> Sequence[bytes | bytearray | memoryview]:
    """Cut audio into appends; what is not bytes is left whole, to be refused."""
    if not isinstance(audio, bytes | bytearray | memoryview):
        return [audio]
    view = memoryview(audio)
    # What has gaps, such as one channel of interleaved samples, can't be cast.
    view = (view if view.c_contiguous else memoryview(view.tobytes())).cast("B")
    return [view[at : at + MAX_APPEND_BYTES] for at in range(0, len(view), MAX_APPEND_BYTES)]
