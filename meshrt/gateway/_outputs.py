"""The items that a response makes: what each is made of, and what the wire says of it."""

import json
import math
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, final

import attrs

from ..audio import bytes_of_ms, chunks, duration_ms
from ..events import (
    UNSET,
    AssistantMessage,
    AudioPart,
    Event,
    FunctionCall,
    OutputAudio,
    OutputText,
    ResponseContentPartAdded,
    ResponseContentPartDone,
    ResponseFunctionCallArgumentsDelta,
    ResponseFunctionCallArgumentsDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    TextPart,
)
from ._answer import Call, Say
from ._conversation import KnownItem
from ._formats import wire_of
from ._ids import new_id
from ._thinking import deltas
from ._tokens import Tokens, tokens_of_output

_CHUNK_MS: Final = 100  # audio in one delta
_ARGUMENTS: Final = re.compile(r"\w+|\W+")
_PADDED_TO: Final = 16  # characters, so that a delta's length does not tell its text


@attrs.frozen(kw_only=True)
class Piece:
    """What one delta brings: text or audio."""

    text: str = ""
    audio: bytes = b""
    """PCM16, 24 kHz, mono."""

    @property
    def tokens(self) -> Tokens:
        """What it costs."""
        return Tokens(
            text=1 if self.text.strip() else 0, audio=tokens_of_output(duration_ms(self.audio))
        )

    @property
    def wire_bytes(self) -> int:
        """How much it is on the wire, about."""
        return len(self.text) + len(self.audio) * 4 // 3


class Output(ABC):
    """One item of a response, piece by piece.

    Args:
        place: Where it belongs: ``response_id`` and ``output_index``.
        pieces: What it is made of.
    """

    def __init__(self, place: Mapping[str, Any], pieces: Iterator[Piece]) -> None:
        self.id = new_id("item")
        self.index: int = place["output_index"]
        self.status = "in_progress"
        self.is_open = False
        self.audio = bytearray()
        self._place = {**place, "item_id": self.id}
        self._pieces = pieces

    def next(self) -> Piece | None:
        """Return the next piece; ``None`` after the last."""
        return next(self._pieces, None)

    @property
    def audio_ms(self) -> float:
        """How much audio there is of it so far, in ms."""
        return duration_ms(self.audio)

    @abstractmethod
    def opening(self) -> list[Event]:
        """Return what is said between the item's addition and its first delta."""

    @abstractmethod
    def take(self, piece: Piece) -> Event:
        """Add a piece, and return its delta."""

    @abstractmethod
    def closing(self) -> list[Event]:
        """Return what is said between its last delta and the item's end."""

    @abstractmethod
    def item(self) -> KnownItem:
        """Return the item as it is now, audio included."""


@final
class MessageOutput(Output):
    """A message, spoken or written.

    Args:
        place: Where it belongs.
        say: What it says.
        audio: How that sounds, PCM16, 24 kHz; ``None`` for a written one.
        audio_format: How the wire has it.
    """

    def __init__(
        self,
        place: Mapping[str, Any],
        say: Say,
        *,
        audio: bytes | None,
        audio_format: Mapping[str, Any],
    ) -> None:
        words = deltas(say.text)
        super().__init__(place, _interleaved(words, list(chunks(audio or b"", _CHUNK_MS))))
        self._part_place = {**self._place, "content_index": 0}
        self._spoken = audio is not None
        self._format = audio_format
        self._said = ""
        self._is_cut = False

    def cut(self, audio_end_ms: int) -> None:
        """Forget the audio from there on, and all the words: nobody knows which were heard."""
        del self.audio[bytes_of_ms(audio_end_ms) :]
        self._is_cut = True

    def opening(self) -> list[Event]:
        """Return the addition of its one part."""
        part = AudioPart(transcript="") if self._spoken else TextPart(text="")
        return [ResponseContentPartAdded(**self._part_place, part=part)]

    def take(self, piece: Piece) -> Event:
        """Add a word or audio, and return its delta."""
        if piece.audio:
            if not self._is_cut:
                self.audio += piece.audio
            wire = wire_of(piece.audio, self._format)
            return ResponseOutputAudioDelta(**self._part_place, delta=wire)
        self._said += piece.text
        kind = ResponseOutputAudioTranscriptDelta if self._spoken else ResponseOutputTextDelta
        return kind(**self._part_place, delta=piece.text, obfuscation=padding_for(piece.text))

    def closing(self) -> list[Event]:
        """Return the ends of its audio, its text and its part."""
        place, said = self._part_place, self._said
        if not self._spoken:
            part = ResponseContentPartDone(**place, part=TextPart(text=said))
            return [ResponseOutputTextDone(**place, text=said), part]
        return [
            ResponseOutputAudioDone(**place),
            ResponseOutputAudioTranscriptDone(**place, transcript=said),
            ResponseContentPartDone(**place, part=AudioPart(transcript=said)),
        ]

    def item(self) -> AssistantMessage:
        """Return the message; without content while it is made."""
        return AssistantMessage(
            id=self.id,
            object="realtime.item",
            status=self.status,
            content=[] if self.status == "in_progress" else [self._content()],
        )

    def _content(self) -> OutputAudio | OutputText:
        if not self._spoken:
            return OutputText(text=self._said)
        said = UNSET if self._is_cut else self._said
        return OutputAudio(audio=bytes(self.audio), transcript=said)


@final
class CallOutput(Output):
    """A call of a function of the client's.

    Args:
        place: Where it belongs.
        call: What is called.
    """

    def __init__(self, place: Mapping[str, Any], call: Call) -> None:
        super().__init__(place, pieces_of_arguments(call.arguments))
        self._name = call.name
        self._call_id = call.call_id or new_id("call")
        self._arguments = ""

    def opening(self) -> list[Event]:
        """Return nothing: a call has no parts."""
        return []

    def take(self, piece: Piece) -> Event:
        """Add some of the arguments, and return their delta."""
        self._arguments += piece.text
        return ResponseFunctionCallArgumentsDelta(
            **self._place,
            call_id=self._call_id,
            delta=piece.text,
            obfuscation=padding_for(piece.text),
        )

    def closing(self) -> list[Event]:
        """Return the end of its arguments."""
        return [
            ResponseFunctionCallArgumentsDone(
                **self._place,
                call_id=self._call_id,
                name=self._name,
                arguments=self._arguments,
            )
        ]

    def item(self) -> FunctionCall:
        """Return the call, with as much of its arguments as there is."""
        return FunctionCall(
            id=self.id,
            object="realtime.item",
            status=self.status,
            call_id=self._call_id,
            name=self._name,
            arguments=self._arguments,
        )


def pieces_of_arguments(arguments: Mapping[str, Any] | str) -> Iterator[Piece]:
    """Cut arguments into pieces: those of a mapping as JSON, a text as it is."""
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return (Piece(text=bit) for bit in _ARGUMENTS.findall(arguments))


def padding_for(text: str) -> str:
    """Return random characters that hide how long a delta is, as the real server sends them."""
    return secrets.token_urlsafe(_PADDED_TO)[: _PADDED_TO - len(text) % _PADDED_TO]


def _interleaved(words: Sequence[str], audio: Sequence[bytes]) -> Iterator[Piece]:
    """Give each word its share of the audio, so that both grow together."""
    share = max(1, math.ceil(len(audio) / max(1, len(words))))
    for place in range(max(len(words), math.ceil(len(audio) / share))):
        if place < len(words):
            yield Piece(text=words[place])
        yield from (Piece(audio=pcm) for pcm in audio[place * share : (place + 1) * share])
