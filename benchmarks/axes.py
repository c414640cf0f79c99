"""What is measured, how much of it, and the bar that it is held to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .kinds import CLIENTS, MESHAPI, ONCE_EACH, OPENAI, TRIO, UVLOOP, Kind

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Bar:
    """A limit: of the ratio to a peer's median in the same run, or of the median itself."""

    limit: float
    than: Kind | None = None


Bars = Mapping[Kind, tuple[Bar, ...]]


@dataclass(frozen=True)
class Metric:
    """One figure that an axis gives."""

    key: str
    title: str
    unit: str
    digits: int = 0
    more_is_better: bool = False
    bars: Bars = field(default_factory=dict)


@dataclass(frozen=True)
class Axis:
    """One thing to measure; the worker's job of that name does it, or a cold start."""

    name: str
    job: str
    metrics: tuple[Metric, ...]
    full: Sizes = field(default_factory=dict)
    quick: Sizes | None = field(default_factory=dict)
    rounds: int = 5
    kinds: tuple[Kind, ...] = CLIENTS
    tls: bool = False


def ratios(trio: tuple[float, float], uvloop: tuple[float, float] | None = None) -> Bars:
    """Return bars against openai and meshapi, on Trio and on uvloop; one pair is for both."""
    pairs = {TRIO: trio, UVLOOP: uvloop or trio}
    return {
        kind: (Bar(openai, OPENAI), Bar(meshapi, MESHAPI))
        for kind, (openai, meshapi) in pairs.items()
    }


def absolute(limit: float) -> Bars:
    """Return a bar that no peer has a part in."""
    return dict.fromkeys((TRIO, UVLOOP), (Bar(limit),))


_CPU = "CPU per 20 ms delta"

AXES = (
    Axis(
        "text",
        "text",
        (
            Metric(
                "per_second",
                "Text deltas received, flood",
                "per s",
                more_is_better=True,
                bars=ratios((25, 4)),
            ),
        ),
        full={"count": 40_000},
        quick={"count": 8_000},
    ),
    Axis(
        "audio",
        "audio",
        (
            Metric(
                "per_second",
                "Audio deltas of 4 KB received and decoded, flood",
                "per s",
                more_is_better=True,
                bars=ratios((9, 3)),
            ),
        ),
        full={"count": 8_000},
        quick={"count": 3_000},
    ),
    Axis(
        "appends",
        "appends",
        (
            Metric(
                "per_second",
                "Appends of 20 ms sent, flood",
                "per s",
                more_is_better=True,
                bars=ratios((40, 4)),
            ),
        ),
        full={"count": 20_000},
        quick={"count": 4_000},
    ),
    Axis(
        "paced",
        "paced",
        (
            Metric("cpu", f"{_CPU}, paced", "µs", 1, bars=ratios((0.45, 1.2), (0.25, 0.6))),
            Metric("delivered", "Delivered in time, paced", "of 1", 3, more_is_better=True),
        ),
        full={"sessions": 150, "count": 250},
        quick={"sessions": 20, "count": 100},
        rounds=3,
    ),
    Axis(
        "echo",
        "echo",
        (
            Metric("p50", "Round trip, median", "µs", bars=ratios((0.7, 1.05), (0.5, 0.8))),
            Metric("p99", "Round trip, 99th percentile", "µs"),
        ),
        full={"count": 3_000},
        quick={"count": 300},
    ),
    Axis(
        "memory",
        "memory",
        (Metric("kib", "Memory per idle session", "KiB", 1, bars=absolute(24)),),
        full={"sessions": 200, "settle_ms": 500},
        quick={"sessions": 50, "settle_ms": 200},
        rounds=3,
        kinds=ONCE_EACH,
    ),
    Axis(
        "memory-tls",
        "memory",
        (Metric("kib", "Memory per idle session, TLS", "KiB", 1, bars=absolute(70)),),
        full={"sessions": 200, "settle_ms": 500},
        quick={"sessions": 50, "settle_ms": 200},
        rounds=3,
        kinds=ONCE_EACH,
        tls=True,
    ),
    Axis(
        "startup",
        "startup",
        (
            Metric("import", "Import", "ms", 1, bars=ratios((0.1, 0.3))),
            Metric("connected", "Import to connected", "ms", bars=ratios((0.4, 1.0))),
        ),
        kinds=ONCE_EACH,
    ),
    Axis(
        "many",
        "paced",
        (
            Metric(
                "delivered",
                "Delivered in time, 1000 sessions",
                "of 1",
                3,
                more_is_better=True,
                bars=absolute(0.99),
            ),
            Metric("disordered", "Out of order, 1000 sessions", "deltas", bars=absolute(0)),
            Metric("cpu", f"{_CPU}, 1000 sessions", "µs", 1),
        ),
        full={"sessions": 1000, "count": 250},
        quick=None,
        rounds=1,
        kinds=ONCE_EACH,
    ),
)
