"""One turn of a conversation while it happens: what was said, what came, what is still awaited."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, final

import attrs

from ..audio import bytes_of_ms, chunks, duration_ms, level_dbfs, ms_of_bytes
from ..events import (
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    Response,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    StatusDetails,
)
from ..protocol import AnyEvent

CHUNK_MS: Final = 20
_CHUNK_BYTES: Final = bytes_of_ms(CHUNK_MS)


@final
@attrs.define(eq=False, kw_only=True)
class Turn:
    """What has happened so far, without any I/O; the displays read it while it grows.

    Levels are in dB of full scale, one for each 20 ms.
    """

    question: str
    """What to call that which is said or written."""
    question_ms: float = 0.0
    """How long it takes to say it, in ms."""
    paced: bool = True
    """Whether it is said as fast as people speak, so that times mean something."""
    changed: Callable[[], None] = lambda: None
    """Called after every change."""
    backend: str = ""
    """The name of the event loop."""
    server: str = ""
    """Where the server is."""
    session_id: str | None = None
    """The session's id."""
    model: str = ""
    """The model, as the server names it."""
    notes: list[str] = attrs.field(factory=list)
    """What happened, one sentence each."""
    sent_ms: float = 0.0
    """The audio that was sent, in ms, with the silence after the question."""
    sent_levels: list[float] = attrs.field(factory=list)
    """How loud that was."""
    received: bytearray = attrs.field(factory=bytearray, repr=lambda pcm: f"<{len(pcm)} bytes>")
    """The reply: PCM16 little-endian, 24 kHz, mono."""
    received_levels: list[float] = attrs.field(factory=list)
    """How loud that is."""
    first_audio_ms: float | None = None
    """From the end of the question to the first audio of the reply, in ms."""
    events: Counter[str] = attrs.field(factory=Counter)
    """How many events of each type came."""
    ended_by_server: bool = False
    """Whether the server heard the end of the speech, if it heard any."""
    _speaking: bool = attrs.field(default=False, init=False)
    _asked_at: float | None = attrs.field(default=None, init=False)
    _owed: bool = attrs.field(default=False, init=False)
    _running: set[str] = attrs.field(factory=set, init=False)
    _last: Response | None = attrs.field(default=None, init=False)
    _words: dict[tuple[str, str, int], str] = attrs.field(factory=dict, init=False)
    _measured: int = attrs.field(default=0, init=False)

    @property
    def received_ms(self) -> float:
        """How long the reply is so far, in ms."""
        return ms_of_bytes(len(self.received))

    @property
    def transcript(self) -> str:
        """The reply's words so far."""
        return " ".join(filter(None, map(str.strip, self._words.values())))

    @property
    def answered(self) -> bool:
        """Whether a response has ended, and neither side has anything to say after it."""
        waiting = self._owed or self._running or self._speaking
        return self._last is not None and not waiting

    @property
    def failure(self) -> str | None:
        """Why the last response is no whole one, in the server's words; ``None`` if it is."""
        if self._last is None or self._last.status in ("completed", "incomplete"):
            return None
        return f"the response ended as {self._last.status!r}{_reason(self._last)}"

    def note(self, sentence: str) -> None:
        """Tell what happened."""
        self.notes.append(sentence)
        self.changed()

    def greeted(self, *, session_id: str | None, model: str) -> None:
        """Take down whom we talk to."""
        self.session_id, self.model = session_id, model
        self.note(f"session {session_id} with {model}")

    def say(self, chunk: bytes) -> None:
        """Take down what was sent: PCM16 little-endian, 24 kHz, mono, up to 20 ms."""
        self.sent_ms += duration_ms(chunk)
        self.sent_levels.append(level_dbfs(chunk))
        self.changed()

    def ask(self, now: float) -> None:
        """Take down that the question has been put and that the clock runs, in seconds."""
        self._asked_at = now if self.paced else None
        self._owed = True

    def hear(self, event: AnyEvent, now: float) -> None:
        """Take down an event, and the time in seconds at which it came."""
        self.events[event.type] += 1
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, now)
        self.changed()

    def _started(self, event: InputAudioBufferSpeechStarted, _: float) -> None:
        self._speaking, self.ended_by_server = True, False
        self.note(f"speech began at {event.audio_start_ms / 1000:.1f} s")

    def _stopped(self, event: InputAudioBufferSpeechStopped, now: float) -> None:
        self._speaking, self.ended_by_server = False, True
        self.ask(now)
        self.note(f"speech ended at {event.audio_end_ms / 1000:.1f} s")

    def _committed(self, _: InputAudioBufferCommitted, __: float) -> None:
        self._speaking = False

    def _created(self, event: ResponseCreated, _: float) -> None:
        self._owed = False
        self._running.add(str(event.response.id))

    def _done(self, event: ResponseDone, _: float) -> None:
        self._running.discard(str(event.response.id))
        self._last = event.response

    def _audio(self, event: ResponseOutputAudioDelta, now: float) -> None:
        self.received += event.delta
        # A delta may end anywhere, even within a sample: only whole pieces are measured.
        whole = len(self.received) // _CHUNK_BYTES * _CHUNK_BYTES
        pieces = chunks(self.received[self._measured : whole], CHUNK_MS)
        self.received_levels.extend(map(level_dbfs, pieces))
        self._measured = whole
        if self._asked_at is not None:
            self.first_audio_ms, self._asked_at = 1000 * (now - self._asked_at), None
            self.note(f"first audio after {self.first_audio_ms:.0f} ms")

    def _word(self, event: ResponseOutputAudioTranscriptDelta, _: float) -> None:
        place = (event.response_id, event.item_id, event.content_index)
        self._words[place] = self._words.get(place, "") + event.delta

    def _all_words(self, event: ResponseOutputAudioTranscriptDone, _: float) -> None:
        self._words[event.response_id, event.item_id, event.content_index] = event.transcript


def _reason(response: Response) -> str:
    details = response.status_details
    if not isinstance(details, StatusDetails):
        return ""
    error = details.error or None
    words = (error and error.message) or (error and error.code) or details.reason
    return f": {words}" if words else ""


_HANDLERS: Final[Mapping[type, Callable[[Turn, Any, float], None]]] = {
    InputAudioBufferSpeechStarted: Turn._started,
    InputAudioBufferSpeechStopped: Turn._stopped,
    InputAudioBufferCommitted: Turn._committed,
    ResponseCreated: Turn._created,
    ResponseDone: Turn._done,
    ResponseOutputAudioDelta: Turn._audio,
    ResponseOutputAudioTranscriptDelta: Turn._word,
    ResponseOutputAudioTranscriptDone: Turn._all_words,
}
