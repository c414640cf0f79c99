"""How each kind of command is answered, and what is said of one that was or never will be."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs

from ..events import (
    UNSET,
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDeleted,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    Event,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    ResponseCreated,
    ResponseDone,
    SessionUpdated,
)
from ._codec import AnyEvent, canonical
from ._fields import field_of

Key: TypeAlias = Any
CREATE_ITEM: Final = "conversation.item.create"
CREATE_RESPONSE: Final = "response.create"
CANCEL: Final = "response.cancel"


@attrs.frozen
class Acknowledgement:
    """How a kind of command is answered."""

    answers: tuple[type[Event], ...]
    """The events that answer it."""
    asked: Callable[[Mapping[str, Any]], Key] = lambda _: None
    """What identifies the command, or ``None``."""
    answered: Callable[[Any], Key] = lambda _: None
    """The same of an answer, an event or the mapping of one that does not fit its class;
    ``UNSET`` if that can't be read."""


def id_in(name: str, *path: str) -> Callable[[Any], Key]:
    """Return what reads an id: ``UNSET`` if there is none, or if it is no text."""

    def read(event: object) -> Key:
        value = event
        for step in (name, *path):
            value = field_of(value, step)
        return value if isinstance(value, str) else UNSET

    return read


def _asked_for(read: Callable[[Any], Key]) -> Callable[[Mapping[str, Any]], Key]:
    return lambda event: None if (key := read(event)) is UNSET else key


def _metadata_of(event: object) -> Key:
    response = field_of(event, "response")
    if isinstance(event, Mapping) and not isinstance(response, Mapping):
        return UNSET
    metadata = field_of(response, "metadata") or None
    return None if metadata is None else canonical(metadata)


def _by(read: Callable[[Any], Key], *answers: type[Event], ours: str = "") -> Acknowledgement:
    """Make the rule of a kind that is told by the same thing on both sides."""
    return Acknowledgement(answers, _asked_for(id_in(ours) if ours else read), read)


ACKNOWLEDGEMENTS: Final[Mapping[str, Acknowledgement]] = MappingProxyType(
    {
        "session.update": Acknowledgement((SessionUpdated,)),
        "input_audio_buffer.commit": Acknowledgement((InputAudioBufferCommitted,)),
        "input_audio_buffer.clear": Acknowledgement((InputAudioBufferCleared,)),
        CREATE_ITEM: _by(id_in("item", "id"), ConversationItemAdded, ConversationItemCreated),
        "conversation.item.delete": _by(id_in("item_id"), ConversationItemDeleted),
        "conversation.item.retrieve": _by(
            id_in("item", "id"), ConversationItemRetrieved, ours="item_id"
        ),
        "conversation.item.truncate": _by(id_in("item_id"), ConversationItemTruncated),
        CREATE_RESPONSE: _by(_metadata_of, ResponseCreated),
        CANCEL: _by(id_in("response", "id"), ResponseDone, ours="response_id"),
    }
)
"""What answers each command. An append is answered by nothing."""
KINDS: Final = {answer: kind for kind, rule in ACKNOWLEDGEMENTS.items() for answer in rule.answers}
"""Which command an event answers."""


@attrs.frozen(kw_only=True)
class Settled:
    """A command that has its answer.

    Attributes:
        type: The command's wire name.
        event_id: The command's id.
        event: The answer: an event of the kind that the table names, an ``error``, or an
            :class:`~meshrt.events.UnknownEvent` where the answer did not fit its class.
        abandoned: Whether nobody waits for it any longer.
    """

    type: str
    event_id: str
    event: AnyEvent
    abandoned: bool


@attrs.frozen(kw_only=True)
class Failed:
    """A command that will have no answer.

    Attributes:
        type: The command's wire name.
        event_id: The command's id.
        reason: Why: how the session ended, or that it was withdrawn.
        abandoned: Whether nobody waits for it any longer.
    """

    type: str
    event_id: str
    reason: str
    abandoned: bool
