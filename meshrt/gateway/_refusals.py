"""What the server answers to what it does not do."""

from collections.abc import Mapping
from typing import Any, Final

from ..events import Error, ErrorDetails, UnknownEvent

_ROLES: Final = "'system', 'user' and 'assistant'"


class Refusal(Exception):  # noqa: N818  it is an answer, and never leaves the gateway
    """An event of the client that is answered with an ``error``, after which the session goes on.

    Attributes:
        code: The stable word.
        param: The field that it is about, or ``None``.
    """

    def __init__(
        self, message: str, *, code: str | None = "invalid_value", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def error_of(refusal: Refusal, event_id: object) -> Error:
    """Make the ``error`` event of a refusal, quoting the id of the event that caused it."""
    return Error(
        error=ErrorDetails(
            type="invalid_request_error",
            code=refusal.code,
            message=str(refusal),
            param=refusal.param,
            event_id=event_id if isinstance(event_id, str) else None,
        )
    )


def refusal_of_type(wire_name: str, known: list[str]) -> Refusal:
    """Say that there is no such event here, and which there are."""
    names = ", ".join(f"'{name}'" for name in known)
    return Refusal(
        f"Invalid value: '{wire_name[:100]}'. Supported values are: {names}.", param="type"
    )


def refusal_of_unknown(event: UnknownEvent, known: list[str]) -> Refusal:
    """Say what is wrong with an event that has no class, or does not fit it."""
    if event.problem is None or event.type not in known:
        return refusal_of_type(event.type, known)
    problem, _, path = event.problem.partition(" - at `$.")
    return Refusal(f"{problem} in {event.type}.", param=path.rstrip("`") or None)


def refusal_of_item(item: Mapping[str, Any]) -> Refusal:
    """Say why something is no item that this gateway keeps."""
    name = "role" if item.get("type") == "message" else "type"
    value = item.get(name)
    if value is None:
        return Refusal(
            f"Missing required parameter: 'item.{name}'.",
            code="missing_required_parameter",
            param=f"item.{name}",
        )
    known = f" Supported values are: {_ROLES}." if name == "role" else ""
    return Refusal(
        f"Invalid value: '{value!s:.100}' as an item's {name}.{known}", param=f"item.{name}"
    )
