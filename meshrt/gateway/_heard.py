"""From the items of a conversation to what the model is told, and to what is shown of them."""

from collections.abc import Mapping, Sequence
from typing import Any, final
from weakref import WeakKeyDictionary

import attrs

from ..events import (
    UNSET,
    AssistantMessage,
    ContentPart,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    OutputAudio,
    UserMessage,
)
from ._conversation import KnownItem
from ._formats import PCM, pcm_from, wire_of
from ._hearing import speech_ms
from ._thinking import Heard, HeardAudio, HeardImage, HeardText


@final
class Listener:
    """Hears what is in items; each part of audio once, since that takes a while."""

    def __init__(self) -> None:
        self._speech_ms: WeakKeyDictionary[InputAudio, int] = WeakKeyDictionary()

    def heard_in(self, items: Sequence[KnownItem]) -> Heard:
        """Return what the user said, wrote, showed and returned in these items."""
        parts = [part for item in items if isinstance(item, UserMessage) for part in item.content]
        heard = map(self._heard, parts)
        return Heard(
            parts=tuple(part for part in heard if part is not None),
            tool_outputs=tuple(item for item in items if isinstance(item, FunctionCallOutput)),
        )

    def _heard(self, part: object) -> HeardAudio | HeardText | HeardImage | None:
        match part:
            case InputAudio(audio=bytes(pcm)):
                if part not in self._speech_ms:
                    self._speech_ms[part] = speech_ms(pcm)
                return HeardAudio(pcm=pcm, speech_ms=self._speech_ms[part])
            case InputText(text=str(text)):
                return HeardText(text=text)
            case InputImage(image_url=str(url)):
                return HeardImage(image_url=url)
        return None


def kept(item: KnownItem) -> KnownItem:
    """Return an item of the client's with what the server adds to one that is complete."""
    match item:
        case McpListTools() | McpCall() | McpApprovalRequest() | McpApprovalResponse():
            return item
    return attrs.evolve(item, object="realtime.item", status="completed")


def taken(item: KnownItem, audio_format: Mapping[str, Any]) -> KnownItem:
    """Return an item of the client's as it is kept: with its audio as PCM16, 24 kHz.

    Raises:
        Refusal: The audio is not of the session's format.
    """
    if not isinstance(item, UserMessage):
        return item
    return attrs.evolve(item, content=[_kept(part, audio_format) for part in item.content])


def without_audio(item: KnownItem) -> KnownItem:
    """Return the item as events show it: only retrieving it gives the audio back."""
    match item:
        case UserMessage() | AssistantMessage():
            return attrs.evolve(item, content=[_silent(part) for part in item.content])
    return item


def with_audio(item: KnownItem, config: Mapping[str, Any]) -> KnownItem:
    """Return the item as retrieving it shows it: with its audio in the session's formats."""
    match item:
        case UserMessage() | AssistantMessage():
            return attrs.evolve(item, content=[_audible(part, config) for part in item.content])
    return item


def audio_of(message: UserMessage) -> bytes:
    """Return the audio in a message, PCM16, 24 kHz; empty if it has none."""
    parts = [part.audio for part in message.content if isinstance(part, InputAudio)]
    return b"".join(audio for audio in parts if isinstance(audio, bytes))


def transcribed(message: UserMessage, transcript: str) -> UserMessage:
    """Return the message with the words of its audio."""
    content = [
        attrs.evolve(part, transcript=transcript) if isinstance(part, InputAudio) else part
        for part in message.content
    ]
    return attrs.evolve(message, content=content)


def _kept(part: ContentPart, audio_format: Mapping[str, Any]) -> ContentPart:
    if isinstance(part, InputAudio) and isinstance(part.audio, bytes):
        return attrs.evolve(part, audio=pcm_from(part.audio, audio_format))
    return part


def _silent(part: ContentPart) -> ContentPart:
    match part:
        case InputAudio():
            return attrs.evolve(part, audio=UNSET, transcript=part.transcript or None)
        case OutputAudio():
            return attrs.evolve(part, audio=UNSET)
    return part


def _audible(part: ContentPart, config: Mapping[str, Any]) -> ContentPart:
    side = {InputAudio: "input", OutputAudio: "output"}.get(type(part))
    if isinstance(part, InputAudio | OutputAudio) and isinstance(part.audio, bytes) and side:
        audio_format = config["audio"].get(side, {"format": PCM})["format"]
        return attrs.evolve(part, audio=wire_of(part.audio, audio_format))
    return part
