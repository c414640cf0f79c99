"""What the user said, in text: after the fact, and in whatever order it is found out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, final

from ..audio import duration_ms
from ..events import (
    UNSET,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemInputAudioTranscriptionSegment,
    Event,
    InputTokenDetails,
    LogProb,
    TranscriptionDurationUsage,
    TranscriptionFailure,
    TranscriptionTokensUsage,
    UserMessage,
)
from ._answer import Fail
from ._conversation import Conversation
from ._heard import audio_of, transcribed
from ._hearing import speech_spans
from ._ids import new_id
from ._outputs import padding_for
from ._service import Cast, Line
from ._thinking import HeardAudio, deltas
from ._tokens import tokens_of_input, tokens_of_text

_SPEAKER: Final = "spk_1"  # nobody tells voices apart here
_BY_DURATION: Final = "whisper"  # the models of this family are billed by the second
_WITH_SPEAKERS: Final = "diarize"


@final
class Transcripts:
    """Transcribe messages, each on its own.

    Args:
        line: The session's client.
        cast: Who says what was said.
        conversation: Where the words are kept too.
    """

    def __init__(self, line: Line, cast: Cast, *, conversation: Conversation) -> None:
        self._line = line
        self._transcriber = cast.transcriber
        self._conversation = conversation

    def start(self, message: UserMessage, how: Mapping[str, Any], include: Sequence[str]) -> None:
        """Begin to transcribe a message.

        Args:
            message: The message; it has one part, of audio.
            how: The session's ``transcription``.
            include: The session's ``include``.
        """
        self._line.tasks.start_soon(self._run, message, str(how.get("model")), include)

    async def _run(  # noqa: ASYNC910  a task of its own
        self, message: UserMessage, model: str, include: Sequence[str]
    ) -> None:
        pcm = audio_of(message)
        spans = speech_spans(pcm)
        heard = HeardAudio(pcm=pcm, speech_ms=sum(end - start for start, end in spans))
        try:
            words = await self._transcriber.transcribe(heard)
        except Exception as error:  # noqa: BLE001  a transcriber is anybody's
            self._line.failed(error)
            return
        place: dict[str, Any] = {"item_id": str(message.id), "content_index": 0}
        if isinstance(words, Fail):
            self._line.emit(_failure(words, place))
            return
        for event in _spoken(words, place, model, with_logprobs=bool(include)):
            self._line.emit(event)
        if _WITH_SPEAKERS in model and spans:
            self._line.emit(_segment(words, place, spans))
        self._line.emit(
            ConversationItemInputAudioTranscriptionCompleted(
                **place,
                transcript=words,
                usage=_usage(heard, words, model),
                logprobs=_logprobs(deltas(words)) if include else UNSET,
            )
        )
        self._conversation.rewrite(message, lambda item: transcribed(item, words))


def _spoken(
    words: str, place: Mapping[str, Any], model: str, *, with_logprobs: bool
) -> Iterator[Event]:
    pieces = [words] if _BY_DURATION in model else deltas(words)
    for piece in filter(None, pieces):
        yield ConversationItemInputAudioTranscriptionDelta(
            **place,
            delta=piece,
            logprobs=_logprobs([piece]) if with_logprobs else UNSET,
            obfuscation=padding_for(piece),
        )


def _segment(words: str, place: Mapping[str, Any], spans: Sequence[tuple[int, int]]) -> Event:
    return ConversationItemInputAudioTranscriptionSegment(
        **place,
        id=new_id("seg"),
        text=words,
        speaker=_SPEAKER,
        start=spans[0][0] / 1000,
        end=spans[-1][1] / 1000,
    )


def _failure(failure: Fail, place: Mapping[str, Any]) -> Event:
    details = TranscriptionFailure(
        type="transcription_error", code=failure.code, message=failure.message, param=None
    )
    return ConversationItemInputAudioTranscriptionFailed(**place, error=details)


def _logprobs(tokens: Sequence[str]) -> list[LogProb]:
    """Be certain of each token: the transcriber said nothing of doubts."""
    return [LogProb(token=each, logprob=0.0, bytes=list(each.encode())) for each in tokens]


def _usage(
    heard: HeardAudio, words: str, model: str
) -> TranscriptionDurationUsage | TranscriptionTokensUsage:
    if not words or _BY_DURATION in model:
        return TranscriptionDurationUsage(seconds=duration_ms(heard.pcm) / 1000 if words else 0.0)
    audio, text = tokens_of_input(duration_ms(heard.pcm)), tokens_of_text(words)
    return TranscriptionTokensUsage(
        total_tokens=audio + text,
        input_tokens=audio,
        output_tokens=text,
        input_token_details=InputTokenDetails(text_tokens=0, audio_tokens=audio),
    )
