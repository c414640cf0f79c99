"""One response of the server: from ``response.created`` to exactly one ``response.done``."""

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, final

import anyio
import attrs
from anyio.lowlevel import checkpoint

from ..audio import chunks, duration_ms
from ..events import (
    AssistantMessage,
    AudioPart,
    ConversationItemAdded,
    ConversationItemDone,
    Event,
    InputTokenDetails,
    OutputAudio,
    OutputText,
    OutputTokenDetails,
    RateLimit,
    RateLimitsUpdated,
    Response,
    ResponseContentPartAdded,
    ResponseContentPartDone,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    StatusDetails,
    TextPart,
    Usage,
)
from ._answer import Say, answer_of
from ._conversation import Conversation
from ._ids import new_id
from ._speaking import Voice
from ._thinking import Heard, Model, deltas

_CHUNK_MS: Final = 100  # audio in one delta
_INPUT_MS_PER_TOKEN: Final = 100  # how the vendor counts the audio that it hears
_OUTPUT_MS_PER_TOKEN: Final = 50  # and the audio that it makes
_RATE_LIMIT: Final = RateLimit(name="tokens", limit=250_000, remaining=249_000, reset_seconds=0.2)


@attrs.frozen(kw_only=True)
class Plan:
    """What a response is to do."""

    spoken: bool
    """Whether it answers in audio, or else in text."""
    in_conversation: bool = True
    """Whether what it says becomes part of the conversation."""
    metadata: Any = None
    """What comes back with it."""
    heard: Heard
    """The turn that it answers."""


@final
class Answering:
    """A response while it runs.

    Args:
        plan: What it is to do.
        emit: Sends an event.
        room: Waits until the client has read enough for so many bytes more.
        conversation: Where what it says is kept.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        emit: Callable[[Event], None],
        room: Callable[[int], Awaitable[None]],
        conversation: Conversation,
    ) -> None:
        self.id = new_id("resp")
        self.in_conversation = plan.in_conversation
        self._plan = plan
        self._emit = emit
        self._room = room
        self._conversation = conversation
        self._scope = anyio.CancelScope()
        self._item: AssistantMessage | None = None
        self._said = ""
        self._audio_ms = 0.0
        self._done = False
        emit(ResponseCreated(response=self._picture("in_progress")))

    async def run(self, model: Model, voice: Voice) -> None:
        """Think, speak and end; cancelled by :meth:`cancel`, it has ended already."""
        with self._scope:
            heard = self._plan.heard
            answer = answer_of(await model.reply(heard))
            text = "".join(part.text for part in answer if isinstance(part, Say))
            audio = await voice.speak(text, heard=heard.speech) if self._plan.spoken else b""
            # Neither need have waited for anything, and the response may be cancelled by now.
            await checkpoint()
            self._open_item()
            await self._say(text, audio)
            self._end("completed", None)

    def cancel(self, reason: str) -> None:
        """End now, because the client asked for it or the user speaks."""
        if not self._done:
            self._end("cancelled", StatusDetails(type="cancelled", reason=reason))
        self._scope.cancel()

    @property
    def audio_ms(self) -> float:
        """How much audio has been sent, in ms."""
        return self._audio_ms

    @property
    def item_id(self) -> str | None:
        """The id of the message it says; ``None`` before it begins."""
        return str(self._item.id) if self._item else None

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self._done

    @property
    def _place(self) -> dict[str, Any]:
        item = {"item_id": self.item_id, "output_index": 0, "content_index": 0}
        return {"response_id": self.id, **item}

    def _open_item(self) -> None:
        item = AssistantMessage(
            id=new_id("item"), object="realtime.item", status="in_progress", content=[]
        )
        self._item = item
        self._emit(ResponseOutputItemAdded(response_id=self.id, output_index=0, item=item))
        if self.in_conversation:
            _, previous = self._conversation.add(item)
            self._emit(ConversationItemAdded(previous_item_id=previous, item=item))
        part = AudioPart(transcript="") if self._plan.spoken else TextPart(text="")
        self._emit(ResponseContentPartAdded(**self._place, part=part))

    async def _say(self, text: str, audio: bytes) -> None:  # noqa: ASYNC910  audio waits for room
        """Send the words, and the audio between them."""
        for word, pieces in _interleaved(deltas(text), list(chunks(audio, _CHUNK_MS))):
            if word:
                self._say_word(word)
            for piece in pieces:
                await self._room(len(piece) * 4 // 3)
                self._audio_ms += duration_ms(piece)
                self._emit(ResponseOutputAudioDelta(**self._place, delta=piece))

    def _say_word(self, word: str) -> None:
        self._said += word
        if self._plan.spoken:
            self._emit(ResponseOutputAudioTranscriptDelta(**self._place, delta=word))
        else:
            self._emit(ResponseOutputTextDelta(**self._place, delta=word))

    def _end(self, status: str, details: StatusDetails | None) -> None:
        self._done = True
        if self._item is not None:
            self._close_item(self._item, "completed" if status == "completed" else "incomplete")
        self._emit(ResponseDone(response=self._picture(status, details)))
        if self._item is not None:
            self._emit(RateLimitsUpdated(rate_limits=[_RATE_LIMIT]))

    def _close_item(self, begun: AssistantMessage, status: str) -> None:
        item = self._item = attrs.evolve(begun, status=status, content=[self._part()])
        for event in self._part_endings():
            self._emit(event)
        if self.in_conversation:
            self._conversation.replace(item)
            self._emit(ConversationItemDone(previous_item_id=None, item=item))
        self._emit(ResponseOutputItemDone(response_id=self.id, output_index=0, item=item))

    def _part_endings(self) -> Iterator[Event]:
        if self._plan.spoken:
            yield ResponseOutputAudioDone(**self._place)
            yield ResponseOutputAudioTranscriptDone(**self._place, transcript=self._said)
            yield ResponseContentPartDone(**self._place, part=AudioPart(transcript=self._said))
        else:
            yield ResponseOutputTextDone(**self._place, text=self._said)
            yield ResponseContentPartDone(**self._place, part=TextPart(text=self._said))

    def _part(self) -> OutputAudio | OutputText:
        if self._plan.spoken:
            return OutputAudio(transcript=self._said)
        return OutputText(text=self._said)

    def _picture(self, status: str, details: StatusDetails | None = None) -> Response:
        running = status == "in_progress"
        return Response(
            id=self.id,
            object="realtime.response",
            status=status,
            status_details=details,
            output=[] if running or self._item is None else [self._item],
            conversation_id=self._conversation.id if self.in_conversation else None,
            output_modalities=["audio" if self._plan.spoken else "text"],
            max_output_tokens="inf",
            metadata=self._plan.metadata,
            usage=None if running else self._usage(),
        )

    def _usage(self) -> Usage:
        """Count as the vendor bills: audio by its length, text by a token a word or so."""
        heard = self._plan.heard
        audio_in = math.ceil(heard.audio_ms / _INPUT_MS_PER_TOKEN)
        audio_out = math.ceil(self._audio_ms / _OUTPUT_MS_PER_TOKEN)
        text_in, text_out = len(heard.text.split()), len(self._said.split())
        return Usage(
            total_tokens=audio_in + audio_out + text_in + text_out,
            input_tokens=audio_in + text_in,
            output_tokens=audio_out + text_out,
            input_token_details=InputTokenDetails(
                text_tokens=text_in, audio_tokens=audio_in, image_tokens=0, cached_tokens=0
            ),
            output_token_details=OutputTokenDetails(text_tokens=text_out, audio_tokens=audio_out),
        )


def _interleaved(
    words: Sequence[str], pieces: Sequence[bytes]
) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Give each word its share of the audio, so that both grow together."""
    share = max(1, math.ceil(len(pieces) / max(1, len(words))))
    for place in range(max(len(words), math.ceil(len(pieces) / share))):
        word = words[place] if place < len(words) else ""
        yield word, pieces[place * share : (place + 1) * share]
