"""What a session can be told when it is opened."""

import time
from collections.abc import Callable
from typing import Literal

import attrs

from ._buffer import DEFAULT_BUDGET_BYTES
from ._callbacks import HandlerErrors
from ._liveness import Liveness
from ._tracing import Tracing


@attrs.frozen(kw_only=True)
class SessionOptions:
    """The settings of one session; the client's ``connect`` documents and checks them.

    Attributes:
        connect_timeout: For everything up to the server's greeting, in seconds.
        close_timeout: For all of closing, in seconds.
        buffer_bytes: What the iteration, and what the handlers, may buffer, in bytes; a message
            counts twice its size on the wire and 512.
        errors: ``"raise"`` makes the iteration raise the server's errors, each once and in its
            place; ``"deliver"`` gives them as messages.
        handler_errors: ``"raise"`` lets what a handler raises end the session; ``"report"`` logs
            it and goes on.
        keep_audio_text: Whether messages with audio keep their raw text.
        liveness: When to ping a silent server and when to give it up; ``None`` for never.
        keep_alive: After how many seconds without a frame of ours to send a ping, so that no
            gateway takes us for idle; ``None`` for never.
        wall_clock: Returns the seconds since the epoch; read once, for the session's expiry.
        redact: Takes the key out of a text of the server's, which may repeat it.
        tracing: Where the session's OpenTelemetry span goes; ``None`` for none.
    """

    connect_timeout: float = 10.0
    close_timeout: float = 1.0
    buffer_bytes: int = DEFAULT_BUDGET_BYTES
    errors: Literal["raise", "deliver"] = "raise"
    handler_errors: HandlerErrors = "raise"
    keep_audio_text: bool = False
    liveness: Liveness | None = attrs.Factory(Liveness)
    keep_alive: float | None = 30.0
    wall_clock: Callable[[], float] = time.time
    redact: Callable[[str], str] = str
    tracing: Tracing | None = None
