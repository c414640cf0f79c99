"""The parts by themselves, without a socket; and the gateway, for which there is no peer."""

from .axis import Axis, Metric
from .kinds import (
    EVENT_CODECS,
    FRAME_CODECS,
    GATEWAYS,
    MESHAPI_EVENTS,
    MESHRT,
    OPENAI_EVENTS,
    WEBSOCKETS_FRAMES,
    WSPROTO_FRAMES,
)

PART_AXES = (
    Axis(
        "codecs",
        program="codecs",
        metrics=(
            Metric("text", "A text delta read, no socket", "µs", 2),
            Metric("audio", "An audio delta of 4 KB read and decoded, no socket", "µs", 2),
            Metric("append", "An append of 20 ms written, no socket", "µs", 2),
        ),
        full={"count": 20_000},
        quick={"count": 1_000},
        kinds=EVENT_CODECS,
        peers=(OPENAI_EVENTS, MESHAPI_EVENTS),
    ),
    Axis(
        "frames",
        program="frames",
        metrics=(
            Metric("text", "A frame with a text delta read, one at a time", "µs", 2),
            Metric("texts", "A frame with a text delta read, 16 KiB at a time", "µs", 2),
            Metric("audio", "A frame with an audio delta of 4 KB read, one at a time", "µs", 2),
            Metric("append", "A frame with an append of 20 ms written", "µs", 2),
        ),
        full={"count": 20_000},
        quick={"count": 1_000},
        kinds=FRAME_CODECS,
        peers=(WEBSOCKETS_FRAMES, WSPROTO_FRAMES),
    ),
    Axis(
        "stages",
        program="stages",
        metrics=(
            Metric("bytes", "CPU per 20 ms delta, its bytes read and not looked at", "µs", 1),
            Metric("messages", "CPU per 20 ms delta, as a message of a transport", "µs", 1),
            Metric("session", "CPU per 20 ms delta, as an event of a session", "µs", 1),
        ),
        full={"sessions": 150, "count": 150},
        quick={"sessions": 20, "count": 50},
        rounds=3,
        kinds=MESHRT,
        peers=(),
    ),
    Axis(
        "gateway",
        program="gateway",
        metrics=(
            Metric("turns", "Turns of the gateway", "per s", more_is_better=True),
            Metric("turn_cpu", "CPU of the gateway, a turn", "µs"),
            Metric("appends", "Appends of 20 ms to the gateway", "per s", more_is_better=True),
            Metric("append_cpu", "CPU of the gateway, an append", "µs", 1),
        ),
        full={"clients": 50, "turns": 40, "appends": 400},
        quick={"clients": 5, "turns": 10, "appends": 50},
        rounds=3,
        kinds=GATEWAYS,
        peers=(),
    ),
)
