"""The queue between those who send and the one task that writes.

A hand-off waits for room first and then puts without an await, so that a cancelled ``send`` has
either happened or not: AnyIO's streams alone do not promise that under asyncio's own cancellation.
"""

import math
from typing import Final, TypeAlias, final

import anyio
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from ..protocol import Prepared
from ..transports import Transport
from ._ledger import Ledger, Receipt
from ._size import wire_bytes

_Entry: TypeAlias = tuple[str, int, bool]  # a text, its length on the wire, and if it is audio

MAX_QUEUED_EVENTS: Final = 64
"""Events that may wait before ``send`` does: more only adds delay to speech."""
MAX_QUEUED_BYTES: Final = 2**20
"""Bytes that may wait before ``send`` does: 16 s of PCM16 as base64."""
_BATCH_BYTES: Final = 64 * 1024  # what goes out in one write: above it, writes gain nothing
_SCHEDULE_BYTES: Final = 16 * 1024  # how much may be queued before others get to run


@final
class Outbox:
    """Texts that wait for the writer, with an account of their bytes.

    Attributes:
        ledger: How far the texts have come.
        count: How many wait.
        bytes: How long they are together, on the wire.
        sent_bytes: How long those are that were sent.
        sent_at: When something was last written, control frames included, on the loop's clock.
        audio_sent_at: When audio was last written.
        holds_audio: Whether there is audio that waits, or is being written.
        unsent: The texts that were dropped, oldest first.
        closed: Whether nothing more is taken.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._put, self._take = anyio.create_memory_object_stream[_Entry](math.inf)
        self._since_schedule = 0
        self._room: anyio.Event | None = None  # only while somebody waits for it
        self._work = anyio.Event()
        self._written: anyio.Event | None = None  # only while somebody waits for it
        self.ledger = ledger or Ledger()
        self.count = 0
        self.bytes = 0
        self.sent_bytes = 0
        self.sent_at = anyio.current_time()
        self.audio_sent_at = -math.inf
        self._waiting_audio = 0
        self._writes_audio = False
        self._batch_bytes = 0
        self.unsent: list[str] = []
        self.closed = False

    @property
    def has_room(self) -> bool:
        """Whether one more text is admitted, whatever its size: the limits are marks."""
        return self.count < MAX_QUEUED_EVENTS and self.bytes < MAX_QUEUED_BYTES

    @property
    def holds_audio(self) -> bool:
        return self._writes_audio or self._waiting_audio > 0

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
            self._room = self._room or anyio.Event()
            await self._room.wait()
        if self.closed:
            await checkpoint_if_cancelled()  # it may be why the writer closed it

    def put(self, text: str) -> None:
        """Queue a text of which nobody wants to know what becomes of it."""
        self._queue(text, is_audio=False)
        self.ledger.queued += 1

    def put_event(self, prepared: Prepared) -> Receipt:
        """Queue an event, and return what will tell of it."""
        self._queue(prepared.text, is_audio=prepared.audio_bytes > 0)
        return self.ledger.queue(prepared)

    def put_audio(self, prepared: Prepared) -> None:
        """Queue an append: no time is looked at, and no receipt made, since there are many."""
        self._queue(prepared.text, is_audio=True)
        self.ledger.queued += 1

    def take(self) -> list[str]:
        """Return what to write next, up to 64 KiB or one text; empty if there is nothing."""
        batch: list[str] = []
        size = audio = 0
        while self.count and size < _BATCH_BYTES:
            text, text_bytes, is_audio = self._take.receive_nowait()
            batch.append(text)
            size += text_bytes
            audio += is_audio
            self.count -= 1
        self.bytes -= size
        self._batch_bytes = size
        self._waiting_audio -= audio
        self._writes_audio = audio > 0
        self.ledger.taken += len(batch)
        if batch and self.has_room:
            self._tell_room()
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
                self._wrote(batch)
            elif self.closed:
                return  # noqa: ASYNC910  a task of its own
            else:
                await self.wait()

    async def flush(self) -> bool:
        """Wait until all that is queued now has been sent; ``False`` if it never will be.

        Cancelling is safe.
        """
        last = self.ledger.queued
        await checkpoint()
        while self.ledger.fate_of(last) == "queued":
            self._written = self._written or anyio.Event()
            await self._written.wait()
        return self.ledger.sent >= last

    def lose(self) -> None:
        """Note that the connection broke, so that what the operating system held is in doubt."""
        self.ledger.is_lost = True
        self._tell_written()

    def close(self, *, drain: bool) -> int:
        """Take nothing more; return how many texts are dropped if what waits is not drained."""
        self.closed = True
        dropped = 0 if drain else self._drop()
        self._put.close()
        self._tell_room()
        self._work.set()
        return dropped

    def end(self) -> int:
        """Drop what waits, since nobody writes any more; return how many texts that is."""
        dropped = self.close(drain=False)
        self.ledger.is_over = True
        self._tell_written()
        return dropped

    def discard(self) -> None:
        """Give up the queue, which is empty or of no use any more."""
        self.close(drain=False)
        self._take.close()

    def _queue(self, text: str, *, is_audio: bool) -> None:
        size = wire_bytes(text)
        self._put.send_nowait((text, size, is_audio))
        self.count += 1
        self.bytes += size
        self._waiting_audio += is_audio
        self._work.set()

    def _drop(self) -> int:
        dropped = self.count
        self.unsent += [self._take.receive_nowait()[0] for _ in range(dropped)]
        self.count = self.bytes = self._waiting_audio = 0
        self.ledger.is_dropped = True
        self._tell_written()
        return dropped

    def _wrote(self, batch: list[str]) -> None:
        self.ledger.sent += len(batch)
        self.sent_bytes += self._batch_bytes
        self.sent_at = anyio.current_time()
        if self._writes_audio:
            self.audio_sent_at = self.sent_at
            self._writes_audio = False
        self._tell_written()

    def _tell_room(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    def _tell_written(self) -> None:
        if self._written is not None:
            self._written.set()
            self._written = None
