"""Summing up what a session uses."""

from typing import Any

import attrs

from ..events import (
    TranscriptionDurationUsage,
    TranscriptionTokensUsage,
    TranscriptionUsage,
    UnsetType,
    Usage,
)
from ._records import UsageTotals


def with_response(totals: UsageTotals, usage: Usage) -> UsageTotals:
    """Return the totals with those of one more response."""
    read, made = usage.input_token_details, usage.output_token_details
    cached = getattr(read, "cached_tokens_details", None)
    return _plus(
        totals,
        responses=1,
        input_tokens=usage.input_tokens,
        input_text_tokens=_of(read, "text_tokens"),
        input_audio_tokens=_of(read, "audio_tokens"),
        input_image_tokens=_of(read, "image_tokens"),
        cached_tokens=_of(read, "cached_tokens"),
        cached_text_tokens=_of(cached, "text_tokens"),
        cached_audio_tokens=_of(cached, "audio_tokens"),
        cached_image_tokens=_of(cached, "image_tokens"),
        output_tokens=usage.output_tokens,
        output_text_tokens=_of(made, "text_tokens"),
        output_audio_tokens=_of(made, "audio_tokens"),
        reasoning_tokens=_of(made, "reasoning_tokens"),
    )


def with_transcription(
    totals: UsageTotals, usage: TranscriptionUsage | UnsetType | None
) -> UsageTotals:
    """Return the totals with those of one more transcription."""
    match usage:
        case TranscriptionTokensUsage():
            return _plus(totals, transcription_tokens=usage.total_tokens)
        case TranscriptionDurationUsage():
            return _plus(totals, transcription_seconds=usage.seconds)
    return totals


def _plus(totals: UsageTotals, **more: Any) -> UsageTotals:
    sums = {name: getattr(totals, name) + (amount or 0) for name, amount in more.items()}
    return attrs.evolve(totals, **sums)


def _of(details: object, name: str) -> Any:
    """Return one number of the details; nothing where it, or they, are absent or null."""
    return getattr(details, name, None)
