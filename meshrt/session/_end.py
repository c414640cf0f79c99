"""How a session ended, and which exception says so to whom."""

import enum
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypedDict

import anyio
import attrs

from ..errors import InternalError, RealtimeError, RemoteProtocolError, SlowConsumerError
from ..events import Error, ErrorDetails
from ..transports import ConnectionLost, SessionClosed, SessionExpired

_EXPIRY_CODES: Final = frozenset({"session_expired", "session_duration_exceeded"})
_EXPIRY_WORDS: Final = "maximum duration"  # OpenAI's reason, beside code 1001


@attrs.frozen(kw_only=True)
class Closed:
    """How a session ended.

    Attributes:
        initiator: Who ended it: ``"client"`` (we did), ``"server"``, or ``"network"`` where the
            connection broke without a word.
        code: The code of the CLOSE frame that began the end; ``None`` where there was none.
        reason: Its reason.
        last_byte_age: How long ago the last byte had come, in seconds.
        error: The server's error after which it closed, or ``None``.
    """

    initiator: Literal["client", "server", "network"]
    code: int | None
    reason: str
    last_byte_age: float
    error: RealtimeError | None = None


class EndKind(enum.Enum):
    """The kinds of ends, by what they mean to somebody who still reads."""

    OURS = "ours"
    CLEAN = "clean"
    EXPIRED = "expired"
    LOST = "lost"
    VIOLATION = "violation"
    SLOW = "slow"
    BUG = "bug"


@attrs.frozen
class End:
    """The end of a session, from which each reader gets an exception of its own."""

    kind: EndKind
    closed: Closed
    message: str
    cause: BaseException | None = attrs.field(default=None, eq=False)

    def to_reader(self) -> Exception:
        """Make the exception for somebody who receives, fresh at each call."""
        return self._with_cause(_TO_READER[self.kind](self))

    def to_sender(self) -> Exception:
        """Make the exception for somebody who sends, fresh at each call."""
        if self.kind is EndKind.CLEAN:
            return _lost(self)
        return self.to_reader()

    def _with_cause(self, error: Exception) -> Exception:
        error.__cause__ = self.cause
        return error


def is_expiry(code: int | None, reason: str, error: RealtimeError | None) -> bool:
    """Tell whether the server closed because the session had lasted as long as it may."""
    if error is not None and error.code in _EXPIRY_CODES:
        return True
    return code is not None and _EXPIRY_WORDS in reason


def realtime_error(event: Error) -> RealtimeError:
    """Make the exception of a server's ``error`` event."""
    return RealtimeError(_message_of(event.error), **error_fields(event))


class ErrorFields(TypedDict):
    """What the exceptions of an ``error`` event have beside the message."""

    code: str | None
    param: str | None
    type: str | None
    event_id: str | None
    request_id: str | None


def error_fields(event: Error) -> ErrorFields:
    """Return what the exceptions of an ``error`` event have beside the message."""
    error = event.error
    return {
        "code": error.code or None,
        "param": error.param or None,
        "type": error.type or None,
        "event_id": error.event_id or None,
        "request_id": event.request_id or None,
    }


def _message_of(error: ErrorDetails) -> str:
    return error.message or error.code or "the server reported an error and did not say which"


def _lost(end: End) -> ConnectionLost:
    return ConnectionLost(end.message, code=end.closed.code, reason=end.closed.reason)


def _expired(end: End) -> SessionExpired:
    return SessionExpired(end.message, code=end.closed.code, reason=end.closed.reason)


_TO_READER: Final[Mapping[EndKind, Callable[[End], Exception]]] = {
    EndKind.OURS: lambda end: SessionClosed(end.message),
    EndKind.CLEAN: lambda end: anyio.EndOfStream(end.message),
    EndKind.EXPIRED: _expired,
    EndKind.LOST: _lost,
    EndKind.VIOLATION: lambda end: RemoteProtocolError(
        end.message, close_code=end.closed.code or 1007
    ),
    EndKind.SLOW: lambda end: SlowConsumerError(end.message),
    EndKind.BUG: lambda end: InternalError(end.message),
}
