"""The one OpenTelemetry span of a session, where somebody asks for it."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self, final

from .._printable import printable
from ..errors import RealtimeError
from ..protocol import UsageTotals
from ..transports import ConnectionLost, HandshakeRejected
from ._cancellation import is_cancellation
from ._end import End, EndKind
from ._session import RealtimeSession
from ._tracing import Tracing

_USAGE: Final = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.audio.input_tokens": "input_audio_tokens",
    "gen_ai.usage.audio.output_tokens": "output_audio_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}
_MOST: Final = 2**63 - 1  # a number of a server's may be larger, and an exporter's may not
_GOOD_ENDS: Final = (EndKind.OURS, EndKind.CLEAN)


@final
class SessionSpan:
    """The span of one session, from the moment that its block is entered; it ends with the block.

    It is never made the current span: that would go by the task, and the block of a session may
    have many, or be entered in one and left in another. A session that nobody traces has one as
    well, which does nothing.

    Args:
        tracing: Where to, or ``None``.
        redact: Takes the key out of a text of the server's, which may repeat it.

    Attributes:
        session: The session, once there is one.
    """

    def __init__(self, tracing: Tracing | None, redact: Callable[[str], str]) -> None:
        self._span = None if tracing is None else tracing._begin()
        self._redact = redact
        self.session: RealtimeSession | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        span, self._span = self._span, None
        session, self.session = self.session, None
        if span is None:
            return
        try:
            end = None if session is None else session._connection.end
            span.set_attributes(dict(self._facts(session, end, error)))
            if failure := self._failure(error, end):
                _mark_failed(span, failure)
        finally:
            span.end()

    def _facts(
        self, session: RealtimeSession | None, end: End | None, error: BaseException | None
    ) -> Iterator[tuple[str, str | int | bool]]:
        if session is not None and session.id is not None:
            yield "gen_ai.realtime_session.id", self._shown(session.id)
        if session is not None:
            yield from _counts(session.conversation.usage)
        if end is not None:
            yield "meshrt.closed.initiator", end.closed.initiator
        if end is not None and end.closed.code is not None:
            yield "meshrt.closed.code", end.closed.code
        if _is_cancelled(error):
            yield "meshrt.cancelled", True

    def _failure(self, error: BaseException | None, end: End | None) -> str | None:
        """Name what went wrong; nothing where we left or the server did, in peace.

        A cancellation is how blocks end under structured concurrency, and no failure.
        """
        if isinstance(error, Exception) and not isinstance(error, ConnectionLost):
            return self._name_of(error)
        if end is not None and end.kind not in _GOOD_ENDS:
            return self._name_of(end.closed.error or end.to_reader())
        return self._name_of(error) if isinstance(error, Exception) else None

    def _name_of(self, error: Exception) -> str:
        if isinstance(error, RealtimeError) and error.code:
            return self._shown(error.code)
        if isinstance(error, HandshakeRejected):
            return str(error.status)
        kind = type(error)
        home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        return f"{home}{kind.__qualname__}"

    def _shown(self, text: str) -> str:
        return printable(self._redact(text))


def _mark_failed(span: Any, failure: str) -> None:
    from opentelemetry.trace import StatusCode

    # Without a description: a server's message may repeat what was said.
    span.set_status(StatusCode.ERROR)
    span.set_attribute("error.type", failure)


def _counts(usage: UsageTotals) -> Iterator[tuple[str, int]]:
    """Return what was used, if any response has said so."""
    if usage.responses:
        for name, field in _USAGE.items():
            yield name, min(getattr(usage, field), _MOST)


def _is_cancelled(error: BaseException | None) -> bool:
    # A loop that ends closes what is open by GeneratorExit; then there may be no loop to ask.
    if error is None or isinstance(error, Exception | GeneratorExit | KeyboardInterrupt):
        return False
    return is_cancellation(error)
