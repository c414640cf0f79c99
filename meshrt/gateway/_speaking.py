"""Speaking: how the gateway's answer sounds."""

import functools
import math
import shutil
from array import array
from typing import Final, Protocol, final

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint

from ..audio import (
    BITS_PER_SAMPLE,
    CHANNELS,
    SAMPLE_RATE_HZ,
    duration_ms,
    parse_wav,
    pcm_of,
    resample,
)
from ..errors import ConfigurationError
from ._journal import note_mute

_PROGRAM: Final = "espeak-ng"

# It speaks a hundred times faster than a person; this only ends one that hangs.
_ESPEAK_TIMEOUT_S: Final = 20.0

# About three minutes of speech, a few MB of audio.
_MAX_SPOKEN_CHARS: Final = 2_000

# Less than this can't be recognised, and leaves a barge-in no time.
_SHORTEST_ANSWER_MS: Final = 250

# A pentatonic scale, in Hz: any order of its notes is pleasant.
_NOTES_HZ: Final = (392.0, 440.0, 523.25, 587.33, 659.25)
_NOTE_MS: Final = 120
_FEWEST_NOTES: Final = 3
_MOST_NOTES: Final = 25
_LOUDNESS: Final = 2_000  # of 32,767: about -27 dBFS


class Voice(Protocol):
    """What turns the answer into sound."""

    async def speak(self, text: str, *, heard: bytes) -> bytes:
        """Return the answer as PCM16 little-endian, 24 kHz, mono: never nothing.

        Cancelling must be safe: a barge-in cancels it.

        Args:
            text: What to say.
            heard: The caller's speech in this turn (:attr:`Heard.speech`), empty if there is
                none.
        """
        ...


@final
class EchoVoice:
    """Plays the caller's own speech back; where there is none, a soft note for each word."""

    async def speak(self, text: str, *, heard: bytes) -> bytes:
        """Return the caller's speech, or notes if it is empty or shorter than 250 ms.

        Cancelling is safe: nothing has happened.
        """
        await checkpoint()
        if duration_ms(heard) >= _SHORTEST_ANSWER_MS:
            return heard
        return _melody(len(text.split()))


@final
class EspeakVoice:
    """Speaks with the program espeak-ng; where that fails, with :class:`EchoVoice`.

    Args:
        program: The name or the path of the program.
    """

    def __init__(self, *, program: str = _PROGRAM) -> None:
        self._program = program
        self._fallback = EchoVoice()
        self._warned = False

    async def speak(self, text: str, *, heard: bytes) -> bytes:
        """Return the text spoken, at most its first 2,000 characters.

        A failure of the program is logged, once for each voice, and the echo is returned instead.
        Cancelling is safe: the program is killed and waited for.
        """
        try:
            return await self._spoken(text)
        except _NotSpokenError as problem:
            self._warn(str(problem))
        return await self._fallback.speak(text, heard=heard)

    async def _spoken(self, text: str) -> bytes:
        wav = await self._wav_of(text[:_MAX_SPOKEN_CHARS].encode(errors="replace"))
        # Up to a second of CPU time for a long text: an event loop must not stand still for it.
        return await anyio.to_thread.run_sync(_pcm_24k, wav)

    async def _wav_of(self, text: bytes) -> bytes:
        command = [self._program, "--stdin", "--stdout", "-b", "1"]
        problem = f"no answer within {_ESPEAK_TIMEOUT_S:.0f} s"
        try:
            with anyio.move_on_after(_ESPEAK_TIMEOUT_S):
                done = await anyio.run_process(command, input=text, check=False)
                if not done.returncode:
                    return done.stdout
                problem = f"exit status {done.returncode}{_first_line(done.stderr)}"
        # A program that ends without reading its input breaks the pipe inside a task group.
        except* (OSError, anyio.BrokenResourceError) as group:
            problem = str(group.exceptions[0]) or "it did not read the text"
        raise _NotSpokenError(problem)

    def _warn(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            note_mute(self._program, problem)


class _NotSpokenError(Exception):
    """The program gave no speech; never leaves this module."""


def default_voice() -> Voice:
    """Return espeak-ng's voice if the program is installed, else the echo."""
    return EspeakVoice() if shutil.which(_PROGRAM) else EchoVoice()


def _pcm_24k(wav: bytes) -> bytes:
    try:
        found = parse_wav(wav, name="its output")
        spoken = resample(found.pcm, found.rate_hz, SAMPLE_RATE_HZ)
    except ConfigurationError as error:
        raise _NotSpokenError(str(error)) from error
    if (found.channels, found.bits) != (CHANNELS, BITS_PER_SAMPLE) or not spoken:
        raise _NotSpokenError("its output has no 16-bit mono audio")
    return spoken


def _first_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return f": {lines[0][:200]}" if lines else ""


def _melody(words: int) -> bytes:
    count = min(max(words, _FEWEST_NOTES), _MOST_NOTES)
    return b"".join(_note(_NOTES_HZ[place * 2 % len(_NOTES_HZ)]) for place in range(count))


@functools.cache
def _note(hz: float) -> bytes:
    """Return a note that swells and fades, so that nothing clicks."""
    count = SAMPLE_RATE_HZ * _NOTE_MS // 1000
    step = 2 * math.pi * hz / SAMPLE_RATE_HZ
    swell = math.pi / count
    wave = (math.sin(swell * k) * math.sin(step * k) for k in range(count))
    return pcm_of(array("h", [round(_LOUDNESS * height) for height in wave]))
