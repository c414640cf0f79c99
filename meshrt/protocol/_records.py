"""What a conversation can be asked for, as frozen values."""

from collections.abc import Mapping
from typing import Any

import attrs

from ..events import Item, RateLimit, Session, StatusDetails


@attrs.frozen(kw_only=True)
class ItemRecord:
    """One item of the conversation, with what has come of it so far."""

    id: str
    """The item's id."""
    item: Item | None
    """The item as the server last described it; ``None`` if only parts of it have come."""
    response_id: str | None
    """The response that makes it; ``None`` for items of the user's."""
    parts: Mapping[int, str]
    """Text and transcripts so far, by content index."""
    audio_ms: float
    """Audio received of it, in ms."""
    audio_index: int
    """The content index of that audio; 0 if none came."""
    audio: bytes = attrs.field(repr=lambda audio: f"<{len(audio)} bytes>")
    """That audio, in the session's output format; empty unless the conversation keeps audio."""
    truncated_ms: int | None
    """What is left of it after a truncation, in ms; ``None`` if it was not truncated. The server
    then forgets the transcript; here it is kept."""
    done: bool
    """Whether it is complete."""

    @property
    def text(self) -> str:
        """The text and transcripts of all its parts, in order."""
        return "".join(self.parts[index] for index in sorted(self.parts))


@attrs.frozen(kw_only=True)
class ResponseRecord:
    """One response, running or ended."""

    id: str
    """The response's id."""
    status: str
    """``"in_progress"``, ``"completed"``, ``"cancelled"``, ``"failed"`` or ``"incomplete"``."""
    details: StatusDetails | str | None
    """Why it ended, if not by itself."""
    in_conversation: bool
    """Whether it writes to the conversation."""
    metadata: Any
    """What was given with ``response.create``."""
    item_ids: tuple[str, ...]
    """Its items, in the order in which they came."""


@attrs.frozen(kw_only=True)
class UsageTotals:
    """What a session has used, summed over its responses and transcriptions."""

    responses: int = 0
    """Responses that reported a usage."""
    input_tokens: int = 0
    """Tokens read; those of the modalities below, and among them the cached ones."""
    input_text_tokens: int = 0
    """Of text."""
    input_audio_tokens: int = 0
    """Of audio."""
    input_image_tokens: int = 0
    """Of images."""
    cached_tokens: int = 0
    """How many of all input tokens came from the cache: a subset, not more."""
    cached_text_tokens: int = 0
    """Those of text."""
    cached_audio_tokens: int = 0
    """Those of audio."""
    cached_image_tokens: int = 0
    """Those of images."""
    output_tokens: int = 0
    """Tokens made."""
    output_text_tokens: int = 0
    """Of text."""
    output_audio_tokens: int = 0
    """Of audio."""
    reasoning_tokens: int = 0
    """Of thought."""
    transcription_tokens: int = 0
    """Tokens of the transcriptions, where those count in tokens."""
    transcription_seconds: float = 0.0
    """Audio transcribed, in seconds, where those count in time."""

    @property
    def total_tokens(self) -> int:
        """Input and output tokens of the responses."""
        return self.input_tokens + self.output_tokens


@attrs.frozen(kw_only=True)
class ConversationSnapshot:
    """All of a conversation at one moment."""

    session: Session | None
    """The session as the server last described it."""
    items: tuple[ItemRecord, ...]
    """The items, in order."""
    responses: tuple[ResponseRecord, ...]
    """The responses, in the order in which they began."""
    usage: UsageTotals
    """What was used."""
    rate_limits: Mapping[str, RateLimit]
    """What is left, by the limit's name."""
    speaking: bool
    """Whether the server hears the user speak."""
    last_response_id: str | None
    """The response that ended last; ``None`` if none has."""
