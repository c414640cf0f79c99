"""Where a session's OpenTelemetry span goes, and what is known of it beforehand."""

from typing import Any, Final, Protocol

import attrs

from .._extras import needs
from .._version import __version__
from ..errors import ConfigurationError

# The names are those of OpenTelemetry's GenAI conventions for realtime spans, which are in
# development yet (github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/
# gen-ai-realtime-spans.md, as of November 2026), and of its general conventions 1.44. There, a
# session's id is `gen_ai.realtime_session.id` and must not be `gen_ai.conversation.id`, and
# `gen_ai.provider.name` is whose wire it is. None of its operations is a whole session, as
# `realtime_inference` is one response, and then a name of one's own is allowed.
_OPERATION: Final = "realtime_session"
_PROVIDER: Final = "openai"


class TracerProvider(Protocol):
    """What gives tracers: OpenTelemetry's ``TracerProvider`` does."""

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        /,
    ) -> Any:
        """Return OpenTelemetry's ``Tracer`` for a library."""
        ...


def _check_provider(_tracing: object, _field: object, provider: TracerProvider) -> None:
    if isinstance(provider, type) or not callable(getattr(provider, "get_tracer", None)):
        raise ConfigurationError("tracer_provider is a TracerProvider of OpenTelemetry's, or None")


@attrs.frozen(kw_only=True)
class Tracing:
    """Where a session's span goes, and what is known of the session before it begins.

    Attributes:
        provider: Gives the tracer.
        model: The model that is asked for, or ``None``.
        host: The server's name or address, or ``None``.
        port: The server's port, or ``None``.

    Raises:
        ConfigurationError: The provider is none, or the extra ``otel`` is not installed.
    """

    provider: TracerProvider = attrs.field(validator=_check_provider)
    model: str | None = None
    host: str | None = None
    port: int | None = None

    def __attrs_post_init__(self) -> None:
        with needs("otel"):
            import opentelemetry.trace  # noqa: F401  better now than at the first session

    def _begin(self) -> Any:
        """Start a span; its parent is the span that is current here, as OpenTelemetry has it."""
        from opentelemetry.trace import SpanKind

        known = {
            "gen_ai.operation.name": _OPERATION,
            "gen_ai.provider.name": _PROVIDER,
            "gen_ai.request.model": self.model,
            "server.address": self.host,
            "server.port": self.port,
        }
        return self.provider.get_tracer("meshrt", __version__).start_span(
            " ".join(filter(None, (_OPERATION, self.model))),
            kind=SpanKind.CLIENT,
            attributes={name: value for name, value in known.items() if value is not None},
        )
