"""WAV files, read and written with the standard library's :mod:`wave`."""

import io
import os
import shlex
import struct
import wave
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import ConfigurationError
from ._pcm import BITS_PER_SAMPLE, CHANNELS, SAMPLE_RATE_HZ
from ._samples import BYTES_PER_SAMPLE, BytesLike, check_pcm16, in_machine_order

_CHANNEL_WORDS: Final = {1: "mono", 2: "stereo"}

# Who writes to a pipe can't come back to fill in the length: espeak-ng leaves 0x7FFFF000 there,
# sox 0x7FFFFFFF less a bit, ffmpeg 0xFFFFFFFF. All of them mean "until the end".
_UNKNOWN_BYTES: Final = 0x7FFF_0000

_FIRST_CHUNK_AT: Final = 12
_CHUNK: Final = struct.Struct("<4sI")  # its name and the length of its content

# A format chunk with this tag says what the samples are further back, in a GUID: the tag of the
# plain format, and then for all plain formats the same bytes.
_EXTENSIBLE: Final = b"\xfe\xff"
_SUBFORMAT_AT: Final = 24
_SUBFORMAT_REST: Final = bytes.fromhex("0000 0000 1000 8000 00aa00389b71")


class Wav(NamedTuple):
    """What is in a WAV file of plain PCM."""

    pcm: bytes
    """The samples, the channels interleaved; those of 16 bits are little-endian."""
    rate_hz: int
    """The sample rate, in Hz."""
    channels: int
    """1 is mono, 2 is stereo."""
    bits: int
    """The size of a sample, in bits."""


def parse_wav(data: bytes, *, name: str = "the WAV data") -> Wav:
    """Read a WAV file that is in memory, of any rate, width and number of channels.

    Lengths that a stream left open are taken as "until the end".

    Args:
        data: The whole file.
        name: What to call it in an error.

    Raises:
        ConfigurationError: It is not a WAV file, is cut off, or is not plain PCM.
    """
    try:
        with wave.open(io.BytesIO(_plain(data))) as file:
            promised = file.getnframes() * file.getnchannels() * file.getsampwidth()
            pcm = file.readframes(file.getnframes())
            found = Wav(pcm, file.getframerate(), file.getnchannels(), 8 * file.getsampwidth())
    except wave.Error as error:
        raise ConfigurationError(_objection(name, str(error))) from error
    # wave raises a bare RuntimeError for a chunk that is longer than the file around it.
    except (EOFError, RuntimeError) as error:
        raise ConfigurationError(
            f"{name} is not a whole WAV file: it is too short; {_needed(name)}"
        ) from error
    return _whole(found, promised, name)


def read_wav(path: str | os.PathLike[str]) -> bytes:
    """Return the audio of a WAV file of PCM16, 24 kHz, mono.

    It blocks while it reads: in an event loop, call it in a thread.

    Raises:
        ConfigurationError: The file can't be read, or is anything else; the sentence says what
            it is and what is needed.
    """
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{name!r} can't be read: {_reason(error)}") from error
    wav = parse_wav(data, name=name)
    if (wav.rate_hz, wav.channels, wav.bits) != (SAMPLE_RATE_HZ, CHANNELS, BITS_PER_SAMPLE):
        raise ConfigurationError(f"{name} is {_description(wav)}; {_needed(name)}")
    return wav.pcm


def write_wav(path: str | os.PathLike[str], pcm: BytesLike) -> None:
    """Write PCM16 little-endian, 24 kHz, mono as a WAV file, over what was there.

    It blocks while it writes: in an event loop, call it in a thread.

    Raises:
        LocalProtocolError: The number of bytes is odd; nothing was written.
        ConfigurationError: The file can't be written.
    """
    check_pcm16(pcm)
    try:
        with Path(path).open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(CHANNELS)
            file.setsampwidth(BYTES_PER_SAMPLE)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes(in_machine_order(pcm))
    except (OSError, ValueError) as error:
        message = f"{os.fspath(path)!r} can't be written: {_reason(error)}"
        raise ConfigurationError(message) from error


def _plain(data: bytes) -> bytes:
    """Return the file with the plain format that an extensible one stands for, if it does.

    That of Python 3.11 knows no extensible format, not even around the plainest PCM.
    """
    at = _format_at(data)
    rest = at + _SUBFORMAT_AT + len(_EXTENSIBLE)
    is_plain = data[rest : rest + len(_SUBFORMAT_REST)] == _SUBFORMAT_REST
    if not at or data[at : at + len(_EXTENSIBLE)] != _EXTENSIBLE or not is_plain:
        return data
    return data[:at] + data[at + _SUBFORMAT_AT : rest] + data[at + len(_EXTENSIBLE) :]


def _format_at(data: bytes) -> int:
    """Return where the format chunk's content begins; 0 if there is none."""
    at = _FIRST_CHUNK_AT
    while at + _CHUNK.size <= len(data):
        name, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if name == b"fmt ":
            return at
        at += size + size % 2
    return 0


def _whole(found: Wav, promised: int, name: str) -> Wav:
    """Return it if nothing is missing; of an open-ended stream, its whole frames."""
    frame = found.channels * found.bits // 8
    if len(found.pcm) < promised < _UNKNOWN_BYTES:
        raise ConfigurationError(
            f"{name} is cut off: only {len(found.pcm)} of its {promised} bytes of audio are "
            "there; copy or record it again"
        )
    pcm = found.pcm[: len(found.pcm) // frame * frame]
    # wave gives and takes samples of two bytes in the machine's order.
    return found._replace(pcm=in_machine_order(pcm) if found.bits == BITS_PER_SAMPLE else pcm)


def _objection(name: str, problem: str) -> str:
    if problem.startswith("unknown "):
        return f"{name} is a WAV file, but not of plain PCM ({problem}); {_needed(name)}"
    return f"{name} is not a WAV file ({problem}); {_needed(name)}"


def _description(wav: Wav) -> str:
    channels = _CHANNEL_WORDS.get(wav.channels, f"{wav.channels} channels")
    return f"{wav.bits}-bit {channels} at {wav.rate_hz} Hz"


def _needed(name: str) -> str:
    convert = f"ffmpeg -i {shlex.quote(name)} -ac 1 -ar {SAMPLE_RATE_HZ} -c:a pcm_s16le out.wav"
    return f"needed is 16-bit PCM, mono, {SAMPLE_RATE_HZ} Hz (for example: {convert})"


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
