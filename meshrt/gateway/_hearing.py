"""Hearing: where in the appended audio a person speaks, and which audio that is.

Everything here is pure and deterministic. Time is the audio's own: ms since the first byte that
the session was given, never a clock's. How the audio was cut into appends changes nothing.
"""

from collections.abc import Iterator
from operator import mul
from typing import Final, final

import attrs

from ..audio import BYTES_PER_MS, BytesLike, bytes_of_ms, check_pcm16, duration_ms, samples_of
from ..errors import ConfigurationError

_FRAME_MS: Final = 20
_FRAME_BYTES: Final = _FRAME_MS * BYTES_PER_MS
_FULL_SCALE: Final = 32_768

# A click or a knock is over within two frames; the shortest vowel is not.
_ATTACK_MS: Final = 60

# Threshold 0 hears a whisper (-60 dBFS), 1 only somebody close to the microphone (-20), and the
# default of 0.5 is -40: above the noise of a quiet room and its microphone (-50 and less), below
# the vowels of ordinary speech (-30 to -12).
_QUIETEST_DBFS: Final = -60.0
_LOUDEST_DBFS: Final = -20.0
_DEFAULT_THRESHOLD: Final = 0.5

# Speech that has begun may fade by so much without being over, or each sentence would flicker.
_HYSTERESIS_DB: Final = 6.0

# What the server remembers of a silence is bounded by the padding.
_MAX_PADDING_MS: Final = 10_000
_MAX_SILENCE_MS: Final = 60_000

# What a commit by hand gets of a stream in which nobody was heard: a long sentence, 3 MB.
_MAX_UNHEARD_MS: Final = 60_000

# A pause between two words of one sentence; anything shorter counts as spoken.
_WORD_GAP_MS: Final = 200


@attrs.frozen(kw_only=True)
class SpeechStarted:
    """Somebody began to speak."""

    audio_start_ms: int
    """Where the turn's audio begins, in ms since the session's first byte.

    The prefix padding is in it, so it may lie before the previous turn's end.
    """


@attrs.frozen(kw_only=True)
class SpeechStopped:
    """The silence after the speech was long enough."""

    audio_end_ms: int
    """Where that was decided, in ms since the session's first byte.

    The silence is in it, as with OpenAI's server.
    """


@attrs.frozen(kw_only=True)
class _Phase:
    """How long silence, or speech, goes on: until so many frames in a row say otherwise."""

    energy: float
    frames: int


@final
class ServerVad:
    """The wire's ``server_vad``: finds speech by its level, in audio fed piece by piece.

    A turn starts with 60 ms in a row above the threshold, and stops after
    ``silence_duration_ms`` in a row at 6 dB or more below it.

    Args:
        threshold: From 0 to 1: -60 to -20 dBFS; the default 0.5 is -40.
        prefix_padding_ms: How much audio before the first sound belongs to the turn, in ms.
        silence_duration_ms: How much silence ends the turn, in ms, rounded up to 20.
        start_ms: Where in the session's audio the first byte fed here lies, in ms: the
            ``end_ms`` of the :class:`InputBuffer` when the detector is made.

    Raises:
        ConfigurationError: An option is out of its range.
    """

    def __init__(
        self,
        *,
        threshold: float = _DEFAULT_THRESHOLD,
        prefix_padding_ms: int = 300,
        silence_duration_ms: int = 500,
        start_ms: float = 0,
    ) -> None:
        _check_range("threshold", threshold, 1)
        _check_range("prefix_padding_ms", prefix_padding_ms, _MAX_PADDING_MS)
        _check_range("silence_duration_ms", silence_duration_ms, _MAX_SILENCE_MS)
        self._phases = _phases(threshold, silence_duration_ms)
        self._padding = bytes_of_ms(prefix_padding_ms)
        self._origin = self._position = bytes_of_ms(start_ms)
        self._rest = bytearray()
        self._forget()

    @property
    def speaking(self) -> bool:
        """Whether a turn has started and not stopped."""
        return self._speaking

    @property
    def needed_from_ms(self) -> int:
        """From where on audio may still belong to a turn, in ms since the session's first byte.

        All audio before it can be forgotten once the events of the last feed were served.
        """
        start = self._turn_start if self._speaking else self._padded_start()
        return start // BYTES_PER_MS

    def feed(self, pcm: BytesLike) -> list[SpeechStarted | SpeechStopped]:
        """Hear the next audio and return what it decided, in order.

        Args:
            pcm: PCM16 little-endian, 24 kHz, mono, of any length.

        Raises:
            LocalProtocolError: The number of bytes is odd; none of them was heard.
        """
        check_pcm16(pcm)
        self._rest += pcm
        whole = len(self._rest) // _FRAME_BYTES * _FRAME_BYTES
        frames, self._rest = self._rest[:whole], self._rest[whole:]
        return [event for energy in _energies(frames) if (event := self._hear(energy))]

    def reset(self) -> None:
        """Forget what was being heard, for a cleared buffer; the session's time goes on."""
        self._position += len(self._rest)
        self._origin = self._position
        self._rest.clear()
        self._forget()

    def _forget(self) -> None:
        self._speaking = False
        self._run = 0
        self._turn_start = self._origin

    def _hear(self, energy: float) -> SpeechStarted | SpeechStopped | None:
        """Take one frame; the phase flips when enough frames in a row contradict it."""
        self._position += _FRAME_BYTES
        phase = self._phases[self._speaking]
        contradicts = (energy >= phase.energy) is not self._speaking
        self._run = self._run + 1 if contradicts else 0
        return self._flip() if self._run >= phase.frames else None

    def _flip(self) -> SpeechStarted | SpeechStopped:
        start = self._padded_start()
        self._run = 0
        self._speaking = not self._speaking
        if not self._speaking:
            return SpeechStopped(audio_end_ms=self._position // BYTES_PER_MS)
        self._turn_start = start
        return SpeechStarted(audio_start_ms=start // BYTES_PER_MS)

    def _padded_start(self) -> int:
        """Return where a turn would start whose sound begins with the present run, in bytes."""
        sound = self._position - self._run * _FRAME_BYTES
        return max(self._origin, sound - self._padding)


@attrs.frozen(kw_only=True)
class Committed:
    """A piece of audio that became a user item."""

    item_id: str | None
    """The item's id if ``speech_started`` had already named it."""
    pcm: bytes = attrs.field(repr=lambda pcm: f"<{len(pcm)} bytes>")
    """PCM16 little-endian, 24 kHz, mono."""


@final
class InputBuffer:
    """The input audio buffer: what was appended and not yet committed, and a bit before that.

    With a :class:`ServerVad`, after each append and once its events were served::

        buffer.forget_before(vad.needed_from_ms)

    keeps no more of a silence than the prefix padding, or the last 60 s if they are not
    committed. Without, it grows until it is committed or cleared.

    Attributes:
        item_id: The id that ``speech_started`` gave to the coming user item, or ``None``.
    """

    def __init__(self) -> None:
        self.item_id: str | None = None
        self._pcm = bytearray()
        self._start = 0  # where _pcm begins, in bytes since the session's first
        self._fresh = 0  # where what is not committed begins

    @property
    def start_ms(self) -> float:
        """Where the remembered audio begins, in ms since the session's first byte."""
        return self._start / BYTES_PER_MS

    @property
    def end_ms(self) -> float:
        """How much audio was ever appended, in ms."""
        return self._end / BYTES_PER_MS

    @property
    def uncommitted_ms(self) -> float:
        """How much of it waits for a commit, in ms."""
        return (self._end - self._fresh) / BYTES_PER_MS

    @property
    def _end(self) -> int:
        return self._start + len(self._pcm)

    def append(self, pcm: BytesLike) -> None:
        """Add PCM16 little-endian, 24 kHz, mono, at the end.

        Raises:
            LocalProtocolError: The number of bytes is odd; none of them was added.
        """
        check_pcm16(pcm)
        self._pcm += pcm

    def take(self, from_ms: float, to_ms: float) -> Committed:
        """Commit a turn: return the audio from one ms to another, as far as it is remembered.

        What lies before ``to_ms`` is then committed, but the next turn's padding may reach back
        into it until :meth:`forget_before` drops it.
        """
        begin = self._remembered(bytes_of_ms(from_ms))
        end = max(begin, self._remembered(bytes_of_ms(to_ms)))
        self._fresh = max(self._fresh, end)
        return self._committed(begin, end)

    def commit(self) -> Committed:
        """Return everything not committed so far, and forget it."""
        committed = self._committed(self._fresh, self._end)
        self.clear()
        return committed

    def clear(self) -> None:
        """Forget all audio and the item's id; the session's time goes on."""
        self._start = self._fresh = self._end
        self._pcm.clear()
        self.item_id = None

    def forget_before(self, ms: float) -> None:
        """Forget the audio before that place, in ms since the session's first byte.

        A commit gets all that is not committed, so the last 60 s of that stay.
        """
        waiting = max(self._fresh, self._end - bytes_of_ms(_MAX_UNHEARD_MS))
        place = min(self._remembered(bytes_of_ms(ms)), waiting)
        del self._pcm[: place - self._start]
        self._start = place
        self._fresh = max(self._fresh, place)

    def _remembered(self, place: int) -> int:
        return min(max(place, self._start), self._end)

    def _committed(self, begin: int, end: int) -> Committed:
        pcm = bytes(self._pcm[begin - self._start : end - self._start])
        item_id, self.item_id = self.item_id, None
        return Committed(item_id=item_id, pcm=pcm)


def speech_ms(pcm: BytesLike, *, threshold: float = _DEFAULT_THRESHOLD) -> int:
    """Return how long somebody speaks in the audio, in ms; 0 if nobody does.

    The short gaps between words count as speech, silence before, after and between does not,
    nor do clicks.

    Args:
        pcm: PCM16 little-endian, 24 kHz, mono.
        threshold: That of the :class:`ServerVad`.

    Raises:
        LocalProtocolError: The number of bytes is odd.
        ConfigurationError: The threshold is out of its range.
    """
    spans = speech_spans(pcm, threshold=threshold)
    # The last frame may be mostly speech, and filled up.
    return min(sum(end - start for start, end in spans), int(duration_ms(pcm)))


def speech_spans(
    pcm: BytesLike, *, threshold: float = _DEFAULT_THRESHOLD
) -> list[tuple[int, int]]:
    """Return where somebody speaks in the audio: from and to, in ms.

    Args:
        pcm: PCM16 little-endian, 24 kHz, mono.
        threshold: That of the :class:`ServerVad`.

    Raises:
        LocalProtocolError: The number of bytes is odd.
        ConfigurationError: The threshold is out of its range.
    """
    vad = ServerVad(threshold=threshold, prefix_padding_ms=0, silence_duration_ms=_WORD_GAP_MS)
    # Speech at the very end is only heard to stop if silence follows.
    events = [*vad.feed(pcm), *vad.feed(bytes(_FRAME_BYTES + bytes_of_ms(_WORD_GAP_MS)))]
    starts = [event.audio_start_ms for event in events if isinstance(event, SpeechStarted)]
    ends = [event.audio_end_ms for event in events if isinstance(event, SpeechStopped)]
    return [(start, end - _WORD_GAP_MS) for start, end in zip(starts, ends, strict=True)]


def _phases(threshold: float, silence_duration_ms: int) -> dict[bool, _Phase]:
    """Return what ends each phase, by whether somebody is speaking."""
    onset = _QUIETEST_DBFS + threshold * (_LOUDEST_DBFS - _QUIETEST_DBFS)
    return {
        False: _Phase(energy=_frame_energy(onset), frames=_frames(_ATTACK_MS)),
        True: _Phase(
            energy=_frame_energy(onset - _HYSTERESIS_DB), frames=_frames(silence_duration_ms)
        ),
    }


def _frames(ms: int) -> int:
    return max(1, -(-ms // _FRAME_MS))


def _frame_energy(dbfs: float) -> float:
    """Return the sum of squares of a frame at that level: cheaper to compare than its dB."""
    return 10 ** (dbfs / 10) * _FULL_SCALE**2 * _FRAME_BYTES / 2


def _energies(frames: bytearray) -> Iterator[int]:
    for start in range(0, len(frames), _FRAME_BYTES):
        samples = samples_of(frames[start : start + _FRAME_BYTES])
        yield sum(map(mul, samples, samples))


def _check_range(name: str, value: float, most: float) -> None:
    if not 0 <= value <= most:
        raise ConfigurationError(f"turn_detection.{name} is {value}, and must be from 0 to {most}")
