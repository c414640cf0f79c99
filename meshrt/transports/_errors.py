"""The errors of a connection; each is also AnyIO's error of the same meaning."""

from functools import partial
from typing import Any

import anyio

from ..errors import MeshError, RealtimeError


class ConnectError(MeshError):
    """No session came about; nothing is left open."""


class ConnectTimeout(ConnectError):  # noqa: N818  AnyIO and httpx name timeouts so
    """The time for connecting ran out before the server greeted us."""


class ProxyError(ConnectError):
    """The proxy could not be reached, or opened no way to the server; the key was not sent.

    Attributes:
        status: The HTTP status with which it refused, or ``None`` where it gave none: with SOCKS
            there is none, and the message has its reply in words.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class HandshakeRejected(ConnectError, RealtimeError):  # noqa: N818  the participle says it
    """The server answered and refused the session.

    It comes as an HTTP status instead of 101, or, as OpenAI's server does it, as an ``error``
    event right after 101.

    Attributes:
        status: The HTTP status, 101 where the refusal came as an event.
        retry_after: What the server asked us to wait, in seconds, or ``None``.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        param: str | None = None,
        type: str | None = None,  # noqa: A002  the vendor's name
        event_id: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        RealtimeError.__init__(
            self,
            message,
            code=code,
            param=param,
            type=type,
            event_id=event_id,
            request_id=request_id,
        )
        self.status = status
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle make an exception of its `args`, and there is none without a status.
        return partial(type(self), status=self.status), self.args, self.__dict__


class ConnectionLost(MeshError, anyio.BrokenResourceError):  # noqa: N818  AnyIO's wording
    """The connection ended from outside, with or without a CLOSE frame.

    Attributes:
        code: The code of the CLOSE frame, or ``None`` where none came.
        reason: Its reason, empty where none came.
    """

    def __init__(self, message: str, *, code: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class SessionExpired(ConnectionLost):
    """The server ended the session because it had lasted as long as it may."""


class SessionClosed(MeshError, anyio.ClosedResourceError):  # noqa: N818  AnyIO's wording
    """We closed this session ourselves, and it was used after that."""
