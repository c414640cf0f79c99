"""A session that translates speech while it is spoken: no items, no responses, one stream."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, final

import anyio

from ..audio import chunks, duration_ms
from ..events import (
    Event,
    SessionClose,
    SessionClosed,
    SessionInputAudioBufferAppend,
    SessionInputTranscriptDelta,
    SessionOutputAudioDelta,
    SessionOutputTranscriptDelta,
    SessionUpdate,
    SessionUpdated,
    UserMessage,
)
from ._answer import Fail, Say, answer_of
from ._config import DEFAULT_VAD, updated
from ._ear import Ear
from ._formats import PCM, pcm_from
from ._heard import audio_of
from ._hearing import speech_spans
from ._refusals import Refusal, refusal_of_type
from ._service import Cast, Line
from ._silence import Silence
from ._thinking import Heard, HeardAudio, deltas

_CHUNK_MS: Final = 100


@final
class Translation:
    """Translates what is said, sentence by sentence, as far as a pause ends one.

    Args:
        config: The session's configuration to begin with.
        line: Its client.
        cast: Who translates, which the instructions say into what, and who speaks.
    """

    def __init__(self, config: Mapping[str, Any], line: Line, cast: Cast) -> None:
        self.config = config
        self._line = line
        self._cast = cast
        self._ear = Ear(
            emit=_unsaid,
            hear=self._hear,
            interrupt=_nothing,
            answer=_nothing,
            prompt=_nothing,
            silence=Silence(line.tasks),
        )
        self._ear.configure(DEFAULT_VAD)
        self._heard: deque[HeardAudio] = deque()
        self._work = anyio.Event()
        self._elapsed_ms = 0.0
        self._closing = False
        line.tasks.start_soon(self._run)

    @property
    def supported(self) -> list[str]:
        """The wire names of the events that it takes."""
        return [event.type for event in _HANDLERS]

    def serve(self, event: Event) -> None:
        """Do what an event asks for.

        Raises:
            Refusal: It can't be done, or is not for this kind of session; nothing was done.
        """
        handler = _HANDLERS.get(type(event))
        if handler is None:
            raise refusal_of_type(event.type, self.supported)
        handler(self, event)

    def _update(self, event: SessionUpdate) -> None:
        self.config = updated(self.config, event)
        self._line.emit(SessionUpdated(session=self.config))

    def _append(self, event: SessionInputAudioBufferAppend) -> None:
        if self._closing:
            raise Refusal("The session is closing: it takes no more audio.", code=None)
        pcm = pcm_from(event.audio, PCM)
        self._elapsed_ms += duration_ms(pcm)
        self._ear.append(pcm)

    def _close(self, _: SessionClose) -> None:
        if not self._closing:
            self._closing = True
            if self._ear.can_commit:
                self._ear.commit()
            self._work.set()

    def _hear(self, message: UserMessage) -> None:
        pcm = audio_of(message)
        speech_ms = sum(end - start for start, end in speech_spans(pcm))
        if speech_ms:
            self._heard.append(HeardAudio(pcm=pcm, speech_ms=speech_ms))
            self._work.set()

    async def _run(self) -> None:  # noqa: ASYNC910  a task of its own
        try:
            while self._heard or not self._closing:  # noqa: ASYNC913  each branch waits
                if self._heard:
                    await self._translate(self._heard.popleft())
                else:
                    await self._work.wait()
                    self._work = anyio.Event()
        except Exception as error:  # noqa: BLE001  a model or a voice is anybody's
            self._line.failed(error)
            return
        self._line.emit(SessionClosed())
        self._line.hang_up()

    async def _translate(self, heard: HeardAudio) -> None:
        elapsed_ms = round(self._elapsed_ms)
        if self.config["audio"]["input"]["transcription"] is not None:
            words = await self._cast.transcriber.transcribe(heard)
            for delta in deltas("" if isinstance(words, Fail) else words):
                self._line.emit(SessionInputTranscriptDelta(delta=delta, elapsed_ms=elapsed_ms))
        language = self.config["audio"]["output"]["language"]
        told = Heard(parts=(heard,), instructions=f"Translate into {language}.")
        answer = answer_of(await self._cast.model.reply(told))
        text = " ".join(part.text for part in answer if isinstance(part, Say))
        pcm = await self._cast.voice.speak(text, heard=heard.pcm)
        for delta in deltas(text):
            self._line.emit(SessionOutputTranscriptDelta(delta=delta, elapsed_ms=elapsed_ms))
        for piece in chunks(pcm, _CHUNK_MS):
            await self._line.room(len(piece) * 4 // 3)
            self._line.emit(
                SessionOutputAudioDelta(
                    delta=piece,
                    format="pcm16",
                    sample_rate=24_000,
                    channels=1,
                    elapsed_ms=elapsed_ms,
                )
            )


def _unsaid(event: Event) -> None:
    """Keep to oneself what an ear has to say: this wire has no word for it."""


def _nothing() -> None:
    """Do nothing: nobody takes turns here."""


_HANDLERS: Final[Mapping[type[Event], Callable[[Translation, Any], None]]] = {
    SessionUpdate: Translation._update,
    SessionInputAudioBufferAppend: Translation._append,
    SessionClose: Translation._close,
}
