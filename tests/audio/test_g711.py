"""G.711: its known values, its laws, and the standard library where that still has it."""

import warnings
from array import array
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from meshrt.audio import (
    alaw_of,
    pcm_of,
    pcm_of_alaw,
    pcm_of_ulaw,
    samples_of,
    ulaw_of,
)
from meshrt.errors import LocalProtocolError

Compress = Callable[[bytes], bytes]

EVERY_BYTE = bytes(range(256))
EVERY_SAMPLE = pcm_of(array("h", range(-32_768, 32_768)))

# From the tables of ITU-T G.711, scaled to 16 bits: the loudest, the quietest, the segments' ends.
ULAW = {0x00: -32124, 0x80: 32124, 0x7F: 0, 0xFF: 0, 0xFE: 8, 0x8F: 16764, 0x9F: 8316, 0x70: -120}
ALAW = {0x2A: -32256, 0xAA: 32256, 0x55: -8, 0xD5: 8, 0x80: 5504, 0x00: -5504, 0xD4: 24, 0xC5: 264}


@pytest.mark.parametrize(
    ("expand", "known"), [(pcm_of_ulaw, ULAW), (pcm_of_alaw, ALAW)], ids=["ulaw", "alaw"]
)
def test_a_byte_stands_for_the_sample_of_the_standard(
    expand: Compress, known: dict[int, int]
) -> None:
    assert list(samples_of(expand(bytes(known)))) == list(known.values())


def test_silence_and_the_loudest_have_the_bytes_of_the_standard() -> None:
    samples = pcm_of(array("h", [0, 32_767, -32_768, -1]))

    assert ulaw_of(samples) == bytes([0xFF, 0x80, 0x00, 0x7E])
    assert alaw_of(samples) == bytes([0xD5, 0xAA, 0x2A, 0x55])


@pytest.mark.parametrize(
    ("compress", "expand"), [(ulaw_of, pcm_of_ulaw), (alaw_of, pcm_of_alaw)], ids=["ulaw", "alaw"]
)
def test_what_was_expanded_is_compressed_to_the_same_byte(
    compress: Compress, expand: Compress
) -> None:
    again = compress(expand(EVERY_BYTE))

    # µ-law has two bytes for silence, and only one of them comes back.
    assert [b for b in EVERY_BYTE if again[b] != b] == ([0x7F] if compress is ulaw_of else [])


@pytest.mark.parametrize(
    ("compress", "expand"), [(ulaw_of, pcm_of_ulaw), (alaw_of, pcm_of_alaw)], ids=["ulaw", "alaw"]
)
def test_louder_samples_are_coarser_and_none_is_far_off(
    compress: Compress, expand: Compress
) -> None:
    before, after = samples_of(EVERY_SAMPLE), samples_of(expand(compress(EVERY_SAMPLE)))

    assert list(after) == sorted(after)
    assert all(
        abs(new - old) <= max(16, abs(old) / 16)
        for old, new in zip(before, after, strict=True)
        if abs(old) < 32_000
    )


@pytest.mark.parametrize("compress", [ulaw_of, alaw_of])
def test_half_a_sample_is_refused(compress: Compress) -> None:
    with pytest.raises(LocalProtocolError, match="even"):
        compress(b"\0\0\0")


@pytest.mark.skipif(find_spec("audioop") is None, reason="audioop left with Python 3.13")
def test_the_standard_library_gives_the_same_bytes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop: Any = __import__("audioop")

    assert ulaw_of(EVERY_SAMPLE) == audioop.lin2ulaw(EVERY_SAMPLE, 2)
    assert alaw_of(EVERY_SAMPLE) == audioop.lin2alaw(EVERY_SAMPLE, 2)
    assert pcm_of_ulaw(EVERY_BYTE) == audioop.ulaw2lin(EVERY_BYTE, 2)
    assert pcm_of_alaw(EVERY_BYTE) == audioop.alaw2lin(EVERY_BYTE, 2)
