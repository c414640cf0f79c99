"""What a client may send: one frozen class per type, named in the imperative as on the wire."""

from typing import ClassVar, TypeAlias

import attrs

from ._base import UNSET, Event, Maybe, UnknownEvent
from ._items import Item
from ._response import ResponseParams
from ._session import Session
from ._short import short


@attrs.frozen(kw_only=True)
class SessionUpdate(Event):
    """Change the session; answered by ``session.updated``, or ``error`` and nothing changes."""

    type: ClassVar[str] = "session.update"
    event_id: Maybe[str] = UNSET
    """Our id for this event, at most 512 characters; an ``error`` quotes it."""
    session: Session
    """What changes; only fields that are set do."""


@attrs.frozen(kw_only=True)
class InputAudioBufferAppend(Event):
    """Add audio to the input buffer; the server does not answer."""

    type: ClassVar[str] = "input_audio_buffer.append"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""
    audio: bytes = attrs.field(repr=short)
    """The audio, in the session's input format; at most 15 MiB."""


@attrs.frozen(kw_only=True)
class InputAudioBufferCommit(Event):
    """Make a user message of the input buffer; answered by ``input_audio_buffer.committed``."""

    type: ClassVar[str] = "input_audio_buffer.commit"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""


@attrs.frozen(kw_only=True)
class InputAudioBufferClear(Event):
    """Drop what is in the input buffer; answered by ``input_audio_buffer.cleared``."""

    type: ClassVar[str] = "input_audio_buffer.clear"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""


@attrs.frozen(kw_only=True)
class ConversationItemCreate(Event):
    """Add an item; answered by ``conversation.item.added`` and ``.done``."""

    type: ClassVar[str] = "conversation.item.create"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""
    previous_item_id: Maybe[str] = UNSET
    """The item to put it after; ``"root"`` for the front, absent for the end."""
    item: Item
    """The item; it may carry an id of ours."""


@attrs.frozen(kw_only=True)
class ConversationItemDelete(Event):
    """Remove an item; answered by ``conversation.item.deleted``."""

    type: ClassVar[str] = "conversation.item.delete"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""
    item_id: str
    """The item."""


@attrs.frozen(kw_only=True)
class ConversationItemRetrieve(Event):
    """Ask for an item as the server holds it; answered by ``conversation.item.retrieved``."""

    type: ClassVar[str] = "conversation.item.retrieve"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""
    item_id: str
    """The item."""


@attrs.frozen(kw_only=True)
class ConversationItemTruncate(Event):
    """Cut the model's speech to what was heard; answered by ``conversation.item.truncated``."""

    type: ClassVar[str] = "conversation.item.truncate"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""
    item_id: str
    """The assistant message."""
    content_index: int
    """The part of its content; 0."""
    audio_end_ms: int
    """What was heard, in ms, not more than the item has."""


@attrs.frozen(kw_only=True)
class ResponseCreate(Event):
    """Ask for a response; answered by ``response.created``."""

    type: ClassVar[str] = "response.create"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""
    response: Maybe[ResponseParams] = UNSET
    """What it does differently from the session."""


@attrs.frozen(kw_only=True)
class ResponseCancel(Event):
    """Stop a response; answered by ``response.done`` with status ``"cancelled"``."""

    type: ClassVar[str] = "response.cancel"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""
    response_id: Maybe[str] = UNSET
    """The response; absent for the one that runs in the conversation."""


@attrs.frozen(kw_only=True)
class OutputAudioBufferClear(Event):
    """Stop what plays, over WebRTC and SIP; answered by ``output_audio_buffer.cleared``."""

    type: ClassVar[str] = "output_audio_buffer.clear"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""


@attrs.frozen(kw_only=True)
class SessionInputAudioBufferAppend(Event):
    """Add audio to what is translated, in translation sessions."""

    type: ClassVar[str] = "session.input_audio_buffer.append"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""
    audio: bytes = attrs.field(repr=short)
    """The audio; PCM16 little-endian, 24 kHz, mono."""


@attrs.frozen(kw_only=True)
class SessionClose(Event):
    """End a translation session; answered by ``session.closed`` when all is translated."""

    type: ClassVar[str] = "session.close"
    event_id: Maybe[str] = UNSET
    """Our id for this event."""


ClientEvent: TypeAlias = (
    SessionUpdate
    | InputAudioBufferAppend
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | ConversationItemCreate
    | ConversationItemDelete
    | ConversationItemRetrieve
    | ConversationItemTruncate
    | ResponseCreate
    | ResponseCancel
    | OutputAudioBufferClear
    | SessionInputAudioBufferAppend
    | SessionClose
    | UnknownEvent
)
