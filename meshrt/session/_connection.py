"""The tasks that use the transport: one reads it, one writes it, one watches it."""

from collections.abc import Callable
from typing import Final, final

import anyio

from ..errors import RemoteProtocolError
from ..transports import ConnectionLost, Transport
from ._cancellation import is_cancellation
from ._end import End, EndKind
from ._journal import SessionJournal
from ._ledger import Ledger
from ._liveness import Watch
from ._options import SessionOptions
from ._outbox import Outbox
from ._tasks import Tasks
from ._verdict import Verdict

_BROKEN: Final = (EndKind.LOST, EndKind.EXPIRED)


@final
class Connection:
    """A transport with its tasks, its queue and its end.

    The tasks never raise: the first reason for an end is kept, and all who wait are told.

    Args:
        transport: What is used; nobody else does.
        options: The session's.
        verdict: Names the end.
        take: Takes one message, in the reader's step.
        on_end: Tells all who wait of the end, once.
        on_interrupt: Takes what is not for us to judge, such as a ``KeyboardInterrupt``.
        is_active: Tells whether a turn or audio is under way.
        ledger: Where the outbox notes how far what is sent has come.
        journal: Where the end is logged, and what was not sent.

    Attributes:
        outbox: What waits to be written.
        end: How it ended; ``None`` while it goes on.
        ending: Set when there is an end.
        gone: Set when nobody writes any more and the transport is closed.
    """

    def __init__(
        self,
        transport: Transport,
        options: SessionOptions,
        verdict: Verdict,
        *,
        take: Callable[[str | bytes], None],
        on_end: Callable[[End], None],
        on_interrupt: Callable[[BaseException], None],
        is_active: Callable[[], bool],
        ledger: Ledger,
        journal: SessionJournal,
    ) -> None:
        self._transport = transport
        self._options = options
        self._verdict = verdict
        self._take = take
        self._on_end = on_end
        self._on_interrupt = on_interrupt
        self._is_active = is_active
        self._journal = journal
        self._goodbye: tuple[int, str] = (1000, "")
        self._patience = anyio.CancelScope()  # with the writer, from the end of the session on
        self._reader_done = anyio.Event()
        self.outbox = Outbox(ledger)
        self.end: End | None = None
        self.ending = anyio.Event()
        self.gone = anyio.Event()
        transport.wake = self.outbox.wake

    @property
    def silence(self) -> float:
        """How long ago the last byte came, in seconds."""
        return anyio.current_time() - self._transport.last_byte_at

    def start(self, tasks: Tasks) -> None:
        """Begin to read and write."""
        tasks.start_soon(self._read, name="meshrt reader")
        tasks.start_soon(self._write, name="meshrt writer")

    def start_watch(self, tasks: Tasks) -> None:
        """Begin to watch, if that is wanted: until the greeting ``connect_timeout`` is enough."""
        if self._options.liveness is not None or self._options.keep_alive is not None:
            tasks.start_soon(self._guard, name="meshrt watch")

    def check_open(self) -> None:
        """Raise the end, if there is one, as somebody who sends sees it."""
        if self.end is not None:
            raise self.end.to_sender()

    def finish(self, end: End, *, drain: bool = False, patience_s: float | None = None) -> End:
        """End it, if nothing has ended it before: the first reason wins.

        Args:
            end: The reason; its code and reason are the goodbye, if it is we who end it.
            drain: Whether what is queued is sent first.
            patience_s: How long all of it may take, in seconds; by default ``close_timeout``.
        """
        if self._is_loss(end):
            self.outbox.lose()
        if self.end is not None:
            return self.end
        self.end = end
        self._journal.ended(end)
        self._goodbye = _goodbye_of(end)
        patience_s = self._options.close_timeout if patience_s is None else patience_s
        self._patience.deadline = anyio.current_time() + patience_s
        self._warn_of(self.outbox.close(drain=drain), end)
        self._on_end(end)
        self.ending.set()
        return end

    def _is_loss(self, end: End) -> bool:
        """Tell whether what the operating system took is in doubt, our own close or not.

        Once the writer has gone, it is we who cut the connection.
        """
        if self.end is None:
            return end.kind in _BROKEN
        return end.closed.initiator == "network" and not self.outbox.ledger.is_over

    async def close(self) -> None:
        """Wait until the transport is closed, for ``close_timeout`` at most, and see to it.

        Cancelled, it cuts the connection at once and leaves nothing behind.
        """
        try:
            with anyio.move_on_after(self._options.close_timeout):
                await self.gone.wait()
        finally:
            if not self.gone.is_set():
                with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 1):
                    await self._transport.abort()

    async def abandon(self) -> None:
        """End without ceremony: under cancellation, or where no session came about."""
        self.finish(self._verdict.ours(None, ""))
        await self._transport.abort()

    def release(self) -> None:
        """Forget whom to tell, when all tasks are done: they would keep each other alive."""
        self._take = self._on_end = self._on_interrupt = _tell_nobody
        self._is_active = bool
        self.outbox.discard()

    async def _read(self) -> None:  # noqa: ASYNC910  a task of its own
        """Drain the wire, whoever reads or does not, until it ends."""
        try:
            while True:
                self._take_all(await self._transport.receive())
        except anyio.EndOfStream:
            self.finish(self._verdict.by_server())
        except RemoteProtocolError as error:
            self.finish(self._verdict.violated(error))
        except (ConnectionLost, anyio.ClosedResourceError) as error:
            self.finish(self._verdict.lost(error))
        except BaseException as error:  # noqa: ASYNC103, BLE001  a task of ours records, and never raises
            self._interrupted(error)
        finally:
            self._reader_done.set()

    def _take_all(self, messages: list[str | bytes]) -> None:
        # Not in the reader's frame: that is in the traceback of a loss, and must not show texts.
        for message in messages:
            self._take(message)

    async def _write(self) -> None:
        """Write what is queued, all of it at a time, and at last the goodbye."""
        try:
            with self._patience:
                await self.outbox.write_to(self._transport)
                await self._transport.aclose(*self._goodbye)
                await self._reader_done.wait()
        except (ConnectionLost, anyio.ClosedResourceError) as error:
            self.outbox.lose()
            await self._failed_to_write(error)
        except BaseException as error:  # noqa: ASYNC103, BLE001  a task of ours records, and never raises
            self._interrupted(error)
        finally:
            # Cancelled from outside or cut while it was stuck: from here on nobody writes.
            end = self.finish(self._verdict.ours(None, ""))
            self._warn_of(self.outbox.end(), end)
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 1):
                await self._transport.abort()
            self.gone.set()

    def _interrupted(self, error: BaseException) -> None:
        """Tell a bug from a cancellation, which goes on, and from what is somebody else's."""
        if is_cancellation(error):
            raise error
        if isinstance(error, Exception):
            self.finish(self._verdict.bug(error))
        else:
            self._on_interrupt(error)

    async def _failed_to_write(self, error: Exception) -> None:
        """Let the reader say why first: a CLOSE that came knows more than a failed write."""
        with anyio.move_on_after(self._options.close_timeout):
            await self._reader_done.wait()
        self.finish(self._verdict.lost(error))

    async def _guard(self) -> None:  # noqa: ASYNC910  a task of its own
        """End the session when the server is dead: there is nobody to say goodbye to."""
        watch = Watch(
            self._transport,
            liveness=self._options.liveness,
            keep_alive=self._options.keep_alive,
            is_active=self._is_active,
            sent_at=lambda: self.outbox.sent_at,
            over=self.ending,
        )
        try:
            silence = await watch.until_dead()
            if silence is not None:
                self.finish(self._verdict.dead(silence), patience_s=0)
        except BaseException as error:  # noqa: ASYNC103, BLE001  a task of ours records, and never raises
            self._interrupted(error)

    def _warn_of(self, dropped: int, end: End) -> None:
        if dropped:
            self._journal.unsent(dropped, end)


def _tell_nobody(_what: object) -> None:
    """Stand in for a session that is released."""


def _goodbye_of(end: End) -> tuple[int, str]:
    """Return the code and the reason of our CLOSE."""
    if end.closed.initiator == "client" and end.closed.code is not None:
        return end.closed.code, end.closed.reason
    return 1000, ""
