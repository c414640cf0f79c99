"""G.711, the telephone's companding: eight bits a sample, µ-law and A-law.

One sample of PCM16 is one byte here: neither direction changes the sample rate, which is 8,000 Hz
on telephones. The arithmetic is that of ITU-T G.711: µ-law looks at the upper 14 bits of a sample,
A-law at the upper 13.
"""

from array import array
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import Final

from ._samples import BytesLike, pcm_of, samples_of

_BYTES: Final = range(256)
# A list of all samples that an index from -32,768 to 32,767 finds by itself.
_SAMPLES: Final = (range(2**15), range(-(2**15), 0))

_SEGMENTS: Final = 8
_MANTISSA: Final = 0x0F
_SIGN: Final = 0x80

_ULAW_BIAS: Final = 33  # of 14 bits: makes each segment begin at a power of two
_ULAW_LOUDEST: Final = 8_159
_ALAW_FLIP: Final = 0x55  # every other bit is sent inverted, so that silence has edges


def ulaw_of(pcm: BytesLike) -> bytes:
    """Return PCM16 little-endian as µ-law, a byte a sample.

    Raises:
        LocalProtocolError: The number of bytes is odd.
    """
    return bytes(map(_table(_ulaw_byte).__getitem__, samples_of(pcm)))


def pcm_of_ulaw(ulaw: BytesLike) -> bytes:
    """Return µ-law as PCM16 little-endian, two bytes a sample."""
    return _expanded(ulaw, _ulaw_samples())


def alaw_of(pcm: BytesLike) -> bytes:
    """Return PCM16 little-endian as A-law, a byte a sample.

    Raises:
        LocalProtocolError: The number of bytes is odd.
    """
    return bytes(map(_table(_alaw_byte).__getitem__, samples_of(pcm)))


def pcm_of_alaw(alaw: BytesLike) -> bytes:
    """Return A-law as PCM16 little-endian, two bytes a sample."""
    return _expanded(alaw, _alaw_samples())


def _expanded(companded: BytesLike, samples: list[int]) -> bytes:
    return pcm_of(array("h", map(samples.__getitem__, memoryview(companded).cast("B"))))


@cache
def _table(byte_of: Callable[[int], int]) -> bytes:
    return bytes(map(byte_of, chain(*_SAMPLES)))


@cache
def _ulaw_samples() -> list[int]:
    return [_ulaw_sample(byte) for byte in _BYTES]


@cache
def _alaw_samples() -> list[int]:
    return [_alaw_sample(byte) for byte in _BYTES]


def _ulaw_byte(sample: int) -> int:
    """Return one byte: sign, segment, mantissa, all of them inverted."""
    magnitude = sample >> 2
    flip = 0xFF if magnitude >= 0 else 0x7F
    biased = min(abs(magnitude), _ULAW_LOUDEST) + _ULAW_BIAS
    segment = biased.bit_length() - 6
    if segment >= _SEGMENTS:
        return 0x7F ^ flip
    return (segment << 4 | biased >> segment + 1 & _MANTISSA) ^ flip


def _ulaw_sample(byte: int) -> int:
    bits = ~byte
    biased = ((bits & _MANTISSA) << 3) + 4 * _ULAW_BIAS << ((bits & 0x70) >> 4)
    magnitude = biased - 4 * _ULAW_BIAS
    return -magnitude if bits & _SIGN else magnitude


def _alaw_byte(sample: int) -> int:
    """Return one byte: sign, segment, mantissa, every other bit of them inverted."""
    value = sample >> 3
    magnitude, flip = (value, _ALAW_FLIP | _SIGN) if value >= 0 else (-value - 1, _ALAW_FLIP)
    segment = max(0, magnitude.bit_length() - 5)
    return (segment << 4 | magnitude >> max(1, segment) & _MANTISSA) ^ flip


def _alaw_sample(byte: int) -> int:
    bits = byte ^ _ALAW_FLIP
    segment = (bits & 0x70) >> 4
    magnitude = ((bits & _MANTISSA) << 4) + (0x108 if segment else 8) << max(0, segment - 1)
    return magnitude if bits & _SIGN else -magnitude
