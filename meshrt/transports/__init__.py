"""One stream of whole messages each: what a session talks through.

A session knows only :class:`Transport`. Here are the WebSocket, which runs over any AnyIO byte
stream with websockets' sans-IO half, and an in-memory pair for tests and virtual time.

Importing this package loads neither websockets nor ssl: the names that need them load on first
use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._public import publish
from ._endpoint import Endpoint as Endpoint
from ._errors import (
    ConnectError as ConnectError,
    ConnectionLost as ConnectionLost,
    ConnectTimeout as ConnectTimeout,
    HandshakeRejected as HandshakeRejected,
    ProxyError as ProxyError,
    SessionClosed as SessionClosed,
    SessionExpired as SessionExpired,
)
from ._interface import Transport as Transport
from ._memory import MemoryTransport as MemoryTransport, memory_transports as memory_transports
from ._proxy import Proxy as Proxy

if TYPE_CHECKING:
    from ._accept import (
        accept_websocket as accept_websocket,
        offered_subprotocols as offered_subprotocols,
    )
    from ._connect import connect_websocket as connect_websocket
    from ._tls import default_ssl_context as default_ssl_context
    from ._websocket import WebSocketTransport as WebSocketTransport

__all__ = (
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "Endpoint",
    "HandshakeRejected",
    "MemoryTransport",
    "Proxy",
    "ProxyError",
    "SessionClosed",
    "SessionExpired",
    "Transport",
    "WebSocketTransport",
    "accept_websocket",
    "connect_websocket",
    "default_ssl_context",
    "memory_transports",
    "offered_subprotocols",
)

_HOMES = {
    "WebSocketTransport": "._websocket",
    "accept_websocket": "._accept",
    "connect_websocket": "._connect",
    "default_ssl_context": "._tls",
    "offered_subprotocols": "._accept",
}

publish(globals(), __all__)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
    publish(globals(), (name,))
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
