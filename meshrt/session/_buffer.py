"""Messages that wait for one reader, with a budget of their own."""

import math
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import anyio
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from ._end import End
from ._message import RealtimeMessage

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream

DEFAULT_BUDGET_BYTES: Final = 16 * 2**20
"""About 260 s of speech as it comes over the wire."""
_SCHEDULE_BYTES: Final = 16 * 1024  # how much is taken before others may want to run
_SCHEDULE_S: Final = 0.005  # and how long they are made to wait, if they took no longer

_Entry: TypeAlias = Any  # a message and what it costs; how, is the business of each class


@final
class _Rest:
    """What waits when nothing more will come: no stream, which somebody would have to close."""

    def __init__(self, entries: Iterable[_Entry]) -> None:
        self._entries = deque(entries)

    def receive_nowait(self) -> _Entry:
        return self._entries.popleft()

    def close(self) -> None:
        self._entries.clear()


@final
class _Guard:
    """Whether somebody waits; asked for each message, which AnyIO's own guard can't be."""

    is_held = False

    def check(self) -> None:
        if self.is_held:
            raise anyio.BusyResourceError("receiving from")

    def __enter__(self) -> None:
        self.check()
        self.is_held = True

    def __exit__(self, *_: object) -> None:
        self.is_held = False


class Buffer:
    """Messages that wait for one reader.

    The session's reader offers and never waits. Whoever receives waits for readiness first and
    then takes without an await, so that a cancelled ``receive`` has taken nothing.

    Attributes:
        count: How many messages wait.
        cost: What they cost together, in bytes of the budget.
    """

    _gaps = 0  # entries whose message was dropped; only a subclass has any

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._put, take = anyio.create_memory_object_stream[_Entry](math.inf)
        self._take: MemoryObjectReceiveStream[_Entry] | _Rest = take
        self._ready: anyio.Event | None = None  # only while somebody waits for it
        self._since_schedule = 0
        self._quota = 0
        self._scheduled_at = monotonic()
        self._slice_s = _SCHEDULE_S
        self._end: End | None = None
        self._guard = _Guard()
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
        self._add(message, cost)
        self.count += 1
        self.cost += cost
        if self._ready is not None:
            self._tell_ready()
        return True

    def end(self, end: End, *, discard: bool) -> None:
        """Let the reader see this end, after what is buffered or in place of it."""
        if self._end is None or discard:
            self._end = end
        if discard:
            self.drop()
        self._put.close()
        self._tell_ready()

    def drop(self) -> tuple[int, int]:
        """Forget what is buffered; return how many messages that was and what they cost."""
        dropped = (self.count, self.cost)
        while self.count:
            self.pop()
        return dropped

    def keep(self) -> None:
        """Keep what waits for as long as somebody holds this, when nothing more will come."""
        rest = _Rest([self._take.receive_nowait() for _ in range(self.count + self._gaps)])
        self._put.close()
        self._take.close()
        self._take = rest

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
        await self.pause()
        return self.pop() if self.count else await self.wait()

    async def pause(self) -> None:
        """Let a cancellation through, and others run: after what was there when they last did.

        Per turn of the loop the session's reader adds all of one read. Who takes less than that
        per turn falls behind however quick he is; so a reader may take as long as all others took.

        Raises:
            anyio.BusyResourceError: Another task is receiving.
        """
        if self._since_schedule < _SCHEDULE_BYTES or not self._is_time():
            self._guard.check()
            await checkpoint_if_cancelled()  # which waits for nothing, and so needs no guard
            return
        left_at = monotonic()
        with self._guard:
            await checkpoint()
        self._scheduled_at = monotonic()
        self._slice_s = max(_SCHEDULE_S, self._scheduled_at - left_at)
        self._since_schedule = 0
        self._quota = self.cost

    async def wait(self) -> RealtimeMessage | End:
        """Wait for a message, or for the end, and return it; cancelling is safe.

        Raises:
            anyio.BusyResourceError: Another task is receiving.
        """
        with self._guard:
            while not self.count and self._end is None:
                self._ready = anyio.Event()
                await self._ready.wait()
        if self.count or self._end is None:
            return self.pop()
        await checkpoint()  # a cancellation may be why there is an end
        return self._end

    def pop(self) -> RealtimeMessage:
        """Return the next message, which has to be there."""
        message: RealtimeMessage
        message, cost = self._take.receive_nowait()
        self._took(cost)
        return message

    def _add(self, message: RealtimeMessage, cost: int) -> None:
        self._put.send_nowait((message, cost))

    def _tell_ready(self) -> None:
        if self._ready is not None:
            self._ready.set()
            self._ready = None

    def _took(self, cost: int) -> None:
        self.count -= 1
        self.cost -= cost
        self._since_schedule += cost

    def _is_time(self) -> bool:
        over = self._since_schedule >= self._quota
        return over or monotonic() - self._scheduled_at > self._slice_s
