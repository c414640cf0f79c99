"""The queue between those who send and the one task that writes.

A hand-off waits for room first and then puts without an await, so that a cancelled ``send`` has
either happened or not: AnyIO's streams alone do not promise that under asyncio's own cancellation.
"""

import math
from typing import Final, final

import anyio
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from ..transports import Transport

MAX_QUEUED_EVENTS: Final = 64
"""Events that may wait before ``send`` does: more only adds delay to speech."""
MAX_QUEUED_BYTES: Final = 2**20
"""Bytes that may wait before ``send`` does: 16 s of PCM16 as base64."""
_BATCH_BYTES: Final = 64 * 1024  # what goes out in one write: above it, writes gain nothing
_SCHEDULE_BYTES: Final = 16 * 1024  # how much may be queued before others get to run


@final
class Outbox:
    """Texts that wait for the writer, with an account of their bytes."""

    def __init__(self) -> None:
        self._put, self._take = anyio.create_memory_object_stream[str](math.inf)
        self._count = 0
        self._bytes = 0
        self._since_schedule = 0
        self._room = anyio.Event()
        self._work = anyio.Event()
        self.closed = False

    @property
    def has_room(self) -> bool:
        """Whether one more text is admitted, whatever its size: the limits are marks."""
        return self._count < MAX_QUEUED_EVENTS and self._bytes < MAX_QUEUED_BYTES

    async def admit(self, size: int) -> None:
        """Wait until there is room; then put, without an await in between.

        It is a cancellation point each time, and lets other tasks run every 16 KiB and whenever
        it waits: to do so each time would cost most of the throughput.
        """
        await checkpoint_if_cancelled()
        self._since_schedule += size
        if self._since_schedule >= _SCHEDULE_BYTES:
            self._since_schedule = 0
            await checkpoint()
        while not (self.has_room or self.closed):
            await self._room.wait()
        if self.closed:
            await checkpoint_if_cancelled()  # it may be why the writer closed it

    def put(self, text: str) -> None:
        """Queue a text; the session's own go in without having been admitted."""
        self._put.send_nowait(text)
        self._count += 1
        self._bytes += len(text)
        self.wake()

    def take(self) -> list[str]:
        """Return what to write next, up to 64 KiB or one text; empty if there is nothing."""
        batch: list[str] = []
        size = 0
        while self._count and size < _BATCH_BYTES:
            text = self._take.receive_nowait()
            batch.append(text)
            size += len(text)
            self._count -= 1
        self._bytes -= size
        if batch and self.has_room:
            self._room.set()
            self._room = anyio.Event()
        return batch

    def wake(self) -> None:
        """Let the writer look again."""
        self._work.set()

    async def wait(self) -> None:
        """Wait for something to write or for the close; only the writer does."""
        await self._work.wait()
        self._work = anyio.Event()

    async def write_to(self, transport: Transport) -> None:
        """Write what is queued, control frames first, until the outbox is closed and empty.

        Only one task does. Cancelled, it leaves the transport broken.

        Raises:
            ConnectionLost: The connection is gone.
            anyio.ClosedResourceError: We had closed it.
        """
        while True:  # noqa: ASYNC913  each branch waits or returns
            batch = self.take()
            if batch or transport.outgoing():
                await transport.send(batch)
            elif self.closed:
                return  # noqa: ASYNC910  a task of its own
            else:
                await self.wait()

    def close(self, *, drain: bool) -> int:
        """Take nothing more; return how many texts are dropped if what waits is not drained."""
        self.closed = True
        dropped = 0
        while self._count and not drain:
            dropped += len(self.take())
        self._put.close()
        self._room.set()
        self.wake()
        return dropped

    def discard(self) -> None:
        """Give up the memory of what never left."""
        self.close(drain=False)
        self._take.close()
