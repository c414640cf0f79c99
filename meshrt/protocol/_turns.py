"""Whose turn it is: which responses run, wait or were asked for, and what follows from it."""

from collections.abc import Sequence
from typing import final

import attrs

from ..errors import LocalProtocolError
from ..events import (
    UNSET,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseParams,
)
from ._answers import Failed
from ._codec import AnyEvent
from ._conversation import Conversation
from ._misfits import class_meant, response_of
from ._refusals import refused_kind


@attrs.define(eq=False)
class _Asked:
    """A ``response.create`` that was sent and whose response has not come."""

    event_id: str | None
    in_conversation: bool
    cancelled: bool = False


@final
class Turns:
    """Follow what was asked for, and decide what may be sent now.

    A server takes one response in the conversation at a time and answers a second
    ``response.create`` with an error; and a ``response.cancel`` without an id hits whatever runs
    when it arrives. So what has to wait waits here, and a cancel goes out by id.

    Args:
        conversation: The session's; it is fed before this is.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        # Each holds one or two, and a deque is 760 bytes that every session would have twice.
        self._asked: list[_Asked] = []
        self._waiting: list[ResponseCreate] = []
        self._due: list[ResponseCreate | ResponseCancel] = []

    @property
    def in_flight(self) -> bool:
        """Whether an end of the connection now would cut a turn."""
        return bool(self._conversation.active_responses or self._asked)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The event ids of the responses that wait for their turn, in order."""
        return tuple(str(event.event_id) for event in self._waiting)

    def __contains__(self, event_id: object) -> bool:
        return bool(self._waiting) and event_id in self.waiting

    def check(self, event_id: str) -> None:
        """Refuse the id of a response that waits for its turn.

        Raises:
            LocalProtocolError: It is taken.
        """
        if event_id in self:
            raise LocalProtocolError(
                f"nothing was sent: the event_id {event_id[:80]!r} is that of a response.create "
                "which waits for its turn; give each event its own, or none"
            )

    @property
    def pending(self) -> tuple[str, ...]:
        """The event ids of what was asked for and has no response yet, then of what waits."""
        asked = (asked.event_id for asked in self._asked if asked.event_id is not None)
        return (*asked, *self.waiting)

    def asked(self, event_id: str | None, *, in_conversation: bool) -> None:
        """Note a ``response.create`` that is sent; one without an id is only seen by a server."""
        self._asked.append(_Asked(event_id, in_conversation))

    def respond(self, event: ResponseCreate) -> ResponseCreate | None:
        """Return the event if it may be sent now, else ``None``: it is due when its turn comes."""
        if _is_in_conversation(event.response or None) and self._is_taken():
            self._waiting.append(event)
            return None
        return event

    def withdraw(self, event_id: str) -> None:
        """Forget a response that waits for its turn."""
        self._waiting = [e for e in self._waiting if e.event_id != event_id]

    def fail_all(self, reason: str) -> Sequence[Failed]:
        """Forget the responses that wait for their turn, for it never comes; return them."""
        waiting, self._waiting = self._waiting, []
        return [
            Failed(type=event.type, event_id=str(event.event_id), reason=reason, abandoned=False)
            for event in waiting
        ]

    def cancel(self, response_id: str | None) -> Sequence[ResponseCancel]:
        """Return what cancels one response, or all that run in the conversation.

        A response that was asked for and has no id yet is marked: its cancel is due when it comes.
        """
        running = [r.id for r in self._conversation.active_responses if r.in_conversation]
        if response_id is not None:
            known = [r.id for r in self._conversation.active_responses]
            running = [response_id] if response_id in known else []
        else:
            for asked in self._asked:
                asked.cancelled = asked.in_conversation
        return [ResponseCancel(response_id=running_id) for running_id in running]

    def saw(self, event: AnyEvent, *, refused: object = UNSET) -> None:
        """Note an event of the server, after the conversation has.

        Args:
            event: The event.
            refused: The id of our event that it refuses, if it is an error; ``None`` is that of
                one without an id.
        """
        if self._asked and class_meant(event) is ResponseCreated:
            self._begin(response_of(event))
        elif self._asked and refused is not UNSET:
            self._refuse(event, refused)
        if self._waiting and not self._is_taken():
            self._due.append(self._waiting.pop(0))

    def due(self) -> Sequence[ResponseCreate | ResponseCancel]:
        """Return what is to be sent now, because of what was seen."""
        due, self._due = self._due, []
        return due

    def _begin(self, response: Response) -> None:
        asked = self._answered_by(response)
        self._asked.remove(asked)
        if asked.cancelled and isinstance(response.id, str):
            self._due.append(ResponseCancel(response_id=response.id))

    def _refuse(self, event: AnyEvent, refused: object) -> None:
        """Forget what was refused; of an error that quotes nothing, its code may say so much."""
        left = [a for a in self._asked if a.event_id != refused]
        inside = [a for a in self._asked if a.in_conversation]
        is_other = len(left) < len(self._asked) or refused is not None
        if not is_other and inside and refused_kind(event) == ResponseCreate.type:
            left.remove(inside[0])
        self._asked = left

    def _answered_by(self, response: Response) -> _Asked:
        """Return the oldest that was asked for in the same place, if that is said."""
        where = response.conversation_id
        same = [a for a in self._asked if a.in_conversation == (where is not None)]
        return same[0] if same and where is not UNSET else self._asked[0]

    def _is_taken(self) -> bool:
        active = any(r.in_conversation for r in self._conversation.active_responses)
        return active or any(a.in_conversation for a in self._asked)


def _is_in_conversation(params: ResponseParams | None) -> bool:
    return params is None or params.conversation != "none"
