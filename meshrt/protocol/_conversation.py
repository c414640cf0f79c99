"""What a conversation has come to, folded from its events.

Everything is keyed by ids and nothing by "the current one": responses overlap, transcripts of what
the user said come late and out of order, and ``response.done`` is not the last event of a turn.
The same events in the same order always give the same state.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final, final

import attrs

from ..events import (
    UNSET,
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    Item,
    RateLimit,
    RateLimitsUpdated,
    Response,
    ResponseContentPartDone,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    Session,
    SessionCreated,
    SessionUpdated,
    TranscriptionUsage,
    UnknownEvent,
    Usage,
)
from ._codec import AnyEvent
from ._fields import bytes_per_ms, field_of
from ._items import GrowingItem, Items
from ._misfits import class_meant, response_of
from ._records import ConversationSnapshot, ItemRecord, ResponseRecord, UsageTotals
from ._usage import with_response, with_transcription

_Delta = ResponseOutputTextDelta | ResponseOutputAudioTranscriptDelta
_Whole = ResponseOutputTextDone | ResponseOutputAudioTranscriptDone | ResponseContentPartDone


@final
class Conversation:
    """A session's conversation: feed it the server's events, and ask.

    :class:`RealtimeProtocol` has one and feeds it. It can be used alone, on a recorded list of
    events for example.

    Args:
        keep_audio: Whether the audio itself is kept too; else only how much of it came.
    """

    def __init__(self, *, keep_audio: bool = False) -> None:
        self._keep_audio = keep_audio
        self._session: Session | None = None
        self._items = Items(keep_audio=keep_audio)
        self._responses: dict[str, ResponseRecord] = {}
        self._active: dict[str, None] = {}  # in order; there may be thousands that are over
        self._nameless = 0
        self._suspects: set[str] = set()
        self._bytes_per_ms: dict[str, float] = {}
        self._usage = UsageTotals()
        self._transcriptions: dict[tuple[str, int], TranscriptionUsage] = {}
        self._rate_limits: dict[str, RateLimit] = {}
        self._speaking = False
        self._last_ended: str | None = None

    @property
    def session(self) -> Session | None:
        """The session as the server last described it; ``None`` before it did."""
        return self._session

    @property
    def session_id(self) -> str | None:
        """The session's id; ``None`` before the server said it."""
        value = field_of(self._session, "id")
        return value if isinstance(value, str) else None

    @property
    def expires_at(self) -> int | None:
        """When the server will end the session, in seconds since 1970; ``None`` if unknown."""
        value = field_of(self._session, "expires_at")
        return value if isinstance(value, int) else None

    @property
    def items(self) -> tuple[ItemRecord, ...]:
        """The items, in order."""
        return self._items.records()

    @property
    def responses(self) -> tuple[ResponseRecord, ...]:
        """The responses, in the order in which they began."""
        return tuple(self._responses.values())

    @property
    def active_responses(self) -> tuple[ResponseRecord, ...]:
        """The responses that have begun and not ended."""
        return tuple(self._responses[response_id] for response_id in self._active)

    @property
    def last_response(self) -> ResponseRecord | None:
        """The response that ended last, with the reason why; ``None`` if none has."""
        return None if self._last_ended is None else self._responses[self._last_ended]

    @property
    def usage(self) -> UsageTotals:
        """What the session has used."""
        return reduce(with_transcription, self._transcriptions.values(), self._usage)

    @property
    def rate_limits(self) -> Mapping[str, RateLimit]:
        """What is left of the account's limits, by their names."""
        return dict(self._rate_limits)

    @property
    def speaking(self) -> bool:
        """Whether the server hears the user speak."""
        return self._speaking

    def item(self, item_id: str) -> ItemRecord | None:
        """Return one item; ``None`` if there is none of this id."""
        return self._items.record(item_id) if item_id in self._items else None

    def response(self, response_id: str) -> ResponseRecord | None:
        """Return one response; ``None`` if there is none of this id."""
        return self._responses.get(response_id)

    def snapshot(self) -> ConversationSnapshot:
        """Return all of it as one frozen value, which compares by what is in it."""
        return ConversationSnapshot(
            session=self._session,
            items=self.items,
            responses=self.responses,
            usage=self.usage,
            rate_limits=self.rate_limits,
            speaking=self._speaking,
            last_response_id=self._last_ended,
        )

    def apply(self, event: AnyEvent) -> None:
        """Take one event of the server; those that change nothing here pass by."""
        fold = _FOLDS.get(type(event))
        if fold is not None:
            fold(self, event)

    def _set_session(self, event: SessionCreated | SessionUpdated) -> None:
        self._session = event.session

    def _add(self, event: ConversationItemAdded | ConversationItemCreated) -> None:
        item_id = field_of(event.item, "id")
        if isinstance(item_id, str):
            self._items.add(item_id, event.item, event.previous_item_id)

    def _complete(self, event: ConversationItemDone) -> None:
        item_id = field_of(event.item, "id")
        if isinstance(item_id, str):
            self._retrieve(event)
            self._items.get(item_id).done = True

    def _retrieve(self, event: ConversationItemDone | ConversationItemRetrieved) -> None:
        item_id = field_of(event.item, "id")
        if isinstance(item_id, str):
            self._items.describe(self._items.get(item_id), event.item)
            self._items.append(item_id)

    def _delete(self, event: ConversationItemDeleted) -> None:
        self._items.delete(event.item_id)

    def _truncate(self, event: ConversationItemTruncated) -> None:
        self._items.get(event.item_id).truncated_ms = event.audio_end_ms

    def _hear_more(self, event: ConversationItemInputAudioTranscriptionDelta) -> None:
        index = event.content_index if isinstance(event.content_index, int) else 0
        found = self._items.get(event.item_id)
        if index not in found.transcribed:  # a straggler says nothing that is not in the whole
            found.say(index, event.delta or "")

    def _hear_all(self, event: ConversationItemInputAudioTranscriptionCompleted) -> None:
        found = self._items.get(event.item_id)
        found.say_all(event.content_index, event.transcript)
        found.transcribed.add(event.content_index)
        if event.usage:  # by item, since there are servers that say it again
            self._transcriptions[event.item_id, event.content_index] = event.usage

    def _begin(self, event: ResponseCreated) -> None:
        self._begin_response(event.response)

    def _end(self, event: ResponseDone) -> None:
        self._end_response(event.response)

    def _misfit(self, event: UnknownEvent) -> None:
        """Follow a response also where its beginning or its end does not fit the wire.

        Else it would run for ever, and whoever waits for it would wait for ever.
        """
        meant, response = class_meant(event), response_of(event)
        if meant is ResponseCreated:
            self._begin_response(response)
        elif meant is ResponseDone:
            said = response.status if response.status not in (None, "in_progress") else UNSET
            self._end_response(attrs.evolve(response, status=said or "failed"))

    def _begin_response(self, response: Response) -> None:
        if not isinstance(response.id, str) or response.id in self._responses:
            return
        self._keep(_as_said(self._beginning(response.id), response))
        audio_format = field_of(field_of(response.audio, "output"), "format")
        if audio_format:
            self._bytes_per_ms[response.id] = bytes_per_ms(audio_format)

    def _end_response(self, response: Response) -> None:
        if not isinstance(response.id, str):
            self._end_a_nameless(response)
            return
        if response.id not in self._responses:
            self._keep(self._beginning(response.id))
        if self._is_over(response.id):
            return
        self._complete_output(response.id, response.output or ())
        ended = _as_said(self._responses[response.id], response)
        if ended.status == "in_progress":  # a clone that does not say how it ended
            ended = attrs.evolve(ended, status="completed")
        self._keep(ended)
        self._last_ended = response.id
        if isinstance(response.usage, Usage):
            self._usage = with_response(self._usage, response.usage)
        self._end_suspects()

    def _end_a_nameless(self, response: Response) -> None:
        """End the one that runs; of several nobody can tell yet which it is."""
        if len(self._active) == 1:
            self._end_response(attrs.evolve(response, id=next(iter(self._active))))
            return
        self._suspects |= self._active.keys()
        self._nameless += 1
        self._end_suspects()

    def _end_suspects(self) -> None:
        """End those of which each must be one that ended without its name."""
        self._suspects &= self._active.keys()
        if len(self._suspects) > self._nameless:
            return
        for response_id in [each for each in self._active if each in self._suspects]:
            self._keep(attrs.evolve(self._responses[response_id], status="failed"))
            self._last_ended = response_id
        self._nameless = 0
        self._suspects.clear()

    def _keep(self, record: ResponseRecord) -> None:
        self._responses[record.id] = record
        if record.status == "in_progress":
            self._active[record.id] = None
        else:
            self._active.pop(record.id, None)
        for item_id in record.item_ids:
            self._place(record, item_id)

    def _place(self, record: ResponseRecord, item_id: str) -> None:
        """Give an item of a response a place, if it has none, and belongs there."""
        if record.in_conversation:
            self._items.append(item_id)
        else:
            self._items.displace(item_id)

    def _open_item(self, event: ResponseOutputItemAdded | ResponseOutputItemDone) -> None:
        item_id = field_of(event.item, "id")
        if isinstance(item_id, str) and not self._is_over(event.response_id):
            made = self._made(event.response_id, item_id)
            self._items.describe(made, event.item)
            made.done = made.done or isinstance(event, ResponseOutputItemDone)

    def _complete_output(self, response_id: str, output: Sequence[Item]) -> None:
        """Take what a response says of its items at its end: it may be the only word of them."""
        for item in output:
            item_id = field_of(item, "id")
            if isinstance(item_id, str):
                made = self._made(response_id, item_id)
                if not made.done:
                    self._items.describe(made, item)
                made.done = True

    def _grow_text(self, event: _Delta) -> None:
        if not self._is_over(event.response_id):
            self._made(event.response_id, event.item_id).say(event.content_index, event.delta)

    def _finish_text(self, event: ResponseOutputTextDone) -> None:
        self._say_all(event, event.text)

    def _finish_transcript(self, event: ResponseOutputAudioTranscriptDone) -> None:
        self._say_all(event, event.transcript)

    def _finish_part(self, event: ResponseContentPartDone) -> None:
        whole = field_of(event.part, "text") or field_of(event.part, "transcript")
        if isinstance(whole, str) and whole:
            self._say_all(event, whole)

    def _say_all(self, event: _Whole, whole: str) -> None:
        if not self._is_over(event.response_id):
            self._made(event.response_id, event.item_id).say_all(event.content_index, whole)

    def _grow_audio(self, event: ResponseOutputAudioDelta) -> None:
        if self._is_over(event.response_id):
            return
        made = self._made(event.response_id, event.item_id)
        if not made.audio_bytes:
            made.audio_bytes_per_ms = self._output_bytes_per_ms(event.response_id)
        made.audio_bytes += len(event.delta)
        made.audio_index = event.content_index
        if self._keep_audio:
            made.audio += event.delta

    def _limit(self, event: RateLimitsUpdated) -> None:
        for limit in event.rate_limits:
            if isinstance(limit.name, str):
                self._rate_limits[limit.name] = limit

    def _speech_started(self, _: InputAudioBufferSpeechStarted) -> None:
        self._speaking = True

    def _speech_stopped(self, _: InputAudioBufferSpeechStopped) -> None:
        self._speaking = False

    def _is_over(self, response_id: str) -> bool:
        """Tell whether a response has ended, so that what still comes of it is a straggler."""
        response = self._responses.get(response_id)
        return response is not None and response.status != "in_progress"

    def _beginning(self, response_id: str) -> ResponseRecord:
        return ResponseRecord(
            id=response_id,
            status="in_progress",
            details=None,
            in_conversation=True,
            metadata=None,
            item_ids=self._items.made_by(response_id),
        )

    def _made(self, response_id: str, item_id: str) -> GrowingItem:
        """Return an item that a response makes, and note that it does."""
        made = self._items.get(item_id)
        if made.response_id is None:
            made.response_id = response_id
            response = self._responses.get(response_id)
            if response is not None and item_id not in response.item_ids:
                ids = (*response.item_ids, item_id)
                self._responses[response_id] = attrs.evolve(response, item_ids=ids)
                self._place(response, item_id)
        return made

    def _output_bytes_per_ms(self, response_id: str) -> float:
        output = field_of(field_of(self._session, "audio"), "output")
        by_default = field_of(output, "format") or field_of(self._session, "output_audio_format")
        return self._bytes_per_ms.get(response_id) or bytes_per_ms(by_default)


def _as_said(record: ResponseRecord, response: Response) -> ResponseRecord:
    """Return the record with what the server says, which may leave out what it said before."""
    conversation_id = response.conversation_id
    is_in = record.in_conversation if conversation_id is UNSET else conversation_id is not None
    return attrs.evolve(
        record,
        status=response.status or record.status,
        details=response.status_details or record.details,
        in_conversation=is_in,
        metadata=response.metadata or record.metadata,
    )


_FOLDS: Final[Mapping[type[Any], Callable[[Conversation, Any], None]]] = {
    SessionCreated: Conversation._set_session,
    SessionUpdated: Conversation._set_session,
    ConversationItemAdded: Conversation._add,
    ConversationItemCreated: Conversation._add,
    ConversationItemDone: Conversation._complete,
    ConversationItemRetrieved: Conversation._retrieve,
    ConversationItemDeleted: Conversation._delete,
    ConversationItemTruncated: Conversation._truncate,
    ConversationItemInputAudioTranscriptionDelta: Conversation._hear_more,
    ConversationItemInputAudioTranscriptionCompleted: Conversation._hear_all,
    ResponseCreated: Conversation._begin,
    ResponseDone: Conversation._end,
    ResponseOutputItemAdded: Conversation._open_item,
    ResponseOutputItemDone: Conversation._open_item,
    ResponseOutputTextDelta: Conversation._grow_text,
    ResponseOutputTextDone: Conversation._finish_text,
    ResponseOutputAudioDelta: Conversation._grow_audio,
    ResponseOutputAudioTranscriptDelta: Conversation._grow_text,
    ResponseOutputAudioTranscriptDone: Conversation._finish_transcript,
    ResponseContentPartDone: Conversation._finish_part,
    RateLimitsUpdated: Conversation._limit,
    InputAudioBufferSpeechStarted: Conversation._speech_started,
    InputAudioBufferSpeechStopped: Conversation._speech_stopped,
    UnknownEvent: Conversation._misfit,
}
