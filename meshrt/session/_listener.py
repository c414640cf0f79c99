"""A stream of a session's messages that is somebody's own."""

from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, final

import anyio

from .._public import NoPublicConstructor
from ..protocol import AnyEvent
from ._buffer import Buffer
from ._dropping import DroppingBuffer
from ._end import Closed, End, EndKind
from ._message import RealtimeMessage
from ._selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Overflow: TypeAlias = Literal["end", "drop_oldest_audio"]
"""What becomes of a listener that does not keep up with its budget."""
OVERFLOWS: Final[tuple[Overflow, ...]] = ("end", "drop_oldest_audio")

_CLOSED: Final = End(
    EndKind.OURS,
    Closed(initiator="client", code=None, reason="", last_byte_age=0.0),
    "this listener is closed, by close() or because its block was left; listen() gives a new one",
)


@final
class Listener(metaclass=NoPublicConstructor):
    """A stream of messages from ``session.listen(…)``, independent of all others.

    It hears from the moment it is made. Iterate over it, in one task at a time; leave its
    ``with`` block, or call :meth:`close`, when you have heard enough.

    Attributes:
        dropped: How many messages were dropped because nobody read them in time.
        dropped_bytes: What they cost against the budget, in bytes.
    """

    def __init__(
        self,
        selection: Selection,
        budget_bytes: int,
        on_overflow: Overflow,
        forget: "Callable[[Listener], None]",
    ) -> None:
        self._selection = selection
        self._budget = budget_bytes
        drops = on_overflow == "drop_oldest_audio"
        self._buffer = DroppingBuffer(budget_bytes) if drops else Buffer(budget_bytes)
        self._forget = forget
        self._closed = False
        self.dropped: int = 0
        self.dropped_bytes: int = 0

    async def receive(self) -> RealtimeMessage:
        """Return the next message.

        Cancelling is safe: the message is still there for the next call.

        Raises:
            SlowConsumerError: It was not read in time, and has ended; the session goes on.
            anyio.EndOfStream: The server closed, with code 1000 and no turn running.
            SessionExpired: The server closed because the session had lasted as long as it may.
            ConnectionLost: The session ended in any other way.
            meshrt.transports.SessionClosed: We closed the session.
            RemoteProtocolError: The server sent something that is not of this wire.
            anyio.ClosedResourceError: This listener is closed.
            anyio.BusyResourceError: Another task is receiving.
        """
        message = await self._buffer.receive()
        if self._closed:
            raise anyio.ClosedResourceError(_CLOSED.message)
        if isinstance(message, End):
            raise message.to_reader()
        return message

    def __aiter__(self) -> Self:
        """Iterate over the messages, until the end."""
        return self

    async def __anext__(self) -> RealtimeMessage:
        """Return the next message, as :meth:`receive` does; stop at a clean end or a close."""
        try:
            return await self.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Hear no more, and forget what waits; idempotent. A running iteration stops."""
        self._closed = True
        self._forget(self)
        self._buffer.end(_CLOSED, discard=True)
        self._release()

    def __enter__(self) -> Self:
        """Return the listener, which is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self.close()

    @property
    def _waiting(self) -> int:
        return self._buffer.count

    def _wants(self, event: AnyEvent) -> bool:
        return not self._buffer.has_ended and self._selection.wants(event)

    def _offer(self, message: RealtimeMessage, cost: int) -> bool:
        """Add a message if it was asked for; ``False`` if the budget is spent."""
        if not self._wants(message.event) or self._buffer.offer(message, cost):
            return True
        if not isinstance(self._buffer, DroppingBuffer):
            return False
        self._count_dropped(*self._buffer.drop_oldest_audio())
        return self._buffer.offer(message, cost)

    def _count_dropped(self, count: int, cost: int) -> None:
        self.dropped += count
        self.dropped_bytes += cost

    def __del__(self) -> None:
        # Whoever broke out of a loop over it holds it no more; its streams would complain.
        self._release()

    def _end(self, end: End, *, discard: bool) -> None:
        self._buffer.end(end, discard=discard)

    def _keep(self) -> None:
        self._buffer.keep()

    def _release(self) -> None:
        self._buffer.close()
