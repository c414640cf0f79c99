"""What can still be told of a response by an event that does not fit its class."""

from collections.abc import Mapping
from typing import Any

from ..events import (
    UNSET,
    Event,
    Maybe,
    Response,
    ResponseCreated,
    ResponseDone,
    UnknownEvent,
    class_of,
)
from ._codec import AnyEvent


def class_meant(event: AnyEvent) -> type[Event] | None:
    """Return the class of an event, also of one that does not fit it; ``None`` if there is none.

    An event of an unknown type has none, and so has one that somebody made without a problem.
    """
    if isinstance(event, Event):
        return type(event)
    return None if event.problem is None else class_of(event.type)


def response_of(event: AnyEvent) -> Response:
    """Return the response that begins or ends with an event, as far as it can be read."""
    if isinstance(event, ResponseCreated | ResponseDone):
        return event.response
    said = event.data.get("response") if isinstance(event, UnknownEvent) else None
    return _salvaged(said) if isinstance(said, Mapping) else Response()


def _salvaged(said: Mapping[str, Any]) -> Response:
    metadata = said.get("metadata")
    return Response(
        id=_text(said, "id"),
        status=_text(said, "status"),
        conversation_id=_text(said, "conversation_id"),
        metadata=metadata if isinstance(metadata, Mapping) else UNSET,
    )


def _text(said: Mapping[str, Any], name: str) -> Maybe[str]:
    """Return a text or null; what is neither counts as not there."""
    value = said.get(name, UNSET)
    return value if value is None or isinstance(value, str) else UNSET
