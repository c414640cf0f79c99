"""Between the wire's audio formats and the one in which the gateway works: PCM16, 24 kHz, mono."""

from array import array
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..audio import (
    BYTES_PER_SAMPLE,
    alaw_of,
    pcm_of,
    pcm_of_alaw,
    pcm_of_ulaw,
    samples_of,
    ulaw_of,
)
from ._refusals import Refusal

_Law = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]

PCM: Final = {"type": "audio/pcm", "rate": 24000}
"""The default format, in both directions."""

_LAWS: Final[Mapping[str, _Law]] = {
    "audio/pcmu": (pcm_of_ulaw, ulaw_of),
    "audio/pcma": (pcm_of_alaw, alaw_of),
}
FORMATS: Final = ("audio/pcm", *_LAWS)
"""The names of all formats."""

_RATIO: Final = 3  # 24 kHz to G.711's 8
_STEP_BYTES: Final = _RATIO * BYTES_PER_SAMPLE


def pcm_from(wire: bytes, audio_format: Mapping[str, Any]) -> bytes:
    """Return audio of the wire as PCM16, 24 kHz.

    Raises:
        Refusal: It is PCM16 of an odd number of bytes.
    """
    law = _LAWS.get(audio_format["type"])
    if law is not None:
        return _widened(law[0](wire))
    if len(wire) % BYTES_PER_SAMPLE:
        raise Refusal("Invalid 'audio': PCM16 has two bytes per sample.", param="audio")
    return wire


def wire_of(pcm: bytes, audio_format: Mapping[str, Any]) -> bytes:
    """Return PCM16, 24 kHz, as audio of the wire; what came from the wire is the same again."""
    law = _LAWS.get(audio_format["type"])
    return pcm if law is None else law[1](_narrowed(pcm))


def whole(pcm: bytes, audio_format: Mapping[str, Any]) -> bytes:
    """Return the audio without an end that is less than a sample of the format."""
    return (
        pcm if audio_format["type"] not in _LAWS else pcm[: len(pcm) // _STEP_BYTES * _STEP_BYTES]
    )


def _widened(pcm: bytes) -> bytes:
    """Repeat each sample, so that narrowing gives exactly the same one back."""
    samples = samples_of(pcm)
    wide = array("h", bytes(len(samples) * _STEP_BYTES))
    for phase in range(_RATIO):
        wide[phase::_RATIO] = samples
    return pcm_of(wide)


def _narrowed(pcm: bytes) -> bytes:
    """Average three samples each: it damps by 10 dB what would fold back."""
    samples = samples_of(pcm)
    triples = zip(*(samples[phase::_RATIO] for phase in range(_RATIO)), strict=False)
    return pcm_of(array("h", [sum(triple) // _RATIO for triple in triples]))
