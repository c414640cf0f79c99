"""Responses: what to ask for, what one is, how it ended and what it used."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import attrs

from ._base import UNSET, Maybe
from ._items import InputItem, Item
from ._session import AudioConfig, Prompt, Reasoning, Tool, ToolChoice


@attrs.frozen(kw_only=True)
class ResponseParams:
    """What one response does differently from the session."""

    instructions: Maybe[str] = UNSET
    """What the model is told for this response."""
    output_modalities: Maybe[Sequence[str]] = UNSET
    """``["audio"]`` or ``["text"]``."""
    audio: Maybe[AudioConfig] = UNSET
    """The output's format and voice."""
    conversation: Maybe[str] = UNSET
    """``"auto"``, or ``"none"`` for a response outside the conversation."""
    input: Maybe[Sequence[InputItem]] = UNSET
    """The items to answer, in place of the conversation."""
    metadata: Maybe[Mapping[str, Any]] = UNSET
    """Up to 16 pairs of text that come back in ``response.created`` and ``response.done``."""
    tools: Maybe[Sequence[Tool]] = UNSET
    """What the model may call."""
    tool_choice: Maybe[ToolChoice] = UNSET
    """``"auto"``, ``"none"``, ``"required"``, or one tool."""
    parallel_tool_calls: Maybe[bool] = UNSET
    """Whether several tools may be called."""
    reasoning: Maybe[Reasoning] = UNSET
    """How much the model thinks."""
    max_output_tokens: Maybe[int | str] = UNSET
    """1 to 4096, or ``"inf"``."""
    prompt: Maybe[Prompt] = UNSET
    """A stored prompt."""


@attrs.frozen(kw_only=True)
class ResponseFailure:
    """Why a response failed."""

    type: Maybe[str] = UNSET
    """The kind of error."""
    code: Maybe[str] = UNSET
    """The code to decide by."""
    message: Maybe[str] = UNSET
    """The server's sentence."""


@attrs.frozen(kw_only=True)
class StatusDetails:
    """How a response ended, if not by itself."""

    type: Maybe[str] = UNSET
    """The response's status once more."""
    reason: Maybe[str] = UNSET
    """``turn_detected``, ``client_cancelled``, ``max_output_tokens`` or ``content_filter``."""
    error: Maybe[ResponseFailure] = UNSET
    """Why it failed."""


@attrs.frozen(kw_only=True)
class CachedTokensDetails:
    """Cached input tokens by modality."""

    text_tokens: Maybe[int] = UNSET
    """Of text, in tokens."""
    audio_tokens: Maybe[int] = UNSET
    """Of audio, in tokens."""
    image_tokens: Maybe[int] = UNSET
    """Of images, in tokens."""


@attrs.frozen(kw_only=True)
class InputTokenDetails:
    """Input tokens by modality; the cached ones are among them."""

    text_tokens: Maybe[int] = UNSET
    """Of text, in tokens."""
    audio_tokens: Maybe[int] = UNSET
    """Of audio, in tokens."""
    image_tokens: Maybe[int] = UNSET
    """Of images, in tokens."""
    cached_tokens: Maybe[int] = UNSET
    """How many tokens of all of them came from the cache."""
    cached_tokens_details: Maybe[CachedTokensDetails] = UNSET
    """Those by modality."""


@attrs.frozen(kw_only=True)
class OutputTokenDetails:
    """Output tokens by modality."""

    text_tokens: Maybe[int] = UNSET
    """Of text, in tokens."""
    audio_tokens: Maybe[int] = UNSET
    """Of audio, in tokens."""
    reasoning_tokens: Maybe[int] = UNSET
    """Of thought, in tokens (seen on the wire, declared nowhere)."""


@attrs.frozen(kw_only=True)
class Usage:
    """What a response used; this is what gets billed."""

    total_tokens: Maybe[int] = UNSET
    """Input and output together, in tokens."""
    input_tokens: Maybe[int] = UNSET
    """Tokens read."""
    output_tokens: Maybe[int] = UNSET
    """Tokens made."""
    input_token_details: Maybe[InputTokenDetails] = UNSET
    """The input by modality."""
    output_token_details: Maybe[OutputTokenDetails] = UNSET
    """The output by modality."""


@attrs.frozen(kw_only=True)
class Response:
    """One answer of the model, from ``response.created`` to ``response.done``."""

    id: Maybe[str] = UNSET
    """The response's id, by which everything of it is keyed."""
    object: Maybe[str] = UNSET
    """``"realtime.response"``."""
    status: Maybe[str] = UNSET
    """``"in_progress"``, ``"completed"``, ``"cancelled"``, ``"failed"`` or ``"incomplete"``."""
    status_details: Maybe[str | StatusDetails] = UNSET
    """How it ended, if not by itself."""
    output: Maybe[Sequence[Item]] = UNSET
    """Its items, without their audio."""
    conversation_id: Maybe[str] = UNSET
    """The conversation it writes to; null for one outside."""
    output_modalities: Maybe[Sequence[str]] = UNSET
    """``["audio"]`` or ``["text"]``."""
    audio: Maybe[AudioConfig] = UNSET
    """The output's format and voice."""
    max_output_tokens: Maybe[int | str] = UNSET
    """1 to 4096, or ``"inf"``."""
    metadata: Maybe[Mapping[str, Any]] = UNSET
    """What we gave with ``response.create``."""
    usage: Maybe[Usage] = UNSET
    """What it used; null while it runs."""


@attrs.frozen(kw_only=True)
class TranscriptionTokensUsage:
    """What a transcription used, counted in tokens."""

    type: ClassVar[str] = "tokens"
    total_tokens: Maybe[int] = UNSET
    """Input and output together, in tokens."""
    input_tokens: Maybe[int] = UNSET
    """Tokens read."""
    output_tokens: Maybe[int] = UNSET
    """Tokens made."""
    input_token_details: Maybe[InputTokenDetails] = UNSET
    """The input by modality."""


@attrs.frozen(kw_only=True)
class TranscriptionDurationUsage:
    """What a transcription used, counted in time."""

    type: ClassVar[str] = "duration"
    seconds: Maybe[float] = UNSET
    """Audio transcribed, in seconds."""


TranscriptionUsage: TypeAlias = (
    TranscriptionTokensUsage | TranscriptionDurationUsage | Mapping[str, Any]
)
