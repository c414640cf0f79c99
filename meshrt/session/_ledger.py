"""What has become of what was sent, told by position: one writer sends, and in order."""

from typing import Final, Literal, TypeAlias, final

from ..protocol import ACKNOWLEDGEMENTS, Prepared

Fate: TypeAlias = Literal["queued", "sent", "unsent", "unknown"]
"""What has become of an event."""


@final
class Ledger:
    """How far a session's events have come, counted from its first.

    Attributes:
        queued: The number of the last event that was queued.
        taken: That of the last one that the writer took.
        sent: That of the last one that the operating system took.
        acknowledged: That of the last one that the server is known to have read.
        is_dropped: Whether what the writer had not taken was dropped.
        is_over: Whether the writer has gone.
        is_lost: Whether the connection broke, and with it what the operating system held.
    """

    def __init__(self) -> None:
        self.queued: int = 0
        self.taken: int = 0
        self.sent: int = 0
        self.acknowledged: int = 0
        self.is_dropped: bool = False
        self.is_over: bool = False
        self.is_lost: bool = False
        self._commands: dict[str, int] = {}

    def queue(self, prepared: Prepared) -> "Receipt":
        """Note an event that is queued."""
        self.queued += 1
        if prepared.type in ACKNOWLEDGEMENTS:
            self._commands[prepared.event_id] = self.queued
        return Receipt(self, self.queued, prepared.event_id)

    def has_left(self, event_id: str) -> bool:
        """Tell whether the writer has taken a command that has no answer yet."""
        return self._commands.get(event_id, 0) <= self.taken

    def acknowledge(self, event_id: str) -> None:
        """Note that the server answered this: it has read what was sent before it, too."""
        number = self._commands.pop(event_id, 0)
        self.acknowledged = max(self.acknowledged, number)

    def fate_of(self, number: int) -> Fate:
        """Say what has become of an event."""
        if number > self.taken:
            return "unsent" if self.is_dropped else "queued"
        if number > self.sent:
            return "unknown" if self.is_over or self.is_lost else "queued"
        return "unknown" if self.is_lost and number > self.acknowledged else "sent"


@final
class Receipt:
    """What has become of one event; :meth:`RealtimeSession.send` returns it.

    Attributes:
        event_id: The event's id, by which errors refer to it.
    """

    __slots__ = ("_ledger", "_number", "event_id")

    def __init__(self, ledger: Ledger, number: int, event_id: str) -> None:
        self._ledger: Final = ledger
        self._number: Final = number
        self.event_id: Final = event_id

    @property
    def fate(self) -> Fate:
        """What has become of the event, as far as it is known now.

        - ``"queued"``: it waits for the writer, or is being written.
        - ``"sent"``: the operating system took it.
        - ``"unsent"``: it was dropped before it was written, and will never arrive.
        - ``"unknown"``: the connection broke while it was being written, or before the server
          had answered anything that was sent later or with it.
        """
        return self._ledger.fate_of(self._number)

    def __repr__(self) -> str:
        return f"<Receipt for {self.event_id!r}: {self.fate}>"
