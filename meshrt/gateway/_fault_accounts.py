"""How often a fault may yet happen, over all sessions."""

from typing import final

import attrs

from .faults import Fault


@final
@attrs.define(eq=False)
class Account:
    """A fault, and how often it may yet happen.

    Attributes:
        fault: The fault.
        left: How often, over all sessions; ``None`` for no end.
    """

    fault: Fault
    left: int | None

    def spend(self) -> bool:
        """Let it happen once; ``False`` if it has happened as often as it may."""
        if self.left is None:
            return True
        self.left -= 1
        return self.left >= 0

    @property
    def is_spent(self) -> bool:
        """Whether it won't happen any more."""
        return self.left is not None and self.left <= 0


@final
@attrs.define(eq=False)
class Placed:
    """A fault that waits in a session for its event."""

    account: Account
    _seen: int = 0

    def meets(self, wire_name: str) -> bool:
        """Count an event, by its GA name; tell whether this is the one."""
        fault = self.account.fault
        if fault.event != wire_name:
            return False
        self._seen += 1
        return fault.nth is None or self._seen == fault.nth

    @property
    def is_over(self) -> bool:
        """Whether it meets no event any more."""
        nth = self.account.fault.nth
        return self.account.is_spent or (nth is not None and self._seen >= nth)
