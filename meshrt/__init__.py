"""Realtime voice sessions under structured concurrency, on Trio and on asyncio.

The everyday names are here; the whole wire is in :mod:`meshrt.events`, the sans-IO half in
:mod:`meshrt.protocol`, the local gateway in :mod:`meshrt.gateway`. They load when first used, so
that ``import meshrt`` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Final

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from .client import MeshAPI as MeshAPI
    from .errors import (
        ConfigurationError as ConfigurationError,
        InternalError as InternalError,
        LocalProtocolError as LocalProtocolError,
        MeshError as MeshError,
        MeshWarning as MeshWarning,
        ProtocolError as ProtocolError,
        RealtimeError as RealtimeError,
        RemoteProtocolError as RemoteProtocolError,
        SlowConsumerError as SlowConsumerError,
    )
    from .events import UNSET as UNSET, UnknownEvent as UnknownEvent
    from .protocol import RealtimeProtocol as RealtimeProtocol, decode as decode, encode as encode
    from .session import (
        Closed as Closed,
        Listener as Listener,
        Liveness as Liveness,
        RealtimeMessage as RealtimeMessage,
        RealtimeSession as RealtimeSession,
        Receipt as Receipt,
        Statistics as Statistics,
    )
    from .transports import (
        ConnectError as ConnectError,
        ConnectionLost as ConnectionLost,
        ConnectTimeout as ConnectTimeout,
        HandshakeRejected as HandshakeRejected,
        ProxyError as ProxyError,
        SessionClosed as SessionClosed,
        SessionExpired as SessionExpired,
    )

_NAMES_OF: Final = {
    "client": ("MeshAPI",),
    "errors": (
        "ConfigurationError",
        "InternalError",
        "LocalProtocolError",
        "MeshError",
        "MeshWarning",
        "ProtocolError",
        "RealtimeError",
        "RemoteProtocolError",
        "SlowConsumerError",
    ),
    "events": ("UNSET", "UnknownEvent"),
    "protocol": ("RealtimeProtocol", "decode", "encode"),
    "session": (
        "Closed",
        "Listener",
        "Liveness",
        "RealtimeMessage",
        "RealtimeSession",
        "Receipt",
        "Statistics",
    ),
    "transports": (
        "ConnectError",
        "ConnectTimeout",
        "ConnectionLost",
        "HandshakeRejected",
        "ProxyError",
        "SessionClosed",
        "SessionExpired",
    ),
}
_HOME_OF: Final = {name: home for home, names in _NAMES_OF.items() for name in names}

__all__ = (
    "UNSET",
    "Closed",
    "ConfigurationError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "HandshakeRejected",
    "InternalError",
    "Listener",
    "Liveness",
    "LocalProtocolError",
    "MeshAPI",
    "MeshError",
    "MeshWarning",
    "ProtocolError",
    "ProxyError",
    "RealtimeError",
    "RealtimeMessage",
    "RealtimeProtocol",
    "RealtimeSession",
    "Receipt",
    "RemoteProtocolError",
    "SessionClosed",
    "SessionExpired",
    "SlowConsumerError",
    "Statistics",
    "UnknownEvent",
    "__version__",
    "decode",
    "encode",
)


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
