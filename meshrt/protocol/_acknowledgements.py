"""Which server event answers which of our commands.

No acknowledgement quotes the ``event_id`` of its command; only an ``error`` does. So each command
takes a place in the queue of its kind, whoever sent it and however, and the answer to a kind goes
to the oldest in that queue, unless something more exact is known: an item's id, a response's
metadata. A command that nobody waits for any longer keeps its place, so that its late answer is
not given to the next one.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, final

import attrs

from ..events import (
    BETA_NAMES,
    UNSET,
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDeleted,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    Event,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    SessionUpdated,
    UnknownEvent,
    class_of,
)
from ._codec import AnyEvent
from ._conversation import field_of, refused_id

_Key: TypeAlias = Any


@attrs.frozen
class Acknowledgement:
    """How a kind of command is answered."""

    answers: tuple[type[Event], ...]
    """The events that answer it."""
    asked: Callable[[Mapping[str, Any]], _Key] = lambda _: None
    """What identifies the command, or ``None``."""
    answered: Callable[[Any], _Key] = lambda _: None
    """The same of an answer."""


def _item_of(event: Mapping[str, Any]) -> _Key:
    return _id_of(event.get("item"))


def _id_of(item: object) -> str | None:
    value = field_of(item, "id")
    return value if isinstance(value, str) else None


def _metadata_of(event: Mapping[str, Any]) -> _Key:
    metadata = field_of(event.get("response"), "metadata") or None
    return dict(metadata) if isinstance(metadata, Mapping) else metadata  # ours may change


ACKNOWLEDGEMENTS: Final[Mapping[str, Acknowledgement]] = MappingProxyType(
    {
        "session.update": Acknowledgement((SessionUpdated,)),
        "input_audio_buffer.commit": Acknowledgement((InputAudioBufferCommitted,)),
        "input_audio_buffer.clear": Acknowledgement((InputAudioBufferCleared,)),
        "conversation.item.create": Acknowledgement(
            (ConversationItemAdded, ConversationItemCreated),
            _item_of,
            lambda event: _id_of(event.item),
        ),
        "conversation.item.delete": Acknowledgement(
            (ConversationItemDeleted,),
            lambda event: event.get("item_id"),
            lambda event: event.item_id,
        ),
        "conversation.item.retrieve": Acknowledgement(
            (ConversationItemRetrieved,),
            lambda event: event.get("item_id"),
            lambda event: _id_of(event.item),
        ),
        "conversation.item.truncate": Acknowledgement(
            (ConversationItemTruncated,),
            lambda event: event.get("item_id"),
            lambda event: event.item_id,
        ),
        "response.create": Acknowledgement(
            (ResponseCreated,), _metadata_of, lambda event: event.response.metadata or None
        ),
        "response.cancel": Acknowledgement(
            (ResponseDone,),
            lambda event: event.get("response_id"),
            lambda event: event.response.id,
        ),
    }
)
"""What answers each command. An append is answered by nothing."""


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
        reason: Why the session ended.
        abandoned: Whether nobody waits for it any longer.
    """

    type: str
    event_id: str
    reason: str
    abandoned: bool


@attrs.define(eq=False)
class _Command:
    type: str
    event_id: str
    rule: Acknowledgement
    key: _Key
    abandoned: bool = False

    def settled(self, event: AnyEvent) -> Settled:
        return Settled(
            type=self.type, event_id=self.event_id, event=event, abandoned=self.abandoned
        )

    def failed(self, reason: str) -> Failed:
        return Failed(
            type=self.type, event_id=self.event_id, reason=reason, abandoned=self.abandoned
        )


@final
class Acknowledgements:
    """The commands that have been sent and not answered."""

    def __init__(self) -> None:
        self._outstanding: list[_Command] = []
        self._announced: set[str | None] = set()

    @property
    def outstanding(self) -> tuple[str, ...]:
        """The ids of the commands without an answer, oldest first, abandoned ones included."""
        return tuple(command.event_id for command in self._outstanding)

    def sent(self, event: Mapping[str, Any]) -> None:
        """Note an event of ours, with its ``event_id``; what is never answered passes by."""
        rule = ACKNOWLEDGEMENTS.get(BETA_NAMES.get(event["type"], event["type"]))
        if rule is not None:
            command = _Command(event["type"], event["event_id"], rule, rule.asked(event))
            self._outstanding.append(command)

    def abandon(self, event_id: str) -> None:
        """Let the answer to this command go to nobody, when it comes."""
        for command in self._outstanding:
            if command.event_id == event_id:
                command.abandoned = True

    def saw(self, event: AnyEvent) -> Settled | None:
        """Note an event of the server; return the command that it answers, if it does."""
        command = self._find(event)
        self._announce(event)
        if command is None:
            return None
        self._outstanding.remove(command)
        return command.settled(event)

    def fail_all(self, reason: str) -> tuple[Failed, ...]:
        """Forget all commands, because there will be no answers; return them, oldest first."""
        failed = tuple(command.failed(reason) for command in self._outstanding)
        self._outstanding.clear()
        return failed

    def _find(self, event: AnyEvent) -> _Command | None:
        refused = refused_id(event)
        if refused is not UNSET:
            return self._find_refused(refused)
        if isinstance(event, UnknownEvent):
            return self._find_by_name(event)
        for command in self._outstanding:
            if self._answers(event, command):
                return command
        return None

    def _answers(self, event: Event, command: _Command) -> bool:
        if not isinstance(event, command.rule.answers):
            return False
        answered = command.rule.answered(event)
        if command.key is not None:
            return bool(answered == command.key)
        if command.type == "response.create":
            return answered is None  # metadata comes back: with some, it answers another one
        return command.type != "conversation.item.create" or not self._is_expected(answered)

    def _is_expected(self, item_id: str | None) -> bool:
        """Tell whether an item comes for another reason than a command without an id of ours."""
        ours = [c.key for c in self._outstanding if c.type == "conversation.item.create"]
        return item_id is not None and (item_id in self._announced or item_id in ours)

    def _find_refused(self, event_id: object) -> _Command | None:
        if event_id is not None:
            return next((c for c in self._outstanding if c.event_id == event_id), None)
        return self._outstanding[0] if len(self._outstanding) == 1 else None

    def _find_by_name(self, event: UnknownEvent) -> _Command | None:
        """Let an answer that does not fit its class fail the oldest command that it may answer."""
        for command in self._outstanding:
            if event.problem is not None and class_of(event.type) in command.rule.answers:
                return command
        return None

    def _announce(self, event: AnyEvent) -> None:
        match event:
            case (
                InputAudioBufferCommitted(item_id=item_id)
                | InputAudioBufferSpeechStarted(item_id=item_id)
            ):
                self._announced.add(item_id)
            case (
                ResponseOutputItemAdded(item=item)
                | ConversationItemAdded(item=item)
                | ConversationItemCreated(item=item)
            ):
                # Once there, it answers nothing anew: there are servers that say both.
                self._announced.add(_id_of(item))
