"""Bytes, ms, levels and pieces of PCM16."""

import math
import sys
from array import array

import pytest
from hypothesis import given, strategies as st

from meshrt import audio
from meshrt.audio import _samples
from meshrt.errors import ConfigurationError, LocalProtocolError

sample = st.integers(-32_768, 32_767)
pcm16 = st.binary(max_size=4_000).map(lambda data: data[: len(data) // 2 * 2])


def test_a_second_of_audio_has_48_000_bytes() -> None:
    assert audio.bytes_of_ms(1000) == 48_000
    assert audio.ms_of_bytes(48_000) == 1000
    assert audio.duration_ms(bytes(48_000)) == 1000


@given(st.integers(0, 10**9))
def test_whole_ms_come_back_from_bytes(ms: int) -> None:
    assert audio.ms_of_bytes(audio.bytes_of_ms(ms)) == ms


@given(pcm16)
def test_every_length_of_pcm_comes_back_from_ms(pcm: bytes) -> None:
    assert audio.bytes_of_ms(audio.duration_ms(pcm)) == len(pcm)


@given(st.floats(0, 10**6))
def test_any_ms_are_a_whole_number_of_samples(ms: float) -> None:
    assert audio.bytes_of_ms(ms) % audio.BYTES_PER_SAMPLE == 0


def test_the_duration_of_a_view_counts_its_bytes_not_its_items() -> None:
    assert audio.duration_ms(memoryview(array("h", range(240)))) == 10


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_an_odd_number_of_bytes_is_refused_with_the_reason_and_the_cure(kind: type) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        audio.check_pcm16(kind(b"abc"))
    assert str(caught.value).startswith("3 bytes are not PCM16")
    assert "keep an odd last byte" in str(caught.value)


def test_an_even_number_of_bytes_is_pcm() -> None:
    audio.check_pcm16(b"")
    audio.check_pcm16(b"ab")


@given(st.lists(sample).map(lambda numbers: array("h", numbers)))
def test_samples_come_back_from_bytes(samples: "array[int]") -> None:
    assert audio.samples_of(audio.pcm_of(samples)) == samples


def test_the_low_byte_comes_first() -> None:
    assert audio.samples_of(b"\x01\x02\xff\xff").tolist() == [0x0201, -1]
    assert audio.pcm_of(array("h", [0x0201, -1])) == b"\x01\x02\xff\xff"


def test_a_machine_of_the_other_byte_order_swaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_samples, "_MACHINE_SWAPS", sys.byteorder == "little")
    samples = array("h", [0x0201])
    assert audio.samples_of(b"\x02\x01") == samples
    assert audio.pcm_of(samples) == b"\x02\x01"
    assert samples.tolist() == [0x0201]


def test_a_full_scale_square_is_0_dbfs_and_a_sine_3_less() -> None:
    square = audio.pcm_of(array("h", [-32_768] * 480))
    sine = array("h", [round(32_767 * math.sin(k * math.tau / 48)) for k in range(480)])
    assert audio.level_dbfs(square) == 0
    assert audio.level_dbfs(audio.pcm_of(sine)) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("pcm", [b"", bytes(960)])
def test_silence_and_nothing_have_no_level(pcm: bytes) -> None:
    assert audio.level_dbfs(pcm) == -math.inf


@given(st.lists(sample, min_size=1))
def test_no_level_is_above_full_scale(numbers: list[int]) -> None:
    assert audio.level_dbfs(audio.pcm_of(array("h", numbers))) <= 0


@given(pcm16, st.floats(0.05, 100))
def test_chunks_are_the_audio_in_equal_pieces(pcm: bytes, ms: float) -> None:
    pieces = list(audio.chunks(pcm, ms))
    assert b"".join(pieces) == pcm
    assert all(len(piece) == audio.bytes_of_ms(ms) for piece in pieces[:-1])
    assert all(pieces)


@pytest.mark.parametrize("ms", [0, -20, 0.001])
def test_a_chunk_without_samples_is_refused_at_once(ms: float) -> None:
    with pytest.raises(ConfigurationError, match="at least one sample"):
        audio.chunks(b"", ms)


def test_chunks_of_an_odd_number_of_bytes_are_refused_at_once() -> None:
    with pytest.raises(LocalProtocolError, match="not PCM16"):
        audio.chunks(b"abc", 20)


def test_the_public_names_say_their_public_home() -> None:
    assert all(hasattr(audio, name) for name in audio.__all__)
    assert audio.read_wav.__module__ == "meshrt.audio"
