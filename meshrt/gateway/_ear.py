"""The server's ear: from appended audio to user messages, with or without turn detection."""

from collections.abc import Callable, Mapping
from typing import Any, Final, final

from ..audio import duration_ms
from ..errors import ConfigurationError
from ..events import (
    Event,
    InputAudio,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    InputAudioBufferTimeoutTriggered,
    UserMessage,
)
from ._hearing import Committed, InputBuffer, ServerVad, SpeechStarted, SpeechStopped
from ._ids import new_id
from ._refusals import Refusal
from ._silence import Silence

_SHORTEST_COMMIT_MS: Final = 100
# As long as a session lasts: nobody has more to say, and 86 MB are enough to hold for a client.
_LONGEST_BUFFER_MS: Final = 30 * 60_000
# How long the semantic detector waits at most for somebody to go on, as documented; "auto" is
# medium. Nobody here understands words, so the wait is always that long.
_PATIENCE_MS: Final[Mapping[str, int]] = {
    "low": 8_000,
    "medium": 4_000,
    "high": 2_000,
    "auto": 4_000,
}


@final
class Ear:
    """The input audio buffer and who decides that a turn is over.

    Args:
        emit: Sends an event to the client.
        hear: Takes a user message whose audio was committed, and announces it.
        interrupt: Is called when speech starts.
        answer: Is called when a turn has ended that asks for a response.
        prompt: Is called when nobody has spoken for the idle timeout, before that is a turn.
        silence: What notices that.
    """

    def __init__(
        self,
        *,
        emit: Callable[[Event], None],
        hear: Callable[[UserMessage], None],
        interrupt: Callable[[], None],
        answer: Callable[[], None],
        prompt: Callable[[], None],
        silence: Silence,
    ) -> None:
        self._emit = emit
        self._hear = hear
        self._interrupt = interrupt
        self._answer = answer
        self._prompt = prompt
        self._silence = silence
        self._buffer = InputBuffer()
        self._vad: ServerVad | None = None
        self._detection: Mapping[str, Any] | None = None
        self._configured = False
        self._turn_start_ms = 0

    def configure(self, detection: Mapping[str, Any] | None) -> None:
        """Detect turns as the session says from now on; ``None`` leaves it to the client.

        Raises:
            Refusal: A value is out of its range; nothing has changed.
        """
        if self._configured and detection == self._detection:
            return
        vad = None if detection is None else self._new_vad(detection)
        self._vad, self._detection, self._configured = vad, detection, True
        self._silence.stop()

    def append(self, audio: bytes) -> None:
        """Take audio, PCM16 little-endian, 24 kHz, mono, and say what is heard in it.

        Raises:
            Refusal: There would be more than 30 minutes to commit; none of it was taken.
        """
        self._check_room(audio)
        self._buffer.append(audio)
        if self._vad is None:
            return
        for event in self._vad.feed(audio):
            self._notice(event)
        self._buffer.forget_before(self._vad.needed_from_ms)

    def response_began(self) -> None:
        """Wait for nobody while the model answers."""
        self._silence.stop()

    def response_ended(self, unplayed_ms: float) -> None:
        """Wait for somebody to speak, if the session says how long.

        Args:
            unplayed_ms: How much of the answer is yet to play, in ms.
        """
        timeout_ms = (self._detection or {}).get("idle_timeout_ms")
        if timeout_ms and self._vad is not None and not self._vad.speaking:
            self._silence.watch(
                unplayed_ms / 1000,
                timeout_ms / 1000,
                place=lambda: self._buffer.end_ms,
                expired=self._timed_out,
            )

    @property
    def can_commit(self) -> bool:
        """Whether there is enough to commit by hand."""
        return self._buffer.uncommitted_ms >= _SHORTEST_COMMIT_MS

    def commit(self) -> None:
        """Make a user message of the buffer, as the client asks.

        Raises:
            Refusal: There are less than 100 ms in it.
        """
        if not self.can_commit:
            raise Refusal(
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{_SHORTEST_COMMIT_MS}ms of audio, but buffer only has "
                f"{self._buffer.uncommitted_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        self._commit(self._buffer.commit())
        self._reset()

    def clear(self) -> None:
        """Drop the buffer."""
        self._buffer.clear()
        self._reset()

    def _notice(self, event: SpeechStarted | SpeechStopped) -> None:
        if isinstance(event, SpeechStarted):
            self._started(event.audio_start_ms)
        else:
            self._stopped(event.audio_end_ms)

    def _started(self, start_ms: int) -> None:
        self._silence.stop()
        self._turn_start_ms = start_ms
        self._buffer.item_id = new_id("item")
        self._emit(
            InputAudioBufferSpeechStarted(item_id=self._buffer.item_id, audio_start_ms=start_ms)
        )
        if self._wants("interrupt_response"):
            self._interrupt()

    def _stopped(self, end_ms: int) -> None:
        item_id = self._buffer.item_id or new_id("item")
        self._emit(InputAudioBufferSpeechStopped(item_id=item_id, audio_end_ms=end_ms))
        self._commit(self._buffer.take(self._turn_start_ms, end_ms))
        if self._wants("create_response"):
            self._answer()

    def _timed_out(self, start_ms: float) -> None:
        self._buffer.item_id = new_id("item")
        end_ms = self._buffer.end_ms
        self._emit(
            InputAudioBufferTimeoutTriggered(
                item_id=self._buffer.item_id,
                audio_start_ms=int(start_ms),
                audio_end_ms=int(end_ms),
            )
        )
        self._prompt()
        self._commit(self._buffer.take(start_ms, end_ms))
        self._answer()

    def _commit(self, committed: Committed) -> None:
        item_id = committed.item_id or new_id("item")
        part = InputAudio(audio=committed.pcm, transcript=None)
        message = UserMessage(
            id=item_id, object="realtime.item", status="completed", content=[part]
        )
        self._hear(message)

    def _check_room(self, audio: bytes) -> None:
        if self._buffer.uncommitted_ms + duration_ms(audio) > _LONGEST_BUFFER_MS:
            raise Refusal(
                f"Input audio buffer is full: at most {_LONGEST_BUFFER_MS // 60_000} minutes of "
                "audio may wait in it. Commit or clear it.",
                code="input_audio_buffer_full",
            )

    def _reset(self) -> None:
        if self._vad is not None:
            self._vad.reset()

    def _new_vad(self, detection: Mapping[str, Any]) -> ServerVad:
        """Make the detector; a semantic one is one that waits for longer."""
        options = {
            name: detection[name]
            for name in ("threshold", "prefix_padding_ms", "silence_duration_ms")
            if detection.get(name) is not None
        }
        if "eagerness" in detection:
            options["silence_duration_ms"] = _PATIENCE_MS[detection["eagerness"]]
        try:
            return ServerVad(**options, start_ms=self._buffer.end_ms)
        except ConfigurationError as error:
            problem = str(error)
        raise Refusal(problem, param="session.audio.input.turn_detection")

    def _wants(self, option: str) -> bool:
        return bool((self._detection or {}).get(option, True))
