"""WAV files: what is read, and the one sentence about what is not."""

import struct
import sys
import wave
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from meshrt.audio import _samples, duration_ms, level_dbfs, parse_wav, read_wav, write_wav
from meshrt.errors import ConfigurationError, LocalProtocolError

DATA = Path(__file__).parents[1] / "data" / "audio"
PCM = b"\x01\x00\x02\x00\x03\x00"
PCM_TAG, FLOAT_TAG, MULAW_TAG = 1, 3, 7


def chunk(name: bytes, body: bytes, *, size: int | None = None) -> bytes:
    padding = b"\x00" * (len(body) % 2)
    return name + struct.pack("<I", len(body) if size is None else size) + body + padding


def fmt(tag: int = PCM_TAG, *, channels: int = 1, rate: int = 24_000, bits: int = 16) -> bytes:
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits))


def extensible(guid: bytes, **shape: int) -> bytes:
    """Give the header that ffmpeg and Windows write for more than two channels, or always."""
    plain = fmt(0xFFFE, **shape)[8:]
    return chunk(b"fmt ", plain + struct.pack("<HHI", 22, shape.get("bits", 16), 4) + guid)


def guid(tag: int) -> bytes:
    return struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks), size=size)


def sentence_about(path: Path, content: bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_wav(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_demo_s_speech_is_read_whole() -> None:
    speech = files("meshrt") / "cli" / "speech" / "train_question_24k.wav"
    pcm = read_wav(Path(str(speech)))
    assert duration_ms(pcm) == 4500
    assert -25 < level_dbfs(pcm) < -10


@given(st.binary(max_size=1000).map(lambda data: data[: len(data) // 2 * 2]))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, pcm: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.wav"
    write_wav(path, pcm)
    assert read_wav(path) == pcm


def test_what_is_written_is_a_wav_file_to_others(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", PCM)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 24_000, 3)
        assert file.readframes(3) == PCM


def test_an_odd_number_of_bytes_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(LocalProtocolError, match="not PCM16"):
        write_wav(tmp_path / "a.wav", b"abc")
    assert not (tmp_path / "a.wav").exists()


def test_a_file_that_can_t_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"a\.wav' can't be written: No such file"):
        write_wav(tmp_path / "missing" / "a.wav", PCM)


def test_chunks_of_odd_size_around_the_audio_are_passed_over(tmp_path: Path) -> None:
    content = riff(chunk(b"LIST", b"odd"), fmt(), chunk(b"fact", b"1234"), chunk(b"data", PCM))
    (tmp_path / "a.wav").write_bytes(content + chunk(b"id3 ", b"tag"))
    assert read_wav(tmp_path / "a.wav") == PCM


@pytest.mark.parametrize("before", [b"", chunk(b"JUNK", b"odd")])
def test_plain_pcm_under_an_extensible_header_is_read(tmp_path: Path, before: bytes) -> None:
    content = riff(before, extensible(guid(PCM_TAG)), chunk(b"data", PCM))
    (tmp_path / "a.wav").write_bytes(content)
    assert read_wav(tmp_path / "a.wav") == PCM


def test_a_stereo_file_at_48_khz_is_told_what_it_is_and_what_is_needed() -> None:
    path = DATA / "train_question_48k_stereo.wav"
    assert sentence_about(path) == (
        f"{path} is 16-bit stereo at 48000 Hz; needed is 16-bit PCM, mono, 24000 Hz "
        f"(for example: ffmpeg -i {path} -ac 1 -ar 24000 -c:a pcm_s16le out.wav)"
    )


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (fmt(bits=8), "is 8-bit mono at 24000 Hz; needed is 16-bit"),
        (fmt(bits=24), "is 24-bit mono at 24000 Hz; needed is 16-bit"),
        (fmt(channels=6), "is 16-bit 6 channels at 24000 Hz; needed is"),
        (fmt(rate=22_050), "is 16-bit mono at 22050 Hz; needed is"),
        (fmt(rate=0), "is 16-bit mono at 0 Hz; needed is"),
        (fmt(FLOAT_TAG, bits=32), "is a WAV file, but not of plain PCM (unknown format: 3)"),
        (fmt(MULAW_TAG, bits=8), "is a WAV file, but not of plain PCM (unknown format: 7)"),
        (extensible(guid(FLOAT_TAG), bits=32), "but not of plain PCM (unknown format: 3)"),
        (extensible(guid(PCM_TAG), channels=6), "is 16-bit 6 channels at 24000 Hz; needed is"),
        (extensible(bytes(16)), "is a WAV file, but not of plain PCM (unknown "),
    ],
)
def test_another_kind_of_audio_is_told_what_it_is(
    tmp_path: Path, header: bytes, said: str
) -> None:
    sentence = sentence_about(tmp_path / "a.wav", riff(header, chunk(b"data", bytes(144))))
    assert said in sentence
    assert "ffmpeg -i" in sentence


def test_a_path_with_a_space_is_quoted_in_the_command(tmp_path: Path) -> None:
    path = tmp_path / "my train.wav"
    sentence = sentence_about(path, riff(fmt(rate=8_000), chunk(b"data", PCM)))
    assert f"ffmpeg -i '{path}' -ac 1" in sentence


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    sentence = sentence_about(tmp_path / "a.wav")
    assert sentence.endswith("a.wav' can't be read: No such file or directory")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert "can't be read:" in sentence_about(tmp_path)


def test_a_path_that_no_file_can_have_is_refused() -> None:
    assert "can't be read: embedded null" in sentence_about(Path("a\0.wav"))


@pytest.mark.parametrize("content", [b"ID3 not a wave at all", riff(fmt()), b"RIFFabcdAVI LIST"])
def test_something_else_is_not_a_wav_file(tmp_path: Path, content: bytes) -> None:
    assert "is not a WAV file" in sentence_about(tmp_path / "a.wav", content)


@pytest.mark.parametrize("content", [b"", b"RIFF", riff(fmt())[:20]])
def test_a_file_that_ends_in_its_header_is_too_short(tmp_path: Path, content: bytes) -> None:
    sentence = sentence_about(tmp_path / "a.wav", content)
    assert "a.wav is not a whole WAV file: it is too short; needed is 16-bit PCM, mono" in sentence


def test_a_file_that_ends_in_its_audio_is_cut_off(tmp_path: Path) -> None:
    sentence = sentence_about(tmp_path / "a.wav", riff(fmt(), chunk(b"data", PCM))[:-2])
    assert "a.wav is cut off: only 4 of its 6 bytes of audio are there" in sentence


@pytest.mark.parametrize("size", [0x7FFF_F000, 0x7FFF_FFDA, 0xFFFF_FFFF])
def test_a_length_that_a_stream_left_open_means_until_the_end(size: int) -> None:
    stream = riff(fmt(rate=22_050), chunk(b"data", PCM, size=size), size=size)
    wav = parse_wav(stream)
    assert (wav.pcm, wav.rate_hz, wav.channels, wav.bits) == (PCM, 22_050, 1, 16)


def test_half_a_sample_at_a_stream_s_end_is_left_out() -> None:
    stream = riff(fmt(), chunk(b"data", PCM, size=0x7FFF_F000), size=0x7FFF_F024)
    assert parse_wav(stream[:-1]).pcm == PCM[:-2]


def test_a_big_endian_machine_reads_and_writes_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped = sys.byteorder == "little"
    with monkeypatch.context() as other_machine:
        other_machine.setattr(sys, "byteorder", "big" if swapped else "little")
        other_machine.setattr(_samples, "_MACHINE_SWAPS", swapped)
        write_wav(tmp_path / "a.wav", PCM)
        assert read_wav(tmp_path / "a.wav") == PCM
    assert read_wav(tmp_path / "a.wav") == PCM


@given(st.lists(st.sampled_from([b"RIFF", b"WAVE", b"data", fmt()]) | st.binary()).map(b"".join))
@example(riff(fmt(channels=0), chunk(b"data", PCM)))
@example(riff(fmt(bits=0), chunk(b"data", PCM)))
@example(riff(chunk(b"fmt ", b"\x01\x00"), chunk(b"data", PCM)))
@example(riff(chunk(b"data", PCM), fmt()))
@example(riff(extensible(guid(PCM_TAG))[:30], chunk(b"data", PCM)))
@example(riff(extensible(guid(PCM_TAG), channels=0), chunk(b"data", PCM)))
@example(riff(fmt(), chunk(b"LIST", b"", size=0xFFFF_FFFF), chunk(b"data", PCM)))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        parse_wav(data)
    except ConfigurationError as error:
        assert "the WAV data" in str(error)  # noqa: PT017  a random file may also be a good one
