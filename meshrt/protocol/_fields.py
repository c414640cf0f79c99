"""Reading the objects of the wire, be they typed or the mappings of what nobody knows."""

from collections.abc import Mapping
from typing import Any, Final

LEAST_BYTES_PER_MS: Final = 8.0  # G.711: one byte per sample, 8 kHz
_PCM16_BYTES: Final = 2  # per sample
_PCM_RATE: Final = 24_000  # in Hz, where none is said
_MAX_RATE: Final = 10**6  # beyond this it is no rate
_PCM16: Final = ("audio/pcm", "pcm16")
_G711: Final = ("audio/pcmu", "audio/pcma", "g711_ulaw", "g711_alaw")  # the last two are beta's


def field_of(value: object, name: str) -> Any:
    """Return a field of an object of the wire, typed or a mapping; ``None`` if it is not there."""
    if isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)


def format_name(audio_format: object) -> object:
    """Return the name of a format, an object's ``type`` or the beta wire's plain text."""
    return audio_format if isinstance(audio_format, str) else field_of(audio_format, "type")


def is_known_format(audio_format: object) -> bool:
    """Tell whether it can be said how much audio a number of bytes is."""
    return format_name(audio_format) in (*_PCM16, *_G711)


def bytes_per_ms(audio_format: object) -> float:
    """Return how much audio is 1 ms, in bytes: of G.711, else of PCM16 at the rate that is said.

    Where nothing is said it is PCM16 at 24 kHz, the default of the wire.
    """
    if format_name(audio_format) in _G711:
        return LEAST_BYTES_PER_MS
    rate = field_of(audio_format, "rate")
    is_rate = isinstance(rate, int | float) and 0 < rate <= _MAX_RATE
    return (rate if is_rate else _PCM_RATE) * _PCM16_BYTES / 1000
