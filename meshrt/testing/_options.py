"""How a test's session is to be, in the words of the client's ``connect``."""

from typing import Literal, TypedDict, final

from ..session import Liveness


@final
class SessionSettings(TypedDict, total=False):
    """The options of :meth:`~meshrt.client.Realtime.connect` that mean something in memory."""

    connect_timeout: float
    close_timeout: float
    buffer_bytes: int
    errors: Literal["raise", "deliver"]
    handler_errors: Literal["raise", "report"]
    keep_audio_text: bool
    liveness: Liveness | None
    keep_alive: float | None
