"""Which server event answers which of our commands.

No acknowledgement quotes the ``event_id`` of its command; only an ``error`` does. So each command
takes a place in the queue of its kind, whoever sent it and however, and the answer to a kind goes
to the oldest in that queue, unless something more exact is known: an item's id, a response's
metadata. A command that nobody waits for any longer keeps its place, so that its late answer is
not given to the next one.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, final

import attrs

from ..errors import LocalProtocolError
from ..events import (
    BETA_NAMES,
    UNSET,
    ConversationItemAdded,
    ConversationItemCreated,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferTimeoutTriggered,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    UnknownEvent,
)
from ._answers import (
    ACKNOWLEDGEMENTS,
    CANCEL,
    CREATE_ITEM,
    CREATE_RESPONSE,
    KINDS,
    Failed,
    Key,
    Settled,
    id_in,
)
from ._codec import AnyEvent
from ._fields import field_of
from ._misfits import class_meant, response_of
from ._refusals import refused_id, refused_kind


@attrs.define(eq=False)
class _Command:
    type: str
    event_id: str
    kind: str
    key: Key
    shape: tuple[object, object]
    number: int
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
    """The commands that have been sent and not answered.

    Args:
        has_left: Tells whether a command, by its id, is on its way. One that still waits to be
            written is answered by nothing that comes. By default what was sent has left.
    """

    def __init__(self, has_left: Callable[[str], bool] = bool) -> None:
        self._has_left = has_left
        self._outstanding: dict[str, _Command] = {}
        self._queues: dict[tuple[str, Key], deque[_Command]] = {}
        self._sent = 0
        self._announced: set[object] = set()
        self._outside: set[object] = set()
        self._too_late: dict[str, None] = {}

    @property
    def outstanding(self) -> tuple[str, ...]:
        """The ids of the commands without an answer, oldest first, abandoned ones included."""
        return tuple(self._outstanding)

    def __contains__(self, event_id: object) -> bool:
        return event_id in self._outstanding

    def check(self, event_id: str) -> None:
        """Refuse the id of a command that waits for its answer: an ``error`` could mean either.

        Raises:
            LocalProtocolError: It is taken.
        """
        if event_id in self._outstanding:
            raise LocalProtocolError(
                f"nothing was sent: the event_id {event_id[:80]!r} is that of a "
                f"{self._outstanding[event_id].type} which has no answer yet; give each event "
                "its own, or none"
            )

    def sent(self, event: Mapping[str, Any]) -> None:
        """Note an event of ours, with its ``event_id``; what is never answered passes by.

        Raises:
            LocalProtocolError: A command of this ``event_id`` waits for its answer already.
        """
        kind = BETA_NAMES.get(event["type"], event["type"])
        rule = ACKNOWLEDGEMENTS.get(kind)
        if rule is None:
            return
        self.check(event["event_id"])
        self._sent += 1
        key, shape = rule.asked(event), _shape_of(event.get("item"))
        command = _Command(event["type"], event["event_id"], kind, key, shape, self._sent)
        self._outstanding[command.event_id] = command
        self._queues.setdefault((kind, key), deque()).append(command)

    def abandon(self, event_id: str) -> None:
        """Let the answer to this command go to nobody, when it comes."""
        if event_id in self._outstanding:
            self._outstanding[event_id].abandoned = True

    def saw(self, event: AnyEvent) -> Settled | None:
        """Note an event of the server; return the command that it answers, if it does."""
        command = self._find(event)
        self._note(event)
        if command is None or not self._has_left(command.event_id):
            return None
        self._forget(command)
        if class_meant(event) is ResponseDone and response_of(event).status != "cancelled":
            self._too_late[command.event_id] = None  # the server will say so as well
        return command.settled(event)

    def fail_all(self, reason: str) -> tuple[Failed, ...]:
        """Forget all commands, because there will be no answers; return them, oldest first."""
        failed = tuple(command.failed(reason) for command in self._outstanding.values())
        self._outstanding.clear()
        self._queues.clear()
        self._too_late.clear()
        return failed

    def _forget(self, command: _Command) -> None:
        del self._outstanding[command.event_id]
        queue = self._queues[command.kind, command.key]
        queue.remove(command)
        if not queue:
            del self._queues[command.kind, command.key]

    def _find(self, event: AnyEvent) -> _Command | None:
        refused = refused_id(event)
        if refused is not UNSET:
            return self._find_refused(event, refused)
        meant = class_meant(event)
        kind = None if meant is None else KINDS.get(meant)
        return None if kind is None else self._find_answered(event, kind)

    def _find_answered(self, event: AnyEvent, kind: str) -> _Command | None:
        is_unfit = isinstance(event, UnknownEvent)
        answered = ACKNOWLEDGEMENTS[kind].answered(event.data if is_unfit else event)
        if is_unfit and answered is UNSET:
            return next(iter(self._of(kind)), None)  # nobody knows which: the oldest
        exact = self._queues.get((kind, answered), ())
        if kind == CREATE_ITEM:
            return exact[0] if exact else self._find_nameless_item(event, answered)
        loose = self._queues.get((kind, None), ())
        # Metadata come back: a response with some answers one that gave some.
        if kind == CREATE_RESPONSE or (kind == CANCEL and self._is_outside(event)):
            loose = ()
        heads = [queue[0] for queue in (exact, loose) if queue]
        return min(heads, key=lambda command: command.number, default=None)

    def _find_nameless_item(self, event: AnyEvent, item_id: Key) -> _Command | None:
        """Return the oldest that gave no id and may have made this item.

        There are items that come for other reasons: what the user says, what the model says,
        the tools of an MCP server, what the server itself puts in when nobody speaks.
        """
        if item_id in self._announced:
            return None
        item = field_of(event.data if isinstance(event, UnknownEvent) else event, "item")
        waiting = self._queues.get((CREATE_ITEM, None), ())
        return next((c for c in waiting if _is_alike(c.shape, _shape_of(item))), None)

    def _find_refused(self, event: AnyEvent, event_id: object) -> _Command | None:
        if event_id is not None:
            return self._outstanding.get(event_id) if isinstance(event_id, str) else None
        kind = refused_kind(event)
        if kind == CANCEL and self._too_late:
            return None
        of_it = [*self._outstanding.values()] if kind is None else self._of(kind)
        of_it = [command for command in of_it if self._has_left(command.event_id)]
        return of_it[0] if len(of_it) == 1 else None

    def _of(self, kind: str) -> list[_Command]:
        return [command for command in self._outstanding.values() if command.kind == kind]

    def _is_outside(self, event: AnyEvent) -> bool:
        """Tell whether a response is known to be outside the conversation."""
        response = response_of(event)
        return response.conversation_id is None or response.id in self._outside

    def _note(self, event: AnyEvent) -> None:
        if refused_kind(event) == CANCEL:
            self._forgive(refused_id(event))
        match event:
            case (
                InputAudioBufferCommitted(item_id=item_id)
                | InputAudioBufferSpeechStarted(item_id=item_id)
                | InputAudioBufferTimeoutTriggered(item_id=item_id)
            ):
                self._announced.add(item_id)
            case (
                ResponseOutputItemAdded(item=item)
                | ConversationItemAdded(item=item)
                | ConversationItemCreated(item=item)
            ):
                # Once there, it answers nothing anew: there are servers that say both.
                self._announced.add(id_in("id")(item))
        self._announced.discard(UNSET)
        self._note_place(event)

    def _forgive(self, event_id: object) -> None:
        """Forget a cancel that came too late, now that the server has said so."""
        oldest = next(iter(self._too_late), None)
        self._too_late.pop(str(event_id or oldest), None)

    def _note_place(self, event: AnyEvent) -> None:
        meant, response = class_meant(event), response_of(event)
        if meant is ResponseCreated and response.conversation_id is None:
            self._outside.add(response.id)
        elif meant is ResponseDone:
            self._outside.discard(response.id)


def _shape_of(item: object) -> tuple[object, object]:
    return field_of(item, "type"), field_of(item, "role")


def _is_alike(ours: tuple[object, object], theirs: tuple[object, object]) -> bool:
    """Tell whether an item may be the one that we sent, by its type and role."""
    pairs = zip(ours, theirs, strict=True)
    return all(a == b for a, b in pairs if isinstance(a, str) and isinstance(b, str))
