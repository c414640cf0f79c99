"""From the wire to everybody who waits for it: commands first, then those who listen."""

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from ..events import Error, ResponseOutputAudioDelta
from ..protocol import AnyEvent, Settled
from ._answers import Answers
from ._end import End, EndKind, realtime_error
from ._inbox import Inbox
from ._journal import SessionJournal
from ._listener import Listener, Overflow
from ._message import RealtimeMessage
from ._options import SessionOptions
from ._selection import Selection
from ._size import wire_bytes
from ._verdict import Verdict

if TYPE_CHECKING:
    from ._callbacks import Callbacks


@final
class Dispatch:
    """Everybody who hears what comes; each has a budget of its own, and none stalls another.

    Attributes:
        answers: Those who wait for the answer to a command.
        inbox: The iteration.
        callbacks: The handlers, once there are some.
        received: How many events came.
        received_bytes: How long they were, in bytes.
    """

    def __init__(self, options: SessionOptions, verdict: Verdict, journal: SessionJournal) -> None:
        self._options = options
        self._verdict = verdict
        self._journal = journal
        self.answers = Answers()
        self.inbox = Inbox(options.buffer_bytes)
        self.callbacks: Callbacks | None = None
        self._listeners: list[weakref.ref[Listener]] = []
        self.received = 0
        self.received_bytes = 0

    @property
    def dropped(self) -> int:
        """How many messages the iteration and the open listeners have dropped."""
        return self.inbox.dropped + sum(listener.dropped for listener in self.listeners)

    def listen(self, selection: Selection, budget_bytes: int, on_overflow: Overflow) -> Listener:
        """Open a listener."""
        listener = Listener._create(selection, budget_bytes, on_overflow, self._forget)
        self._listeners.append(weakref.ref(listener))
        return listener

    @property
    def listeners(self) -> list[Listener]:
        """All other listeners that somebody holds and has not closed."""
        listeners = [listener for each in self._listeners if (listener := each()) is not None]
        if len(listeners) < len(self._listeners):
            self._listeners = [weakref.ref(listener) for listener in listeners]
        return listeners

    def take(self, event: AnyEvent, settled: Sequence[Settled], text: str) -> End | None:
        """Give an event to all whom it concerns; return the end that it comes to, if it does."""
        self.received += 1
        size = wire_bytes(text)
        self.received_bytes += size
        self._journal.came(event, size)
        keeps = self._options.keep_audio_text or type(event) is not ResponseOutputAudioDelta
        message = RealtimeMessage(event, text if keeps else None)
        if isinstance(event, Error):
            if self._took_error(event, settled, message):
                return None
        else:
            self._verdict.last_error = None
            self.answers.offer(event, settled)
        return self._deliver(message, 2 * size + 512)

    def end(self, end: End) -> None:
        """Let all hear of the end: after what they have not read yet, unless it is our own."""
        discard = end.kind is EndKind.OURS
        self.inbox.end(end, discard=discard)
        for listener in self.listeners:
            listener._end(end, discard=discard)
        if self.callbacks is not None:
            self.callbacks.end(end, discard=discard)
            self.callbacks.over(end)
        self.answers.ended(end)

    def keep(self) -> None:
        """Give up the memory, but for what waits to be read."""
        self.inbox.keep()
        for listener in self.listeners:
            listener._keep()
        if self.callbacks is not None:
            self.callbacks.close()

    def close(self) -> None:
        """Give up the memory."""
        self.inbox.close()
        for listener in self.listeners:
            listener._release()
        self._listeners.clear()
        if self.callbacks is not None:
            self.callbacks.close()

    def _took_error(
        self, event: Error, settled: Sequence[Settled], message: RealtimeMessage
    ) -> bool:
        """Tell whether an error answers somebody; else it is for all, or for the log."""
        error = self._verdict.last_error = realtime_error(event)
        if self.answers.offer(event, settled):
            return True
        if not self._is_heard(message):
            self._journal.unclaimed(error)
        return False

    def _deliver(self, message: RealtimeMessage, cost: int) -> End | None:
        budget = self._options.buffer_bytes
        callbacks = self.callbacks
        if callbacks and not callbacks.has_ended and not callbacks.offer(message, cost):
            callbacks.overflow(self._verdict.too_slow("the handlers", budget))
        for listener in self.listeners if self._listeners else ():
            if not listener._offer(message, cost):
                listener._count_dropped(1, cost)
                listener._end(
                    self._verdict.too_slow("a listener", listener._budget), discard=False
                )
        if self.inbox.offer(message, cost):
            return None
        return self._verdict.too_slow("the iteration", budget)

    def _is_heard(self, message: RealtimeMessage) -> bool:
        """Tell whether anybody will see an error."""
        callbacks = self.callbacks
        handled = callbacks and not callbacks.has_ended and callbacks.wants(message.event)
        listened = any(listener._wants(message.event) for listener in self.listeners)
        return bool(self.inbox.was_read or handled or listened)

    def _forget(self, listener: Listener) -> None:
        self._listeners = [each for each in self._listeners if each() is not listener]
