"""What every event has in common, and the event that nobody knows."""

import reprlib
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar

import attrs
import msgspec
from msgspec import UNSET, UnsetType

from ._plan import mapping_of

_T = TypeVar("_T")
_shortest = reprlib.Repr()

Maybe: TypeAlias = _T | UnsetType | None
"""A field that may be absent (``UNSET``) or null (``None``): two things on this wire."""


class Event:
    """The base of all known events: a frozen value whose ``type`` is its name on the wire.

    Attributes:
        type: The wire name, to the letter. An event that came under a beta name has the class,
            and so the ``type``, of its GA twin; ``data["type"]`` is what really came.
    """

    __slots__ = ("_source",)

    _source: str
    type: ClassVar[str]

    @property
    def data(self) -> dict[str, Any]:
        """The whole JSON object, unknown fields included, parsed anew at each call.

        A copy has it too. For an event that you built, or made of another with ``attrs.evolve``,
        for one with audio unless its text was asked for, and for one with a number beyond
        Python's in a field that meshrt does not know, it is what would go over the wire.
        """
        try:
            parsed: dict[str, Any] = msgspec.json.decode(self._source)
        except (AttributeError, msgspec.DecodeError, RecursionError):
            return mapping_of(self)
        return parsed

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a copy, and what comes out of a pickle, have the same ``data``."""
        cls: Any = type(self)
        values = {field.name: getattr(self, field.name) for field in attrs.fields(cls)}
        return _restored, (cls, values, getattr(self, "_source", None))


def _restored(cls: type[Event], values: dict[str, Any], source: str | None) -> Event:
    event = cls(**values)
    if source is not None:
        remember_source(event, source)
    return event


@attrs.frozen(kw_only=True)
class UnknownEvent:
    """An event of a type that meshrt does not know, or one that does not fit its type.

    It is a value like the others and can be sent as well: what is in ``data`` goes out as it is.
    """

    type: str
    """The wire name."""
    data: Mapping[str, Any] = attrs.field(repr=_shortest.repr)
    """The whole JSON object, ``type`` included."""
    problem: str | None = attrs.field(default=None, eq=False)
    """Why an event of a known type is here: the message and the path; else ``None``."""


def remember_source(event: Event, text: str) -> None:
    """Let ``event.data`` show the text that it was decoded from."""
    object.__setattr__(event, "_source", text)


__all__ = ("UNSET", "Event", "Maybe", "UnknownEvent", "UnsetType", "remember_source")
