"""Which events somebody asked for, by class or by wire name."""

import re
import warnings
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, TypeAlias, final

from ..errors import LocalProtocolError, MeshWarning
from ..events import BETA_NAMES, SERVER_EVENTS, Event, UnknownEvent

_WIRE_NAME: Final = re.compile(r"[.*?\[]")  # all but `error` have a dot

Pattern: TypeAlias = str | type[Event] | type[UnknownEvent]
"""An event's class, its wire name, or a wire name with ``*`` in it, such as ``"response.*"``."""


@final
class Selection:
    """The events that some patterns ask for; no pattern asks for all.

    A beta name asks for its GA twin, since that is what it arrives as.

    Raises:
        LocalProtocolError: A pattern is neither a name nor the class of an event.
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns: Final = tuple(patterns)
        for pattern in self._patterns:
            _check(pattern)
        self._known: dict[str, bool] = {}

    @property
    def strangers(self) -> tuple[str, ...]:
        """The names that no event has which meshrt knows."""
        names = [pattern for pattern in self._patterns if isinstance(pattern, str)]
        return tuple(name for name in names if not _is_known(name))

    def wants(self, event: Event | UnknownEvent) -> bool:
        """Tell whether an event was asked for.

        One that does not fit its class was asked for by its name, and not by that class.
        """
        if isinstance(event, UnknownEvent):
            return UnknownEvent in self._patterns or self._ask(event.type, names=True)
        wanted = self._known.get(event.type)
        if wanted is None:
            wanted = self._known[event.type] = self._ask(event.type)
        return wanted

    def _ask(self, name: str, *, names: bool = False) -> bool:
        patterns = [p for p in self._patterns if isinstance(p, str) or not names]
        return not self._patterns or any(_asks(pattern, name) for pattern in patterns)


def warn_of_strangers(selection: Selection | None, *, depth: int) -> None:
    """Warn of names that no event has: a typing error would never be heard of otherwise.

    Args:
        selection: What somebody asked for.
        depth: How many calls above this one that somebody is.
    """
    for pattern in () if selection is None else selection.strangers:
        warnings.warn(
            f"no event that meshrt knows is called {pattern!r:.100}; if the server has a new one, "
            "it is heard",
            MeshWarning,
            stacklevel=depth + 1,
        )


def _asks(pattern: Pattern, name: str) -> bool:
    if not isinstance(pattern, str):
        return pattern is not UnknownEvent and pattern.type == name
    return any(fnmatchcase(each, pattern) for each in (name, *_BETA_NAMES_OF.get(name, ())))


def _check(pattern: object) -> None:
    if isinstance(pattern, type) and issubclass(pattern, Event | UnknownEvent):
        return _check_class(pattern)
    if not isinstance(pattern, str) or not (_WIRE_NAME.search(pattern) or _is_known(pattern)):
        raise LocalProtocolError(
            f"there is no event {pattern!r:.100}: name one by its class, by its wire name, or by "
            "a name with `*` such as 'response.*'"
        )
    return None


def _is_known(pattern: str) -> bool:
    return any(_asks(pattern, name) for name in SERVER_EVENTS)


def _check_class(pattern: type[Event | UnknownEvent]) -> None:
    if pattern is not UnknownEvent and getattr(pattern, "type", None) not in SERVER_EVENTS:
        raise LocalProtocolError(
            f"{pattern.__name__} is not an event of the server: only those can be listened for"
        )


_BETA_NAMES_OF: Final[dict[str, list[str]]] = {}
for _beta, _name in BETA_NAMES.items():
    _BETA_NAMES_OF.setdefault(_name, []).append(_beta)
