"""Reading the objects of the wire, be they typed or the mappings of what nobody knows."""

from collections.abc import Mapping
from typing import Any, Final

_PCM16_BYTES_PER_MS: Final = 48  # two bytes per sample, 24 kHz
_G711_BYTES_PER_MS: Final = 8  # one byte per sample, 8 kHz
_G711: Final = ("audio/pcmu", "audio/pcma", "g711_ulaw", "g711_alaw")  # the last two are beta's


def field_of(value: object, name: str) -> Any:
    """Return a field of an object of the wire, typed or a mapping; ``None`` if it is not there."""
    if isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)


def bytes_per_ms(audio_format: object) -> int:
    """Return how much audio is 1 ms, in bytes: of G.711, else of PCM16 at 24 kHz."""
    name = audio_format if isinstance(audio_format, str) else field_of(audio_format, "type")
    return _G711_BYTES_PER_MS if name in _G711 else _PCM16_BYTES_PER_MS
