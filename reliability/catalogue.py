"""All promises, their bounds, and the best that others were measured at."""

from .promises import Figure, Promise

_WHEN = "2026-11-22"  # what follows of others was measured on that day, on one machine
_KILLED = f"0 to 0.004 s, {_WHEN}"
_NONE: dict[str, int] = {}

_WIRE = (
    Promise(
        "split",
        "The wire",
        "wire:split",
        (
            Figure(
                "differences",
                "The same bytes, however they are cut into reads, are the same events",
                peer="nobody publishes it",
            ),
        ),
        usual={"examples": 2000},
        quick={"examples": 50},
        full={"examples": 20_000},
    ),
    Promise(
        "hostile",
        "The wire",
        "wire:hostile",
        (
            Figure(
                "escaped",
                "Hostile JSON is an event or a RemoteProtocolError, and never another error",
                peer=f"openai 3.54: a raw JSONDecodeError escapes, {_WHEN}",
            ),
            Figure("worst", "Hostile JSON does not hold up the loop: the worst time", 100, "ms"),
        ),
        usual={"rounds": 3},
        quick={"rounds": 1},
        full={"rounds": 20},
    ),
)

_HOSTILE = (
    Promise(
        "corrupted",
        "Hostile servers",
        "hostile:corrupted",
        (
            Figure(
                "wrong",
                "Valid frames, some bytes changed, cut into any reads: messages, and "
                "RemoteProtocolError, ConnectionLost or a clean end",
                peer=f"wsproto 1.3, websockets 17.4: 0 of 10,000, {_WHEN}",
            ),
            Figure("mean", "The same: the mean time of a read", 50, "µs"),
        ),
        usual={"examples": 10_000},
        quick={"examples": 300},
        full={"examples": 1_000_000},
        timeout_s=900,
    ),
    Promise(
        "limits",
        "Hostile servers",
        "hostile:limits",
        (
            Figure("wrong", "A message of 16 MiB comes; one of a byte more, or of 2^62, is 1009"),
            Figure(
                "rss",
                "The same: memory grows by",
                64,
                "MiB",
                f"from 64 KiB to no limit at all, {_WHEN}",
            ),
            Figure("immense", "The header that announces 2^62 bytes: until it is told", 0.1, "s"),
            Figure("grown", "The same: memory grows by", 1, "MiB"),
        ),
        usual={"rounds": 3},
        quick={"rounds": 1},
        full={"rounds": 20},
    ),
    Promise(
        "floods",
        "Hostile servers",
        "hostile:floods",
        (
            Figure(
                "empty",
                "A million empty fragments: until the server is cut off",
                1.5,
                "s",
                f"websockets 17.4: 1.1 s and 8 MB, websockets 15: 211 MB, {_WHEN}",
            ),
            Figure("pings", "A million pings: the same", 1.5, "s"),
            Figure(
                "crumbs", "A message in 100,000 fragments of a byte: until it has come", 5, "s"
            ),
            Figure("rss", "The same three: memory grows by", 10, "MiB"),
            Figure("wrong", "The same three: the right end, and no other"),
        ),
        usual={"thousands": 1000},
        quick={"thousands": 50},
        full={"thousands": 1000},
    ),
    Promise(
        "handshakes",
        "Hostile servers",
        "hostile:handshakes",
        (
            Figure(
                "wrong",
                "Handshakes trickled, endless, wrong, with what was not offered: each is told by "
                "its type",
                peer=f"trio-websocket 0.12: h11's errors, and 33 MB of a body, {_WHEN}",
            ),
            Figure("worst", "The same: the worst time, with 3 s of connect_timeout", 3.2, "s"),
            Figure("rss", "The same: memory grows by", 8, "MiB"),
        ),
        usual={"rounds": 2},
        quick={"rounds": 1},
        full={"rounds": 10},
    ),
)

_CANCELLATION = (
    Promise(
        "cancel",
        "Cancellation and structure",
        "cancelling:suspensions",
        (
            Figure(
                "left",
                "Connect, send, receive, close, cancelled at each moment, leave nothing",
                peer="websockets 17.4, aiohttp 3.14, httpx-ws 0.9: 0; trio-websocket 0.12: a "
                f"socket at 1 of 18, {_WHEN}",
            ),
            Figure("wrong", "The same: the outcome is true, and no message lost or doubled"),
            Figure("worst", "The same: the worst time, 0.01 s of close_timeout in it", 0.11, "s"),
        ),
        usual=_NONE,
        quick=_NONE,
        full=_NONE,
    ),
    Promise(
        "ticks",
        "Cancellation and structure",
        "cancelling:ticks",
        (
            Figure(
                "left",
                "Connect to 3 addresses, cancelled at each tick of the loop, leaves nothing",
            ),
            Figure(
                "wrong",
                "The same: no cancellation is swallowed or leaked",
                peer=f"AnyIO 4.16 on 3.11: 0 of 280, {_WHEN}",
            ),
            Figure("worst", "The same: the worst time", 0.11, "s"),
        ),
        usual=_NONE,
        quick=_NONE,
        full=_NONE,
    ),
    Promise(
        "torn",
        "Cancellation and structure",
        "sending:torn",
        (
            Figure(
                "bytes",
                "Bytes that a strict parser can't read after a cancelled send of 8 MiB",
                peer="intact on asyncio; trio-websocket 0.12, httpx-ws 0.9 and websockets 17.4 "
                f"on Trio: 131,089, {_WHEN}",
            ),
        ),
        usual={"mib": 8},
        quick={"mib": 8},
        full={"mib": 8},
    ),
    Promise(
        "receipts",
        "Cancellation and structure",
        "sending:receipts",
        (
            Figure(
                "untrue",
                "A receipt says what arrived: random cancels, a server that stops or cuts us off",
                peer="openai 3.54 lists what is unsent, others nothing",
            ),
            Figure("closing", "The same where the server cuts us off while we close"),
        ),
        usual={"cancels": 1000},
        quick={"cancels": 50},
        full={"cancels": 10_000},
        timeout_s=600,
    ),
    Promise(
        "around",
        "Cancellation and structure",
        "surroundings:around",
        (
            Figure(
                "wrong",
                "Inside timeouts, groups, gather, shields, scopes: the right exception, no "
                "cancellation left over",
                peer="nobody publishes it",
            ),
        ),
        usual=_NONE,
        quick=_NONE,
        full=_NONE,
    ),
    Promise(
        "exceptions",
        "Cancellation and structure",
        "exceptions:shapes",
        (
            Figure(
                "single",
                "One thing goes wrong, 12 ways: that exception comes out, bare, the user's own as "
                "the same object",
                peer=f"httpx-ws 0.9: a group for a plain disconnect, {_WHEN}",
            ),
            Figure("pairs", "Two things go wrong, 6 ways: one comes out, and it is the right one"),
        ),
        usual={"rounds": 3},
        quick={"rounds": 1},
        full={"rounds": 20},
    ),
    Promise(
        "handlers",
        "Cancellation and structure",
        "handlers:handlers",
        (
            Figure("raises", "A handler raises: until its siblings have stopped", 0.1, "s"),
            Figure("cancelled", "A handler is cancelled: the same", 0.1, "s"),
            Figure(
                "hangs",
                "A handler hangs: the block is left, with 0.3 s of close_timeout",
                0.5,
                "s",
            ),
            Figure("said", "The same three: what is never retrieved, or raised in vain"),
        ),
        usual={"rounds": 5},
        quick={"rounds": 1},
        full={"rounds": 50},
    ),
    Promise(
        "sigint",
        "Cancellation and structure",
        "processes:interrupted",
        (
            Figure(
                "wrong",
                "Ctrl-C at a random moment ends a program by a bare KeyboardInterrupt, and "
                "nothing else is said",
                peer="trio-websocket: one unit test",
            ),
            Figure("worst", "The same: until the program has ended", 2, "s"),
        ),
        usual={"times": 40},
        quick={"times": 4},
        full={"times": 200},
        timeout_s=600,
    ),
    Promise(
        "dropped",
        "Cancellation and structure",
        "receiving:dropped",
        (
            Figure("left", "Loops are broken out of, iterators dropped: no message lost, no leak"),
            Figure("cpu", "CPU afterwards", 5, "%"),
        ),
        usual={"rounds": 20, "idle_ms": 1000},
        quick={"rounds": 2, "idle_ms": 100},
        full={"rounds": 100, "idle_ms": 5000},
    ),
    Promise(
        "forgotten",
        "Cancellation and structure",
        "processes:forgotten",
        (
            Figure("wrong", "A session that nobody closes is one ResourceWarning that says where"),
            Figure("worst", "The same: until the program has ended", 1, "s"),
        ),
        usual={"times": 3},
        quick={"times": 1},
        full={"times": 10},
    ),
)

_CLOSING = (
    Promise(
        "close",
        "Closing",
        "closing:close",
        (
            Figure(
                "echoed",
                "Close with 64 unread messages, the server answers",
                0.2,
                "s",
                "aiohttp 3.14: 0.00 s, trio-websocket 0.12: 0.03 s; websockets 17.4 on Trio: "
                f"over 25 s, {_WHEN}",
            ),
            Figure(
                "silent",
                "The same, the server never answers, close_timeout 1 s",
                1.2,
                "s",
                f"trio-websocket, aiohttp: 1.00 s, {_WHEN}",
            ),
            Figure("sending", "Close while a send waits, which gets SessionClosed", 1.2, "s"),
            Figure("cancelled", "Close in a cancelled scope", 0.2, "s", "httpx-ws: its issue 107"),
            Figure("open", "Close where the server never closes TCP", 0.2, "s"),
        ),
        usual={"rounds": 3},
        quick={"rounds": 1},
        full={"rounds": 20},
    ),
    Promise(
        "closed",
        "Closing",
        "closing:again",
        (
            Figure("wrong", "10 closes at once are one; 20 calls afterwards raise SessionClosed"),
            Figure("worst", "The same: the worst time", 0.2, "s"),
        ),
        usual={"rounds": 10},
        quick={"rounds": 1},
        full={"rounds": 100},
    ),
)

_FLOW = (
    Promise(
        "readers",
        "Flow and memory",
        "receiving:two",
        (
            Figure(
                "lost",
                "Two tasks receive at once: no message lost, doubled or out of order",
                peer="trio-websocket: undefined",
            ),
            Figure("told", "The same: the second hears of it, at worst after", 0.1, "s"),
        ),
        usual={"messages": 1000},
        quick={"messages": 20},
        full={"messages": 10_000},
    ),
    Promise(
        "pong",
        "Flow and memory",
        "flow:pong",
        (
            Figure(
                "pong",
                "A ping is answered while 64 messages are unread",
                1,
                "s",
                "never: trio-websocket 0.12, websockets 15 and 17, aiohttp 3.14, httpx-ws 0.9, "
                + _WHEN,
            ),
        ),
        usual={"rounds": 5},
        quick={"rounds": 1},
        full={"rounds": 50},
    ),
    Promise(
        "unread",
        "Flow and memory",
        "flow:unread",
        (
            Figure(
                "rss",
                "A flood to a user who read once: memory grows by",
                24,
                "MiB",
                f"3 to 7 MB, but deaf to pings, {_WHEN}",
            ),
            Figure("told", "The same: the budget is spent, until the end is known", 1, "s"),
            Figure("order", "The same: what was buffered is readable first, in order"),
        ),
        usual={"mib": 256},
        quick={"mib": 32},
        full={"mib": 1024},
    ),
    Promise(
        "never-read",
        "Flow and memory",
        "flow:never_read",
        (
            Figure("rss", "A flood to a user who never reads: memory grows by", 24, "MiB"),
            Figure("lives", "The same: the session lives to the server's own close"),
        ),
        usual={"mib": 256},
        quick={"mib": 32},
        full={"mib": 1024},
    ),
    Promise(
        "blocked",
        "Flow and memory",
        "sending:blocked",
        (
            Figure("waits", "The server stops reading: send waits, send_nowait says WouldBlock"),
            Figure(
                "held",
                "The same: bytes that we hold",
                1.25,
                "MiB",
                "assemblyai: without a bound",
            ),
        ),
        usual={"chunk": 24_000},
        quick={"chunk": 24_000},
        full={"chunk": 24_000},
    ),
    Promise(
        "piled",
        "Flow and memory",
        "sending:piled",
        (
            Figure(
                "held",
                "200 cancelled sends of 1 MiB: bytes that we hold more than before",
                256,
                "KiB",
                f"AnyIO 4.16: 289 KB in all, {_WHEN}",
            ),
        ),
        usual={"sends": 200},
        quick={"sends": 10},
        full={"sends": 1000},
    ),
    Promise(
        "both",
        "Flow and memory",
        "flow:both",
        (
            Figure("s", "Both sides send 100 MB at once: sent and received after", 30, "s"),
            Figure("order", "The same: out of order, lost or doubled"),
        ),
        usual={"mib": 100},
        quick={"mib": 5},
        full={"mib": 1000},
    ),
)

_LIVENESS = (
    Promise(
        "killed",
        "Servers that die",
        "liveness:killed",
        (
            Figure("turn", "kill -9 in a turn: until ConnectionLost", 0.5, "s", _KILLED),
            Figure("idle", "kill -9 while idle: the same", 0.5, "s", _KILLED),
            Figure("frame", "kill -9 in the middle of a frame: the same", 0.5, "s"),
            Figure("handshake", "kill -9 in the handshake: until ConnectError", 0.5, "s"),
            Figure("wrong", "The same four: the right error, buffered events first, the cut turn"),
        ),
        usual={"rounds": 2},
        quick={"rounds": 1},
        full={"rounds": 20},
    ),
    Promise(
        "silent",
        "Servers that die",
        "liveness:silent",
        (
            Figure(
                "turn",
                "No byte comes in a turn: lost after 15 s, and 0.5 s for the loop",
                15.5,
                "s",
                "httpx-ws 0.9: 40.9 s, openai 3.54: 50.2 s, websockets 17.4: 51.2 s; "
                f"trio-websocket, aiohttp: never, {_WHEN}",
            ),
            Figure("idle", "No byte comes while idle: 30 s, and 0.5 s", 30.5, "s", "the same"),
        ),
        usual={"percent": 100},
        quick={"percent": 10},
        full={"percent": 100},
        waits=True,
    ),
    Promise(
        "alive",
        "Servers that die",
        "alive:no_kills",
        (
            Figure(
                "killed",
                "A server that drips for 25 s of a turn, one that never pongs, 5 MiB at 64 "
                "kbit/s, a loop blocked for 5 s: sessions that are given up",
                peer="FunASR, its pull request 3533: 16 of 20",
            ),
        ),
        usual={"percent": 10, "each": 25},
        quick={"percent": 10, "each": 2},
        full={"percent": 100, "each": 25},
        waits=True,
        timeout_s=1800,
    ),
    Promise(
        "expired",
        "Servers that die",
        "liveness:expired",
        (
            Figure(
                "wrong",
                "A session that has lasted its time ends with SessionExpired, 3 ways",
                peer="websockets 17.4 takes 1001 for a good end: the iteration just stops",
            ),
        ),
        usual={"rounds": 1},
        quick={"rounds": 1},
        full={"rounds": 10},
    ),
)

PROMISES: tuple[Promise, ...] = (*_WIRE, *_HOSTILE, *_CANCELLATION, *_CLOSING, *_FLOW, *_LIVENESS)
