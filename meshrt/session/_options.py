"""What a session can be told when it is opened."""

from collections.abc import Callable
from typing import Literal

import attrs

from ._listener import DEFAULT_BUDGET_BYTES


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
        keep_audio_text: Whether messages with audio keep their raw text.
        redact: Takes the key out of a text of the server's, which may repeat it.
    """

    connect_timeout: float = 10.0
    close_timeout: float = 1.0
    buffer_bytes: int = DEFAULT_BUDGET_BYTES
    errors: Literal["raise", "deliver"] = "raise"
    keep_audio_text: bool = False
    redact: Callable[[str], str] = str
