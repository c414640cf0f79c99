"""What a server says of the conversation: its items, the audio that goes in, what was said."""

from collections.abc import Sequence
from typing import ClassVar

import attrs

from ._base import UNSET, Event, Maybe
from ._items import Item
from ._response import TranscriptionUsage


@attrs.frozen(kw_only=True)
class LogProb:
    """How sure the transcription is of one token."""

    token: str
    """The token."""
    logprob: float
    """The logarithm of its probability."""
    bytes: Maybe[Sequence[int]] = UNSET
    """The token's UTF-8 bytes, as numbers."""


@attrs.frozen(kw_only=True)
class TranscriptionLanguage:
    """A language that the transcription heard."""

    code: Maybe[str] = UNSET
    """Which, as the transcribing model names it."""


@attrs.frozen(kw_only=True)
class TranscriptionFailure:
    """Why a transcription failed."""

    type: Maybe[str] = UNSET
    """The kind of error."""
    code: Maybe[str] = UNSET
    """The code to decide by."""
    message: Maybe[str] = UNSET
    """The server's sentence."""
    param: Maybe[str] = UNSET
    """The field it is about."""


@attrs.frozen(kw_only=True)
class ConversationItemAdded(Event):
    """An item is in the conversation; the order of items comes from here."""

    type: ClassVar[str] = "conversation.item.added"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    previous_item_id: Maybe[str] = UNSET
    """The item before it; null for the first."""
    item: Item
    """The item."""


@attrs.frozen(kw_only=True)
class ConversationItemCreated(Event):
    """An item is in the conversation, as older servers say it."""

    type: ClassVar[str] = "conversation.item.created"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    previous_item_id: Maybe[str] = UNSET
    """The item before it; null for the first."""
    item: Item
    """The item."""


@attrs.frozen(kw_only=True)
class ConversationItemDone(Event):
    """An item is complete; its ``previous_item_id`` is not to be trusted."""

    type: ClassVar[str] = "conversation.item.done"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    previous_item_id: Maybe[str] = UNSET
    """The item before it; null for the first."""
    item: Item
    """The item."""


@attrs.frozen(kw_only=True)
class ConversationItemDeleted(Event):
    """An item is gone."""

    type: ClassVar[str] = "conversation.item.deleted"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""


@attrs.frozen(kw_only=True)
class ConversationItemRetrieved(Event):
    """An item as the server holds it, audio included."""

    type: ClassVar[str] = "conversation.item.retrieved"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item: Item
    """The item."""


@attrs.frozen(kw_only=True)
class ConversationItemTruncated(Event):
    """The model's speech was cut; its transcript is gone."""

    type: ClassVar[str] = "conversation.item.truncated"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""
    content_index: int
    """The part's place in the item's content."""
    audio_end_ms: int
    """What is left of it, in ms."""


@attrs.frozen(kw_only=True)
class ConversationItemInputAudioTranscriptionDelta(Event):
    """More of what the user said; it may come late and out of order."""

    type: ClassVar[str] = "conversation.item.input_audio_transcription.delta"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""
    content_index: Maybe[int] = UNSET
    """The part's place in the item's content."""
    delta: Maybe[str] = UNSET
    """The text to add."""
    logprobs: Maybe[Sequence[LogProb]] = UNSET
    """How sure it is."""
    obfuscation: Maybe[str] = UNSET
    """Random padding against traffic analysis; to be ignored."""


@attrs.frozen(kw_only=True)
class ConversationItemInputAudioTranscriptionCompleted(Event):
    """All that the user said in an item."""

    type: ClassVar[str] = "conversation.item.input_audio_transcription.completed"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""
    content_index: int
    """The part's place in the item's content."""
    transcript: str
    """The text."""
    languages: Maybe[Sequence[TranscriptionLanguage]] = UNSET
    """The languages it heard."""
    logprobs: Maybe[Sequence[LogProb]] = UNSET
    """How sure it is."""
    usage: Maybe[TranscriptionUsage] = UNSET
    """What it used."""


@attrs.frozen(kw_only=True)
class ConversationItemInputAudioTranscriptionFailed(Event):
    """What the user said could not be transcribed."""

    type: ClassVar[str] = "conversation.item.input_audio_transcription.failed"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""
    content_index: int
    """The part's place in the item's content."""
    error: TranscriptionFailure
    """Why."""


@attrs.frozen(kw_only=True)
class InputAudioBufferCommitted(Event):
    """The input buffer has become a user message, which is coming."""

    type: ClassVar[str] = "input_audio_buffer.committed"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    previous_item_id: Maybe[str] = UNSET
    """The item before it; null for the first."""
    item_id: str
    """The id that the message will have."""


@attrs.frozen(kw_only=True)
class InputAudioBufferCleared(Event):
    """The input buffer is empty, as ``input_audio_buffer.clear`` asked."""

    type: ClassVar[str] = "input_audio_buffer.cleared"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""


@attrs.frozen(kw_only=True)
class InputAudioBufferSpeechStarted(Event):
    """The server hears speech."""

    type: ClassVar[str] = "input_audio_buffer.speech_started"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The id that the message will have."""
    audio_start_ms: int
    """Where the speech starts, padding included, in ms of all audio appended."""


@attrs.frozen(kw_only=True)
class InputAudioBufferSpeechStopped(Event):
    """The server hears no more speech."""

    type: ClassVar[str] = "input_audio_buffer.speech_stopped"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The id that the message will have."""
    audio_end_ms: int
    """Where the speech ends, in ms of all audio appended."""


@attrs.frozen(kw_only=True)
class InputAudioBufferTimeoutTriggered(Event):
    """Nobody spoke for the idle timeout; the model will."""

    type: ClassVar[str] = "input_audio_buffer.timeout_triggered"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The id that the message will have."""
    audio_start_ms: int
    """Where the silence starts, in ms of all audio appended."""
    audio_end_ms: int
    """Where it ends, in ms of all audio appended."""


@attrs.frozen(kw_only=True)
class ConversationObject:
    """A conversation, as the wire names it."""

    id: Maybe[str] = UNSET
    """Its id."""
    object: Maybe[str] = UNSET
    """``"realtime.conversation"``."""


@attrs.frozen(kw_only=True)
class ConversationCreated(Event):
    """A conversation is there; declared, and never seen on the GA wire."""

    type: ClassVar[str] = "conversation.created"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    conversation: ConversationObject
    """The conversation."""


@attrs.frozen(kw_only=True)
class ConversationItemInputAudioTranscriptionSegment(Event):
    """A piece of what somebody said, with who and when."""

    type: ClassVar[str] = "conversation.item.input_audio_transcription.segment"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""
    content_index: int
    """The part's place in the item's content."""
    id: str
    """The segment's id."""
    text: str
    """What was said."""
    speaker: str
    """Who said it."""
    start: float
    """Where it starts in the item's audio, in seconds."""
    end: float
    """Where it ends, in seconds."""


@attrs.frozen(kw_only=True)
class InputAudioBufferDtmfEventReceived(Event):
    """A key was pressed on the telephone, over SIP."""

    type: ClassVar[str] = "input_audio_buffer.dtmf_event_received"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    event: str
    """The key."""
    received_at: int
    """When, in seconds since 1970."""


@attrs.frozen(kw_only=True)
class OutputAudioBufferStarted(Event):
    """The server begins to play a response, over WebRTC and SIP."""

    type: ClassVar[str] = "output_audio_buffer.started"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""


@attrs.frozen(kw_only=True)
class OutputAudioBufferStopped(Event):
    """The server has played a response, over WebRTC and SIP."""

    type: ClassVar[str] = "output_audio_buffer.stopped"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""


@attrs.frozen(kw_only=True)
class OutputAudioBufferCleared(Event):
    """The server has stopped playing a response, over WebRTC and SIP."""

    type: ClassVar[str] = "output_audio_buffer.cleared"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
