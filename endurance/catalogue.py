"""What is measured over hours, its bounds, and the best that others were measured at."""

from reliability.promises import Figure, Promise

_CHAPTERS = ("Bad networks", "A long time")
_MEMORY = (
    Figure("drift", "The same: memory has grown since the warm-up by", 5, "%"),
    Figure("left", "The same: descriptors and tasks that are left"),
)

CHAOS = (
    Promise(
        "chaos",
        _CHAPTERS[0],
        "endurance.chaos:sessions",
        (
            Figure(
                "wrong",
                "Latency, jitter, crumbs, stalls, cuts at any byte: the session is whole, or ends "
                "with a typed error; nothing lost, doubled or out of order",
                peer="asyncpg has such a proxy; nobody publishes a figure",
            ),
            Figure("hangs", "The same: sessions that hang"),
            Figure("left", "The same: descriptors and tasks that are left"),
        ),
        usual={"sessions": 1000, "at_once": 20, "permille": 1000},
        quick={"sessions": 40, "at_once": 20, "permille": 50},
        full={"sessions": 10_000, "at_once": 20, "permille": 1000},
        waits=True,
        timeout_s=6 * 3600,
    ),
)

SOAK = (
    Promise(
        "many",
        _CHAPTERS[1],
        "endurance.soak:many",
        (
            Figure(
                "order",
                "Sessions of a minute, 100 at a time: lost, doubled or out of order",
            ),
            Figure("session", "The same: memory that each has left behind", 2, "KB"),
            *_MEMORY,
        ),
        # The allocator takes a while until it has all that it will ever need.
        usual={"warm_up": 15, "waves": 10, "at_once": 100, "seconds": 60},
        quick={"warm_up": 2, "waves": 6, "at_once": 20, "seconds": 1},
        full={"warm_up": 15, "waves": 100, "at_once": 100, "seconds": 60},
        waits=True,
        timeout_s=12 * 3600,
    ),
)

LONG = (
    Promise(
        "long",
        _CHAPTERS[1],
        "endurance.soak:long",
        (
            Figure(
                "order",
                "One session of two hours: lost, doubled or out of order",
                peer="sokuji, its pull request 407: 2.8 MB more a minute",
            ),
            *_MEMORY,
        ),
        usual={"seconds": 7200},
        quick={"seconds": 6},
        full={"seconds": 12 * 3600},
        waits=True,
        timeout_s=13 * 3600,
    ),
)
