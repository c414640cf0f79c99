"""The life of a session as a table.

All of the lifecycle is here. This file does not know which role we play: the same table holds for
a client and a server, because both see the same events go by. A pair that is not in the table is
not allowed.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..events import BETA_NAMES


class State(enum.Enum):
    """Where a session is."""

    CONNECTING = "connecting"
    """The greeting, ``session.created``, has not come."""
    OPEN = "open"
    """The greeting has come."""
    ENDED = "ended"
    """The transport is gone."""
    FAILED = "failed"
    """The other side broke the rules of the wire."""


class Step(enum.Enum):
    """What happens to a session."""

    GREETING = "session.created or session.updated"
    SERVER_EVENT = "any other server event"
    CLIENT_EVENT = "any client event"
    VIOLATION = "a message that is not of this wire"
    END = "the end of the transport"


# Enum hashes the name, in Python, and this table is asked twice per event.
State.__hash__ = object.__hash__  # type: ignore[method-assign]
Step.__hash__ = object.__hash__  # type: ignore[method-assign]

TRANSITIONS: Final[Mapping[tuple[State, Step], State]] = MappingProxyType(
    {
        (State.CONNECTING, Step.GREETING): State.OPEN,
        # Errors come before the greeting where the server refuses the session after 101.
        (State.CONNECTING, Step.SERVER_EVENT): State.CONNECTING,
        # Servers read what is sent ahead of their greeting, so a client need not wait for it.
        (State.CONNECTING, Step.CLIENT_EVENT): State.CONNECTING,
        (State.CONNECTING, Step.VIOLATION): State.FAILED,
        (State.CONNECTING, Step.END): State.ENDED,
        (State.OPEN, Step.GREETING): State.OPEN,
        (State.OPEN, Step.SERVER_EVENT): State.OPEN,
        (State.OPEN, Step.CLIENT_EVENT): State.OPEN,
        (State.OPEN, Step.VIOLATION): State.FAILED,
        (State.OPEN, Step.END): State.ENDED,
        (State.ENDED, Step.END): State.ENDED,
        (State.FAILED, Step.END): State.FAILED,
    }
)

_GREETINGS: Final = frozenset({"session.created", "session.updated"})


def step_of(wire_name: str, *, from_server: bool) -> Step:
    """Return the step that an event is."""
    if not from_server:
        return Step.CLIENT_EVENT
    name = BETA_NAMES.get(wire_name, wire_name)
    return Step.GREETING if name in _GREETINGS else Step.SERVER_EVENT
