"""One conversation with a realtime server, over whatever transport it is handed."""

from .._public import publish
from ._buffer import DEFAULT_BUDGET_BYTES as DEFAULT_BUDGET_BYTES
from ._connect import Connecting as Connecting, OpenTransport as OpenTransport
from ._end import Closed as Closed
from ._ledger import Receipt as Receipt
from ._listener import Listener as Listener
from ._liveness import Liveness as Liveness
from ._message import RealtimeMessage as RealtimeMessage
from ._options import SessionOptions as SessionOptions
from ._owner import AnyTaskGroup as AnyTaskGroup, enter_in as enter_in
from ._session import RealtimeSession as RealtimeSession
from ._statistics import Statistics as Statistics
from ._tracing import TracerProvider as TracerProvider, Tracing as Tracing

__all__ = (
    "DEFAULT_BUDGET_BYTES",
    "AnyTaskGroup",
    "Closed",
    "Connecting",
    "Listener",
    "Liveness",
    "OpenTransport",
    "RealtimeMessage",
    "RealtimeSession",
    "Receipt",
    "SessionOptions",
    "Statistics",
    "TracerProvider",
    "Tracing",
    "enter_in",
)

publish(globals(), __all__)
