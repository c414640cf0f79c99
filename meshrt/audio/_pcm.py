"""Durations, levels and pieces of PCM16 little-endian, 24 kHz, mono."""

import math
from collections.abc import Iterator
from operator import mul
from typing import Final

from ..errors import ConfigurationError
from ._samples import BYTES_PER_SAMPLE, BytesLike, check_pcm16, samples_of

# The wire's default format, audio/pcm, has this rate and no other.
SAMPLE_RATE_HZ: Final = 24_000
CHANNELS: Final = 1
BITS_PER_SAMPLE: Final = 8 * BYTES_PER_SAMPLE
_SAMPLES_PER_MS: Final = SAMPLE_RATE_HZ // 1000
BYTES_PER_MS: Final = _SAMPLES_PER_MS * BYTES_PER_SAMPLE
_FULL_SCALE: Final = 32_768


def ms_of_bytes(count: int) -> float:
    """Return how many ms of audio that many bytes are."""
    return count / BYTES_PER_MS


def duration_ms(pcm: BytesLike) -> float:
    """Return how long the audio lasts, in ms."""
    return ms_of_bytes(memoryview(pcm).nbytes)


def bytes_of_ms(ms: float) -> int:
    """Return how many bytes that many ms of audio are, to the nearest whole sample."""
    return round(ms * _SAMPLES_PER_MS) * BYTES_PER_SAMPLE


def level_dbfs(pcm: BytesLike) -> float:
    """Return the level (RMS) in dB of full scale.

    0 is a square wave at full scale, -3 the loudest sine, speech is around -20, and digital
    silence, or no audio at all, is ``-math.inf``.

    Raises:
        LocalProtocolError: The number of bytes is odd.
    """
    samples = samples_of(pcm)
    energy = sum(map(mul, samples, samples))
    if not energy:
        return -math.inf
    return 10 * math.log10(energy / len(samples) / _FULL_SCALE**2)


def chunks(pcm: BytesLike, ms: float) -> Iterator[bytes]:
    """Return an iterator over the audio in pieces of ``ms``; the last one may be shorter.

    Raises:
        LocalProtocolError: The number of bytes is odd.
        ConfigurationError: A piece would have no samples.
    """
    check_pcm16(pcm)
    size = bytes_of_ms(ms)
    if size <= 0:
        raise ConfigurationError(
            f"audio can't be cut into pieces of {ms} ms; needed is at least one sample, "
            "and 20 to 100 ms are usual"
        )
    view = memoryview(pcm).cast("B")
    return (bytes(view[start : start + size]) for start in range(0, len(view), size))
