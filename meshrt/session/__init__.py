"""One conversation with a realtime server, over whatever transport it is handed."""

from .._public import publish
from ._connect import Connecting as Connecting
from ._end import Closed as Closed
from ._listener import DEFAULT_BUDGET_BYTES as DEFAULT_BUDGET_BYTES
from ._message import RealtimeMessage as RealtimeMessage
from ._options import SessionOptions as SessionOptions
from ._session import RealtimeSession as RealtimeSession

__all__ = (
    "DEFAULT_BUDGET_BYTES",
    "Closed",
    "Connecting",
    "RealtimeMessage",
    "RealtimeSession",
    "SessionOptions",
)

publish(globals(), __all__)
