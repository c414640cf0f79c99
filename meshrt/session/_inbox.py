"""What the session's own iteration reads, and what becomes of it where nobody does."""

from typing import final

from ..errors import SlowConsumerError
from ._buffer import Buffer
from ._end import End
from ._message import RealtimeMessage


@final
class Inbox:
    """A listener that is open from the start, for a reader who may come late or never.

    A program of callbacks alone never iterates, and must not die of a buffer that it does not
    know of. So a buffer that was never read is dropped, and the first read says so.

    Attributes:
        was_read: Whether somebody has read.
        dropped: How many messages were dropped, all in all.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._buffer = Buffer(budget_bytes)
        self._dropped = 0  # of which the next read tells
        self._dropped_bytes = 0
        self.was_read = False
        self.dropped = 0

    @property
    def count(self) -> int:
        """How many messages wait."""
        return self._buffer.count

    @property
    def cost(self) -> int:
        """What they cost, in bytes of the budget."""
        return self._buffer.cost

    def offer(self, message: RealtimeMessage, cost: int) -> bool:
        """Add a message; ``False`` if a reader was there and has not kept up."""
        if self._dropped == 0 and self._buffer.offer(message, cost):
            return True
        if self.was_read and self._dropped == 0:
            return False
        self._drop(cost)
        return True

    def end(self, end: End, *, discard: bool) -> None:
        """Let the reader see this end, after what is buffered or in place of it."""
        if discard:
            self._dropped = self._dropped_bytes = 0
        self._buffer.end(end, discard=discard)

    def keep(self) -> None:
        """Keep what waits, when nothing more will come."""
        self._buffer.keep()

    def close(self) -> None:
        """Give up the memory."""
        self._buffer.close()

    async def receive(self) -> RealtimeMessage:
        """Return the next message.

        Raises:
            SlowConsumerError: The buffer was dropped, because nobody had read it.
            anyio.BusyResourceError: Another task is receiving.
            Exception: The end's own, once the buffered messages are taken.
        """
        buffer = self._buffer
        await buffer.pause()
        self.was_read = True
        if self._dropped:
            raise self._take_loss()
        message = buffer.pop() if buffer.count else await buffer.wait()
        if isinstance(message, End):
            raise message.to_reader()
        return message

    def _drop(self, cost: int) -> None:
        dropped, dropped_bytes = self._buffer.drop()
        self._dropped += dropped + 1
        self.dropped += dropped + 1
        self._dropped_bytes += dropped_bytes + cost

    def _take_loss(self) -> SlowConsumerError:
        error = SlowConsumerError(
            f"{self._dropped} messages were dropped before this first read: nobody had iterated, "
            "and the buffer was full. Read from the start, or use callbacks alone; the next read "
            "goes on with what comes from now on",
            dropped=self._dropped,
            dropped_bytes=self._dropped_bytes,
        )
        self._dropped = self._dropped_bytes = 0
        return error
