"""How much a peer may make us work without telling us anything."""

from typing import Final

FLOOD_WINDOW_S: Final = 10.0

# Control frames and empty fragments cost the sender two bytes and us microseconds. A peer needs
# one ping in twenty seconds; a hundred a second is no keepalive any more.
MAX_IDLE_FRAMES: Final = 1_000

# A message in one-byte fragments is silly and legal, and 100 000 of them must get through
# (Autobahn's 9.3 has 65 536 of 64 bytes). Twice that in ten seconds costs a tenth of a core.
TINY_BYTES: Final = 16
MAX_TINY_FRAGMENTS: Final = 200_000


class FloodGate:
    """Count, per window of ten seconds, the frames that bring no message nearer."""

    def __init__(self) -> None:
        self._opened_at = 0.0
        self._idle = 0
        self._tiny = 0

    def idle(self) -> None:
        """Count a control frame."""
        self._idle += 1

    def fragment(self, size: int) -> None:
        """Count a fragment that completes no message, by its size in bytes."""
        if not size:
            self._idle += 1
        elif size < TINY_BYTES:
            self._tiny += 1

    def problem(self, now: float) -> str | None:
        """Say what the peer overdid, or ``None``; a window that is over begins anew.

        Args:
            now: Seconds of a monotonic clock.
        """
        if self._idle > MAX_IDLE_FRAMES:
            return f"more than {MAX_IDLE_FRAMES} control or empty frames"
        if self._tiny > MAX_TINY_FRAGMENTS:
            return f"more than {MAX_TINY_FRAGMENTS} fragments of under {TINY_BYTES} bytes"
        if now - self._opened_at >= FLOOD_WINDOW_S:
            self._opened_at, self._idle, self._tiny = now, 0, 0
        return None
