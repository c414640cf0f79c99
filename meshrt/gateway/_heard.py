"""From the items of a conversation to what the model is told, and to what is shown of them."""

from collections.abc import Sequence
from typing import final
from weakref import WeakKeyDictionary

import attrs

from ..events import (
    UNSET,
    ContentPart,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    UserMessage,
)
from ._conversation import KnownItem
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
                whole = pcm[: len(pcm) // 2 * 2]
                if part not in self._speech_ms:
                    self._speech_ms[part] = speech_ms(whole)
                return HeardAudio(pcm=whole, speech_ms=self._speech_ms[part])
            case InputText(text=str(text)):
                return HeardText(text=text)
            case InputImage(image_url=str(url)):
                return HeardImage(image_url=url)
        return None


def without_audio(item: KnownItem) -> KnownItem:
    """Return the item as events show it: only retrieving it gives the audio back."""
    if not isinstance(item, UserMessage):
        return item
    return attrs.evolve(item, content=[_silent(part) for part in item.content])


def _silent(part: ContentPart) -> ContentPart:
    if not isinstance(part, InputAudio):
        return part
    return attrs.evolve(part, audio=UNSET, transcript=part.transcript or None)
