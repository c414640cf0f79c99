"""What a server says of the session: its state, its errors, its limits, its translation."""

from collections.abc import Sequence
from typing import ClassVar

import attrs

from ._base import UNSET, Event, Maybe
from ._session import Session
from ._short import short


@attrs.frozen(kw_only=True)
class ErrorDetails:
    """What the server objects to."""

    type: Maybe[str] = UNSET
    """The kind of error: ``"invalid_request_error"``, ``"server_error"``, …"""
    code: Maybe[str] = UNSET
    """The stable word to decide by."""
    message: Maybe[str] = UNSET
    """The server's sentence."""
    param: Maybe[str] = UNSET
    """The field it is about."""
    event_id: Maybe[str] = UNSET
    """The id of the client event that caused it."""
    provider_code: Maybe[str] = UNSET
    """The code of the provider behind the gateway."""


@attrs.frozen(kw_only=True)
class RateLimit:
    """One limit of the account."""

    name: Maybe[str] = UNSET
    """``"requests"`` or ``"tokens"``."""
    limit: Maybe[int] = UNSET
    """How many are allowed."""
    remaining: Maybe[int] = UNSET
    """How many are left."""
    reset_seconds: Maybe[float] = UNSET
    """When it starts anew, in seconds from now."""


@attrs.frozen(kw_only=True)
class SessionCreated(Event):
    """The session is there; the first event of all."""

    type: ClassVar[str] = "session.created"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    session: Session
    """The session as it is now, with ``id`` and ``expires_at``."""


@attrs.frozen(kw_only=True)
class SessionUpdated(Event):
    """The session has changed, as ``session.update`` asked."""

    type: ClassVar[str] = "session.updated"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    session: Session
    """The session as it is now, with ``id`` and ``expires_at``."""


@attrs.frozen(kw_only=True)
class Error(Event):
    """Something went wrong; the session goes on unless a CLOSE follows."""

    type: ClassVar[str] = "error"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    error: ErrorDetails
    """What went wrong."""
    request_id: Maybe[str] = UNSET
    """What to quote to the gateway's support."""


@attrs.frozen(kw_only=True)
class RateLimitsUpdated(Event):
    """The limits that are left after a response."""

    type: ClassVar[str] = "rate_limits.updated"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    rate_limits: Sequence[RateLimit]
    """One entry per limit; may be empty."""


@attrs.frozen(kw_only=True)
class SessionClosed(Event):
    """A translation session has ended, as ``session.close`` asked."""

    type: ClassVar[str] = "session.closed"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""


@attrs.frozen(kw_only=True)
class SessionInputTranscriptDelta(Event):
    """More of what was said, in translation sessions."""

    type: ClassVar[str] = "session.input_transcript.delta"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    delta: str
    """The text to add."""
    elapsed_ms: Maybe[int] = UNSET
    """Where in the session it belongs, in ms."""


@attrs.frozen(kw_only=True)
class SessionOutputTranscriptDelta(Event):
    """More of the translation, as text."""

    type: ClassVar[str] = "session.output_transcript.delta"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    delta: str
    """The text to add."""
    elapsed_ms: Maybe[int] = UNSET
    """Where in the session it belongs, in ms."""


@attrs.frozen(kw_only=True)
class SessionOutputAudioDelta(Event):
    """More of the translation, as speech."""

    type: ClassVar[str] = "session.output_audio.delta"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    delta: bytes = attrs.field(repr=short)
    """The audio to play next, decoded from base64."""
    format: Maybe[str] = UNSET
    """``"pcm16"``."""
    sample_rate: Maybe[int] = UNSET
    """Samples per second, in Hz; 24000."""
    channels: Maybe[int] = UNSET
    """How many; 1."""
    elapsed_ms: Maybe[int] = UNSET
    """Where in the session it belongs, in ms."""
