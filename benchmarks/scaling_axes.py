"""How cost grows with the number of sessions, and with the size of a delta."""

from .axis import Axis, Metric
from .kinds import MESHRT

_SESSIONS = (1, 10, 100, 300, 1000)
_KIB = (1, 4, 16, 64)
_FLOOD_KIB = 64 * 1024
_QUICK_KIB = 2 * 1024
_QUICK_SESSIONS = 100  # up to here a quick run goes


def _sessions(count: int) -> Axis:
    return Axis(
        f"sessions-{count}",
        group="scaling",
        job="paced",
        metrics=(
            Metric("cpu", "CPU per 20 ms delta", "µs", 1),
            Metric("delivered", "Delivered in time", "of 1", 3, more_is_better=True),
        ),
        full={"sessions": count, "count": 250},
        quick={"sessions": count, "count": 20} if count <= _QUICK_SESSIONS else None,
        rounds=3,
        kinds=MESHRT,
        peers=(),
    )


def _sizes(kib: int) -> Axis:
    return Axis(
        f"deltas-{kib}",
        group="scaling",
        job="audio",
        metrics=(
            Metric("per_second", "Audio deltas received", "per s", more_is_better=True),
            Metric("mib", "Audio received", "MiB per s", more_is_better=True),
        ),
        full={"count": min(8_000, _FLOOD_KIB // kib), "kib": kib},
        quick={"count": min(500, _QUICK_KIB // kib), "kib": kib} if kib in _KIB[1::2] else None,
        rounds=3,
        kinds=MESHRT,
        peers=(),
    )


SESSION_AXES = tuple(map(_sessions, _SESSIONS))
SIZE_AXES = tuple(map(_sizes, _KIB))
SCALING_AXES = (*SESSION_AXES, *SIZE_AXES)
