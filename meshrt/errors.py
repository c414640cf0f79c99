"""The errors that need no I/O; :mod:`meshrt.transports` adds those of a connection.

::

    MeshError
    ├── ConfigurationError   (also ValueError)   a bad key, URL, header or option
    ├── ProtocolError
    │   ├── LocalProtocolError                   you sent or asked something wrong
    │   └── RemoteProtocolError                  the server did
    ├── RealtimeError                            the server's own ``error`` event
    ├── SlowConsumerError                        a listener did not keep up with its budget
    ├── InternalError                            a bug in meshrt: please report it
    │
    ├── ConnectError                             in meshrt.transports, with
    │   ├── ConnectTimeout                         the classes below
    │   ├── ProxyError
    │   └── HandshakeRejected  (also RealtimeError)
    ├── ConnectionLost         (also anyio.BrokenResourceError)
    │   └── SessionExpired
    └── SessionClosed          (also anyio.ClosedResourceError)
"""

from typing import Final, final

__all__ = (
    "ConfigurationError",
    "InternalError",
    "LocalProtocolError",
    "MeshError",
    "MeshWarning",
    "ProtocolError",
    "RealtimeError",
    "RemoteProtocolError",
    "SlowConsumerError",
)

_CLOSE_INVALID_DATA: Final = 1007  # RFC 6455, 7.4.1: data inconsistent with the message's type


class MeshError(Exception):
    """The base of every error that meshrt raises on its own account."""


class MeshWarning(UserWarning):
    """Something that meshrt does not know and leaves to the server to judge."""


class ConfigurationError(MeshError, ValueError):
    """A key, URL, header, file or option can't be used; nothing was opened."""


class ProtocolError(MeshError):
    """One side broke the rules of the wire."""

    def __init__(self, message: str) -> None:
        if type(self) is ProtocolError:
            raise TypeError("raise LocalProtocolError or RemoteProtocolError: they say who")
        super().__init__(message)


class LocalProtocolError(ProtocolError):
    """You sent or asked something that the wire does not allow; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The other side sent something that is not of this wire; the session can't go on.

    Attributes:
        close_code: The WebSocket close code with which to answer.
    """

    def __init__(self, message: str, *, close_code: int = _CLOSE_INVALID_DATA) -> None:
        super().__init__(message)
        self.close_code = close_code


class RealtimeError(MeshError):
    """The server answered with an ``error`` event, or refused the session.

    The names of the attributes are those of the vendor's SDKs.

    Attributes:
        code: The stable word to decide by (``"invalid_api_key"``, ``"insufficient_quota"``, …),
            or ``None`` where the server gave none.
        message: The server's sentence.
        param: The field that the server objects to, or ``None``.
        type: The kind of error (``"invalid_request_error"``, ``"server_error"``), or ``None``.
        event_id: The id of *your* event that caused it, or ``None``.
        request_id: What to quote to the vendor's support, or ``None``.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str | None = None,  # noqa: A002  the vendor's name
        event_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.type = type
        self.event_id = event_id
        self.request_id = request_id

    def __str__(self) -> str:
        named = {"code": self.code, "param": self.param, "request_id": self.request_id}
        notes = ", ".join(f"{name}={value}" for name, value in named.items() if value)
        return f"{self.message} ({notes})" if notes else self.message


@final
class SlowConsumerError(MeshError):
    """A listener was not read in time and its budget is spent.

    Attributes:
        dropped: How many messages were dropped, or 0 if none was.
        dropped_bytes: What they cost against the budget, in bytes.
    """

    def __init__(self, message: str, *, dropped: int = 0, dropped_bytes: int = 0) -> None:
        super().__init__(message)
        self.dropped = dropped
        self.dropped_bytes = dropped_bytes


@final
class InternalError(MeshError):
    """A bug in meshrt; please report it with the traceback of the cause."""
