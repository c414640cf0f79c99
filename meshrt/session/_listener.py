"""A reader's own stream of messages, with a budget of its own."""

import math
from typing import Final, final

import anyio
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from ._end import End
from ._message import RealtimeMessage

DEFAULT_BUDGET_BYTES: Final = 16 * 2**20
"""About 260 s of speech as it comes over the wire."""
_SCHEDULE_BYTES: Final = 16 * 1024  # how much may be taken before others get to run


@final
class Listener:
    """Messages that wait for one reader.

    The session's reader offers and never waits. Whoever receives waits for readiness first and
    then takes without an await, so that a cancelled ``receive`` has taken nothing.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._put, self._take = anyio.create_memory_object_stream[tuple[RealtimeMessage, int]](
            math.inf
        )
        self._ready = anyio.Event()
        self._since_schedule = 0
        self._end: End | None = None
        self._guard = anyio.ResourceGuard("receiving from")
        self.count = 0
        self.cost = 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is added."""
        return self._end is not None

    def offer(self, message: RealtimeMessage, cost: int) -> bool:
        """Add a message unless the budget is spent or it is over; one is always admitted."""
        if self.cost >= self._budget or self._end is not None:
            return False
        self._put.send_nowait((message, cost))
        self.count += 1
        self.cost += cost
        self._ready.set()
        return True

    def end(self, end: End, *, discard: bool) -> None:
        """Let the reader see this end, after what is buffered or in place of it."""
        if self._end is None or discard:
            self._end = end
        if discard:
            self.drop()
        self._put.close()
        self._ready.set()

    def drop(self) -> tuple[int, int]:
        """Forget what is buffered; return how many messages that was and what they cost."""
        dropped = (self.count, self.cost)
        while self.count:
            self._pop()
        return dropped

    def close(self) -> None:
        """Give up the memory."""
        self._put.close()
        self._take.close()
        self.count = self.cost = 0

    async def receive(self) -> RealtimeMessage | End:
        """Return the next message, or the end once there is none.

        Cancelling is safe: the message is still there for the next call.

        Raises:
            anyio.BusyResourceError: Another task is receiving.
        """
        with self._guard:
            await self._yield()
            while not self.count:
                if self._end is not None:
                    await checkpoint_if_cancelled()  # it may be why there is an end
                    return self._end
                self._ready = anyio.Event()
                await self._ready.wait()
            return self._pop()

    def _pop(self) -> RealtimeMessage:
        message, cost = self._take.receive_nowait()
        self.count -= 1
        self.cost -= cost
        self._since_schedule += cost
        return message

    async def _yield(self) -> None:
        if self._since_schedule >= _SCHEDULE_BYTES:
            self._since_schedule = 0
            await checkpoint()
        else:
            await checkpoint_if_cancelled()
