"""Between the bytes of PCM16 little-endian and numbers, on any machine."""

import sys
from array import array
from typing import Final

from ..errors import LocalProtocolError

BytesLike = bytes | bytearray | memoryview

BYTES_PER_SAMPLE: Final = 2
_MACHINE_SWAPS: Final = sys.byteorder == "big"


def check_pcm16(data: BytesLike) -> None:
    """Check that the bytes can be PCM16: whole samples of two bytes.

    Raises:
        LocalProtocolError: The number of bytes is odd.
    """
    size = memoryview(data).nbytes
    if size % BYTES_PER_SAMPLE:
        raise LocalProtocolError(
            f"{size} bytes are not PCM16: a sample has 2 bytes, so the number must be even, and "
            "with one byte too few or too many all audio after it is noise; join what you read "
            "before you send it, and keep an odd last byte for the next piece"
        )


def samples_of(pcm: BytesLike) -> "array[int]":
    """Return the samples of PCM16 little-endian as numbers from -32,768 to 32,767.

    Raises:
        LocalProtocolError: The number of bytes is odd.
    """
    check_pcm16(pcm)
    samples = array("h")
    samples.frombytes(pcm)
    if _MACHINE_SWAPS:
        samples.byteswap()
    return samples


def pcm_of(samples: "array[int]") -> bytes:
    """Return the samples, an ``array("h")``, as PCM16 little-endian."""
    if not _MACHINE_SWAPS:
        return samples.tobytes()
    swapped = samples[:]
    swapped.byteswap()
    return swapped.tobytes()


def in_machine_order(pcm: BytesLike) -> bytes:
    """Return PCM16 between little-endian and the machine's byte order; both ways are the same."""
    return samples_of(pcm).tobytes()
