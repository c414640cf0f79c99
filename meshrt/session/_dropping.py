"""Messages that wait for a reader who would rather miss old audio than anything else."""

from collections import deque
from typing import Final, final

import attrs

from ._buffer import Buffer
from ._message import RealtimeMessage

_MAX_GAPS: Final = 1024


@attrs.define(eq=False)
class _Entry:
    """A message and what it costs; ``None`` in place of one that was dropped."""

    message: RealtimeMessage | None
    cost: int


@final
class DroppingBuffer(Buffer):
    """A buffer that knows which of its messages are audio, so as to find the oldest."""

    def __init__(self, budget_bytes: int) -> None:
        super().__init__(budget_bytes)
        self._audio: deque[_Entry] = deque()
        self._audio_cost = 0

    def drop_oldest_audio(self) -> tuple[int, int]:
        """Forget audio, the oldest first, until one more message is admitted.

        Where all of it is not enough, none is forgotten.

        Returns:
            How many messages that was and what they cost.
        """
        before = (self.count, self.cost)
        helps = self.cost - self._audio_cost < self._budget
        while helps and self.cost >= self._budget:
            entry = self._audio.popleft()
            self._audio_cost -= entry.cost
            entry.message = None
            self.count -= 1
            self.cost -= entry.cost
            self._gaps += 1
        self._close_gaps()
        return before[0] - self.count, before[1] - self.cost

    def pop(self) -> RealtimeMessage:
        """Return the next message, which has to be there."""
        entry = self._entry()
        while entry.message is None:
            self._gaps -= 1
            entry = self._entry()
        if self._audio and self._audio[0] is entry:
            self._audio.popleft()
            self._audio_cost -= entry.cost
        self._took(entry.cost)
        return entry.message

    def close(self) -> None:
        """Give up the memory."""
        super().close()
        self._audio.clear()
        self._audio_cost = self._gaps = 0

    def _add(self, message: RealtimeMessage, cost: int) -> None:
        entry = _Entry(message, cost)
        self._put.send_nowait(entry)
        if message.audio is not None:
            self._audio.append(entry)
            self._audio_cost += cost

    def _entry(self) -> _Entry:
        entry: _Entry = self._take.receive_nowait()
        return entry

    def _close_gaps(self) -> None:
        """Let what was dropped cost no memory; now and then, since it takes time."""
        if self._gaps <= self.count + _MAX_GAPS:
            return
        entries = [self._entry() for _ in range(self.count + self._gaps)]
        self._gaps = 0
        for entry in entries:
            if entry.message is not None:
                self._put.send_nowait(entry)
