"""How long a session may last, by the server's word and our monotonic clock."""

from collections.abc import Callable
from typing import Final, final

import anyio

# Servers are not to the second, and nor are two machines' clocks with each other.
_TOLERANCE_S: Final = 5.0
_A_YEAR_S: Final = 365 * 86_400.0
_FAR: Final = 10**15  # and no number is too large for a float


@final
class Expiry:
    """The time at which the server ends the session.

    The server names it on the wall clock, which may be set anew at any moment. So it becomes a
    duration once, when the session begins.

    Args:
        wall_clock: Returns the seconds since the epoch.
    """

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._at: float | None = None

    def note(self, expires_at: float | None) -> None:
        """Note what the server said first, in seconds since the epoch; later words don't count.

        What is over already or years away was said by another clock, and counts as not said.
        """
        if self._at is not None or expires_at is None:
            return
        left = max(0, min(expires_at, _FAR)) - self._wall_clock()
        if 0 < left < _A_YEAR_S:
            self._at = anyio.current_time() + left

    @property
    def left(self) -> float | None:
        """How long the session may yet last, in seconds; ``None`` if that is not known."""
        return None if self._at is None else max(0.0, self._at - anyio.current_time())

    @property
    def is_over(self) -> bool:
        """Whether the time has come, or all but come."""
        left = self.left
        return left is not None and left < _TOLERANCE_S
