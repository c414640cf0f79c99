"""How fast an answer comes: audio is slower to hear than to send."""

import math
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, final, get_args

import anyio
from anyio.lowlevel import checkpoint

from ..errors import ConfigurationError

Pacing: TypeAlias = Literal["none", "faster", "realtime"]
"""``"none"`` sends audio at once, ``"faster"`` eight times faster than it plays, as the real
server may, and ``"realtime"`` as fast as it plays."""

PACINGS: Final = get_args(Pacing)
_SPEEDS: Final[Mapping[str, float]] = {"none": math.inf, "faster": 8.0, "realtime": 1.0}


def check_pacing(pacing: str) -> None:
    """Refuse a word that is no pacing.

    Raises:
        ConfigurationError: It is none.
    """
    if pacing not in _SPEEDS:
        names = ", ".join(map(repr, PACINGS))
        raise ConfigurationError(f"pacing is one of {names}: not {pacing!r:.100}")


@final
class Pace:
    """The clock of one response.

    Args:
        pacing: How fast its audio goes.
    """

    def __init__(self, pacing: Pacing) -> None:
        self._speed = _SPEEDS[pacing]
        self._start: float | None = None

    async def until(self, audio_ms: float) -> None:
        """Wait until so much audio may have been sent, in ms since the first wait.

        Cancelling is safe.
        """
        if self._start is None:
            self._start = anyio.current_time()
        if self._speed == math.inf:
            await checkpoint()
        else:
            await anyio.sleep_until(self._start + audio_ms / 1000 / self._speed)

    def unplayed_ms(self, audio_ms: float) -> float:
        """Return how much of so much audio is yet to play, if it plays since the first wait."""
        if self._start is None:
            return 0
        return max(0.0, audio_ms - (anyio.current_time() - self._start) * 1000)
