"""Commands that are awaited: each sends one event and returns the event that answers it."""

import contextlib
from collections.abc import Mapping
from typing import TypeVar

import attrs
from anyio.lowlevel import checkpoint

from ..errors import LocalProtocolError, RealtimeError, RemoteProtocolError
from ..events import (
    UNSET,
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemCreated,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    Error,
    Event,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    Item,
    ResponseCancel,
    ResponseCreated,
    ResponseDone,
    ResponseParams,
    Session,
    SessionUpdate,
    SessionUpdated,
    UnknownEvent,
)
from ..protocol import AnyEvent, Prepared, RealtimeProtocol
from ._answers import Answer, Answers
from ._end import realtime_error
from ._ledger import Receipt

_E = TypeVar("_E", bound=Event)
_TOO_LATE = "response_cancel_not_active"  # the response had ended by itself


class _TooLateError(Exception):
    """A response had ended by itself before its cancel came."""


class Commands:
    """The commands of a session.

    They need no loop of yours that reads: the session's reader serves them first. Several may be
    awaited at once; each gets its own answer. Each raises, besides what it says itself:

    - ``RealtimeError``, where the server refuses *this* command; nobody else hears of it,
    - ``RemoteProtocolError``, where the answer does not fit its type,
    - ``LocalProtocolError``, where it can't be sent; nothing was,
    - what :meth:`RealtimeSession.send` raises, where the session has ended or ends.

    Cancelling one is safe: before it is queued it is never sent; after that the server does it
    all the same, and its answer goes to nobody.
    """

    _protocol: RealtimeProtocol
    _answers: Answers

    async def update(self, session: Session) -> SessionUpdated:
        """Change the session: only fields that are set do; a refused update changes nothing.

        Args:
            session: The body of a ``session.update``: a mapping with ``"type": "realtime"``, or a
                :class:`~meshrt.events.RealtimeSessionConfig`.
        """
        return await self._ask(SessionUpdate(session=session), SessionUpdated)

    async def create_item(
        self, item: Item, *, previous_item_id: str | None = None
    ) -> ConversationItemAdded | ConversationItemCreated:
        """Add an item to the conversation, and return it with its id.

        Args:
            item: For example ``UserMessage(content=[InputText(text="Hello")])``, or a mapping.
            previous_item_id: The item to put it after; ``"root"`` for the front, ``None`` for the
                end.
        """
        after = UNSET if previous_item_id is None else previous_item_id
        named = _named(item, f"item_{self._protocol.make_id()}")
        event = ConversationItemCreate(item=named, previous_item_id=after)
        return await self._ask(event, ConversationItemAdded, ConversationItemCreated)

    async def delete_item(self, item_id: str) -> ConversationItemDeleted:
        """Remove an item from the conversation."""
        return await self._ask(ConversationItemDelete(item_id=item_id), ConversationItemDeleted)

    async def retrieve_item(self, item_id: str) -> ConversationItemRetrieved:
        """Return an item as the server holds it, audio included."""
        return await self._ask(
            ConversationItemRetrieve(item_id=item_id), ConversationItemRetrieved
        )

    async def truncate(
        self, item_id: str, audio_end_ms: int, *, content_index: int = 0
    ) -> ConversationItemTruncated:
        """Cut the model's speech to what was heard.

        Args:
            item_id: The assistant message.
            audio_end_ms: What was heard, in ms; not more than was received.
            content_index: The part of its content.
        """
        event = ConversationItemTruncate(
            item_id=item_id, content_index=content_index, audio_end_ms=audio_end_ms
        )
        return await self._ask(event, ConversationItemTruncated)

    async def commit(self) -> InputAudioBufferCommitted:
        """Make a user message of the input buffer, which needs 100 ms of audio at least."""
        return await self._ask(InputAudioBufferCommit(), InputAudioBufferCommitted)

    async def clear(self) -> InputAudioBufferCleared:
        """Drop what is in the input buffer."""
        return await self._ask(InputAudioBufferClear(), InputAudioBufferCleared)

    async def respond(self, params: ResponseParams | None = None) -> ResponseCreated:
        """Ask for a response when its turn comes, and return its beginning.

        While another response runs in the conversation, or was asked for, this one waits; a raw
        ``response.create`` would be refused.

        Args:
            params: What it does differently from the session; with ``metadata`` its answer is
                told from that of a response which the server began by itself.

        Raises:
            LocalProtocolError: Besides what all commands raise: somebody called :meth:`cancel`
                while it waited for its turn, and it was not asked for.
        """
        await self._ensure_open()
        event_id = self._protocol.make_id()
        event = self._protocol.respond(params, event_id=event_id)
        prepared = None if event is None else self._protocol.prepare(event)
        answer = self._answers.expect(event_id)
        return await self._answered(event_id, answer, prepared, ResponseCreated)

    async def cancel(self, response_id: str | None = None) -> tuple[ResponseDone, ...]:
        """Stop a response, or all that run in the conversation; return how they ended.

        It is queued at once, whatever waits for room, and from a cancelled scope too; whoever is
        cancelled only stops waiting for how they end. Where nothing runs, nothing is sent. A
        response that was asked for and has not begun is cancelled when it begins. One that ends by
        itself in the meantime is no error.

        Args:
            response_id: The response; ``None`` for all that run in the conversation.
        """
        await self._ensure_open()
        # All of them, before anything is awaited: silence is wanted from a cancelled scope too.
        asked = [self._cancel_now(event) for event in self._protocol.cancel(response_id)]
        for failed in self._protocol.failed():
            self._answers.withdraw(failed.event_id, failed.reason)
        ended: list[ResponseDone] = []
        try:
            for event_id, answer in asked:
                with contextlib.suppress(_TooLateError):
                    ended.append(await self._ended(event_id, answer))
        finally:
            for event_id, _ in asked:
                self._answers.forget(event_id)
        await checkpoint()
        return tuple(ended)

    async def _ended(self, event_id: str, answer: Answer) -> ResponseDone:
        try:
            return await self._answered(event_id, answer, None, ResponseDone)
        except RealtimeError as error:
            if error.code != _TOO_LATE:
                raise
        raise _TooLateError

    def _cancel_now(self, event: ResponseCancel) -> tuple[str, Answer]:
        prepared = self._protocol.prepare(event)
        self._answers.forgive(prepared.event_id)
        answer = self._answers.expect(prepared.event_id)
        self._queue(prepared)
        return prepared.event_id, answer

    async def _ask(self, event: Event, *kinds: type[_E]) -> _E:
        await self._ensure_open()
        prepared = self._protocol.prepare(event)
        answer = self._answers.expect(prepared.event_id)
        return await self._answered(prepared.event_id, answer, prepared, *kinds)

    async def _answered(
        self, event_id: str, answer: Answer, prepared: Prepared | None, *kinds: type[_E]
    ) -> _E:
        """Hand over, if it is time, and wait; who stops waiting leaves a tombstone."""
        try:
            if prepared is not None:
                await self._hand_over(prepared)
            await answer.wait()
        finally:
            if answer.event is None:
                self._protocol.abandon(event_id)
            self._answers.forget(event_id)
        if answer.withdrawn is not None:
            raise LocalProtocolError(answer.withdrawn)
        if answer.end is not None:
            raise answer.end.to_sender()
        return _checked(answer.event, kinds)

    def _queue(self, prepared: Prepared) -> Receipt:
        raise NotImplementedError

    async def _hand_over(self, prepared: Prepared) -> Receipt:
        raise NotImplementedError

    async def _ensure_open(self) -> None:
        raise NotImplementedError


def _named(item: Item, item_id: str) -> Item:
    """Give an item an id of ours, if it has none: by that its answer is known for certain."""
    if isinstance(item, Mapping):
        return {**item, "id": item.get("id") or item_id}
    return item if item.id else attrs.evolve(item, id=item_id)


def _checked(event: AnyEvent | None, kinds: tuple[type[_E], ...]) -> _E:
    if isinstance(event, kinds):
        return event
    if isinstance(event, Error):
        raise realtime_error(event)
    problem = event.problem if isinstance(event, UnknownEvent) else event
    raise RemoteProtocolError(f"the answer does not fit its type: {problem}")
