"""A pair of transports in memory: the same contract, no sockets, and so virtual time."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, final

import anyio
import anyio.lowlevel
import attrs

from ._close_codes import check_close_code
from ._errors import ConnectionLost

_CONTROL_BYTES: Final = 6  # a masked control frame without payload


@attrs.frozen
class _Close:
    code: int
    reason: str


@attrs.frozen(kw_only=True)
class _Write:
    """What one write carries, in the order in which it is read."""

    ping: bool = False
    pong: bool = False
    messages: tuple[str | bytes, ...] = ()
    close: _Close | None = None

    def __len__(self) -> int:
        """Return the bytes of its control frames."""
        return _CONTROL_BYTES * (self.ping + self.pong + (self.close is not None))


_NOTHING: Final = _Write()


class _Pipe:
    """One direction: writes that have not been read, and whether either end is gone."""

    def __init__(self, max_batches: int | None) -> None:
        self._max_batches = max_batches
        self._writes: deque[_Write] = deque()
        self._changed = anyio.Event()
        self._cut = False

    async def put(self, write: _Write) -> None:
        await anyio.lowlevel.checkpoint()
        while not self._cut and self._is_full():
            await self._changed.wait()
        if self._cut:
            raise anyio.BrokenResourceError
        self._writes.append(write)
        self._tell()

    async def get(self) -> _Write | None:
        """Return the next write, ``None`` after the last one."""
        await anyio.lowlevel.checkpoint()
        while not (self._cut or self._writes):
            await self._changed.wait()
        if not self._writes:
            return None
        write = self._writes.popleft()
        self._tell()
        return write

    def cut(self, *, drop: bool) -> None:
        """End this direction; what was written stays readable unless it is to be dropped."""
        self._cut = True
        if drop:
            self._writes.clear()
        self._tell()

    def _is_full(self) -> bool:
        return self._max_batches is not None and len(self._writes) >= self._max_batches

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _nobody() -> None:
    """Stand in for ``wake`` until a session sets its own."""


@final
class MemoryTransport:
    """One end of a pair that :func:`memory_transports` makes; see :class:`Transport`.

    As on a real connection, a ping is answered when the peer's reader has read it and its
    writer has sent the pong.
    """

    def __init__(self, inbound: _Pipe, outbound: _Pipe, subprotocol: str | None) -> None:
        self.wake: Callable[[], None] = _nobody
        self.last_byte_at: float = anyio.current_time()
        self.last_write_at: float = self.last_byte_at
        self.close_code: int | None = None
        self.close_reason: str = ""
        self.subprotocol = subprotocol
        self._inbound = inbound
        self._outbound = outbound
        self._control = _NOTHING
        self._reading = anyio.ResourceGuard("receiving from")
        self._writing = anyio.ResourceGuard("sending to")
        self._close_sent = False
        self._lost = False
        self._torn = False
        self._aborted = False

    async def receive(self) -> list[str | bytes]:
        """Return the messages of one write of the peer, at least one, in order.

        Cancelling is safe: a message is returned by this call or by the next one.

        Raises:
            anyio.EndOfStream: The peer closed; ``close_code`` and ``close_reason`` say why.
            ConnectionLost: The peer aborted.
            anyio.ClosedResourceError: :meth:`abort` was called.
            anyio.BusyResourceError: Another task is receiving.
        """
        with self._reading:
            while True:
                if self._is_over():
                    await anyio.lowlevel.checkpoint()
                    self._end()
                if messages := await self._read():
                    return messages

    async def send(self, batch: Sequence[str | bytes]) -> None:
        """Hand the waiting control frames and the messages to the peer, as one write.

        It waits while ``max_batches`` writes are unread. Cancelling is not safe: the connection
        then counts as broken.

        Raises:
            ConnectionLost: The peer aborted or closed, or an earlier send was cancelled.
            anyio.ClosedResourceError: We closed it.
            anyio.BusyResourceError: Another task is sending.
        """
        with self._writing:
            self._check_alive()
            ended = self.close_code is not None or self._close_sent
            await self._write(() if ended else tuple(batch))
            if batch and ended:
                self._refuse()

    def outgoing(self) -> int:
        """Return how many bytes of control frames wait for the writer."""
        return len(self._control)

    def ping(self) -> None:
        """Queue a ping and call ``wake``; whatever comes back is the answer."""
        if not self._close_sent and self.close_code is None:
            self._control = attrs.evolve(self._control, ping=True)
            self.wake()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Hand over what waits and a CLOSE; do not wait for the peer's answer; idempotent.

        Raises:
            LocalProtocolError: The code may not be sent; nothing happened.
            ConnectionLost: The connection was gone already.
            anyio.BusyResourceError: Another task is sending.
        """
        check_close_code(code)
        if self._aborted:
            await anyio.lowlevel.checkpoint()
            return
        with self._writing:
            self._check_alive()
            if not self._close_sent and self.close_code is None:
                self._control = attrs.evolve(self._control, close=_Close(code, reason))
            self._close_sent = True
            await self._write(())

    async def abort(self) -> None:
        """Cut both directions at once; idempotent, never raises.

        The peer reads what was already sent, and then sees :class:`ConnectionLost`.
        """
        self._aborted = True
        self._inbound.cut(drop=True)
        self._outbound.cut(drop=False)
        with anyio.move_on_after(0, shield=True):
            await anyio.lowlevel.checkpoint()

    async def _read(self) -> list[str | bytes]:
        write = await self._inbound.get()
        if write is None:
            self._lost = True
            return []
        self.last_byte_at = anyio.current_time()
        self._answer(write)
        return list(write.messages)

    def _answer(self, write: _Write) -> None:
        control = self._control
        if write.ping:
            control = attrs.evolve(control, pong=True)
        if write.close is not None:
            self.close_code, self.close_reason = write.close.code, write.close.reason
            echo = None if self._close_sent else write.close
            control = attrs.evolve(control, close=echo)
        if control != self._control:
            self._control = control
            self.wake()

    def _is_over(self) -> bool:
        return self._aborted or self._lost or self.close_code is not None

    def _end(self) -> NoReturn:
        if self._aborted:
            raise anyio.ClosedResourceError
        if self.close_code is not None:
            raise anyio.EndOfStream
        raise self._loss()

    def _loss(self) -> ConnectionLost:
        if self.close_code is None:
            return ConnectionLost("the peer aborted the connection without a CLOSE frame")
        return ConnectionLost(
            f"the peer closed the connection with {self.close_code} {self.close_reason}".rstrip(),
            code=self.close_code,
            reason=self.close_reason,
        )

    def _check_alive(self) -> None:
        if self._aborted:
            raise anyio.ClosedResourceError
        if self._torn or self._lost:
            raise self._loss()

    def _refuse(self) -> NoReturn:
        if self._close_sent:
            raise anyio.ClosedResourceError
        raise self._loss()

    async def _write(self, messages: tuple[str | bytes, ...]) -> None:
        write, self._control = attrs.evolve(self._control, messages=messages), _NOTHING
        if write == _NOTHING:
            await anyio.lowlevel.checkpoint()
            return
        self._torn = True  # until it is handed over: a cancelled write leaves it so
        try:
            await self._outbound.put(write)
        except anyio.BrokenResourceError:
            if self._aborted:
                raise anyio.ClosedResourceError from None
            raise self._loss() from None
        self._torn = False
        self.last_write_at = anyio.current_time()


def memory_transports(
    *, max_batches: int | None = None, subprotocol: str | None = None
) -> tuple[MemoryTransport, MemoryTransport]:
    """Make two transports that are connected with each other, in memory.

    There are no sockets, so virtual time works (Trio's autojump clock), and every step is
    deterministic.

    Args:
        max_batches: How many writes may wait unread before ``send`` blocks; ``None`` for no
            limit.
        subprotocol: What both ends report as agreed on.

    Returns:
        The two ends; either may play either role.
    """
    there, back = _Pipe(max_batches), _Pipe(max_batches)
    return (
        MemoryTransport(back, there, subprotocol),
        MemoryTransport(there, back, subprotocol),
    )
