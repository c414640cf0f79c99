"""The clients side by side: each axis is one way in which a session is used."""

from .axis import Axis, Metric, absolute, ratios
from .kinds import ONCE_EACH

_CPU = "CPU per 20 ms delta"

CLIENT_AXES = (
    Axis(
        "text",
        job="text",
        metrics=(
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
        job="audio",
        metrics=(
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
        job="appends",
        metrics=(
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
        job="paced",
        metrics=(
            Metric("cpu", f"{_CPU}, paced", "µs", 1, bars=ratios((0.45, 1.0), (0.25, 0.6))),
            Metric("delivered", "Delivered in time, paced", "of 1", 3, more_is_better=True),
        ),
        full={"sessions": 150, "count": 250},
        quick={"sessions": 20, "count": 100},
        rounds=3,
    ),
    Axis(
        "echo",
        job="echo",
        metrics=(
            Metric("p50", "Round trip, median", "µs", bars=ratios((0.7, 1.05), (0.5, 0.8))),
            Metric("p99", "Round trip, 99th percentile", "µs"),
        ),
        full={"count": 3_000},
        quick={"count": 300},
    ),
    Axis(
        "memory",
        job="memory",
        metrics=(Metric("kib", "Memory per idle session", "KiB", 1, bars=absolute(24)),),
        full={"sessions": 200, "settle_ms": 500},
        quick={"sessions": 50, "settle_ms": 200},
        rounds=3,
        kinds=ONCE_EACH,
    ),
    Axis(
        "memory-tls",
        job="memory",
        metrics=(Metric("kib", "Memory per idle session, TLS", "KiB", 1, bars=absolute(70)),),
        full={"sessions": 200, "settle_ms": 500},
        quick={"sessions": 50, "settle_ms": 200},
        rounds=3,
        kinds=ONCE_EACH,
        tls=True,
    ),
    Axis(
        "startup",
        program="startup",
        metrics=(
            Metric("import", "Import", "ms", 1, bars=ratios((0.1, 0.3))),
            Metric("connected", "Import to connected", "ms", bars=ratios((0.4, 1.0))),
        ),
        kinds=ONCE_EACH,
    ),
    Axis(
        "many",
        job="paced",
        metrics=(
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
