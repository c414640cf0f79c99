"""Tokens, counted as the vendor bills: audio by its length, text by a token a word."""

import math
from collections.abc import Iterable
from typing import Any, Final, final

import anyio
import attrs

from ..audio import duration_ms
from ..events import (
    AssistantMessage,
    CachedTokensDetails,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    InputTokenDetails,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    OutputAudio,
    OutputText,
    OutputTokenDetails,
    RateLimit,
    SystemMessage,
    Usage,
    UserMessage,
)
from ._conversation import KnownItem
from ._thinking import Heard

_INPUT_MS_PER_TOKEN: Final = 100
_OUTPUT_MS_PER_TOKEN: Final = 50
_TOKENS_PER_IMAGE: Final = 85

_TOKENS_PER_MINUTE: Final = 250_000
_MINUTE_S: Final = 60


@attrs.frozen(kw_only=True)
class Tokens:
    """So many tokens, by modality."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            text=self.text + other.text,
            audio=self.audio + other.audio,
            image=self.image + other.image,
        )

    @property
    def total(self) -> int:
        """All of them."""
        return self.text + self.audio + self.image


def tokens_of_text(text: str) -> int:
    """Return how many tokens a text is."""
    return len(text.split())


def tokens_of_output(audio_ms: float) -> int:
    """Return how many tokens speech of the model is."""
    return math.ceil(audio_ms / _OUTPUT_MS_PER_TOKEN)


def tokens_of_input(audio_ms: float) -> int:
    """Return how many tokens audio of the user is."""
    return math.ceil(audio_ms / _INPUT_MS_PER_TOKEN)


def usage_of(read: Tokens, cached: Tokens, made: Tokens) -> Usage:
    """Return what a response used, as the wire says it."""
    return Usage(
        total_tokens=read.total + made.total,
        input_tokens=read.total,
        output_tokens=made.total,
        input_token_details=InputTokenDetails(
            text_tokens=read.text,
            audio_tokens=read.audio,
            image_tokens=read.image,
            cached_tokens=cached.total,
            cached_tokens_details=CachedTokensDetails(
                text_tokens=cached.text, audio_tokens=cached.audio, image_tokens=cached.image
            ),
        ),
        output_token_details=OutputTokenDetails(text_tokens=made.text, audio_tokens=made.audio),
    )


@final
class Reader:
    """Counts what responses read: the whole conversation each time, the most of it once more."""

    def __init__(self) -> None:
        self._known: set[object] = set()

    def read(self, heard: Heard) -> tuple[Tokens, Tokens]:
        """Return what the response reads, and what of it one before it had read."""
        pieces: dict[object, Tokens] = {
            ("told", text): Tokens(text=tokens_of_text(text)) for text in _told(heard)
        }
        pieces |= {item.id or object(): _tokens_of_item(item) for item in heard.history}
        cached = _sum(count for piece, count in pieces.items() if piece in self._known)
        self._known |= pieces.keys()
        return _sum(pieces.values()), cached


@final
class Allowance:
    """The account's tokens, which come back evenly over a minute."""

    def __init__(self) -> None:
        self._used = 0.0
        self._at = anyio.current_time()

    def spend(self, tokens: int) -> RateLimit:
        """Take these away, and return what is left."""
        now = anyio.current_time()
        per_second = _TOKENS_PER_MINUTE / _MINUTE_S
        left_over = max(0.0, self._used - (now - self._at) * per_second)
        self._used, self._at = min(left_over + tokens, _TOKENS_PER_MINUTE), now
        return RateLimit(
            name="tokens",
            limit=_TOKENS_PER_MINUTE,
            remaining=_TOKENS_PER_MINUTE - math.ceil(self._used),
            reset_seconds=round(self._used / per_second, 3),
        )


def _told(heard: Heard) -> list[str]:
    return [heard.instructions, *map(str, heard.tools)]


def _sum(counts: Iterable[Tokens]) -> Tokens:
    return sum(counts, Tokens())


def _tokens_of_item(item: KnownItem) -> Tokens:
    match item:
        case SystemMessage() | UserMessage() | AssistantMessage():
            return _sum(map(_tokens_of_part, item.content))
        case FunctionCall():
            return Tokens(text=tokens_of_text(f"{item.name} {item.arguments}"))
        case FunctionCallOutput():
            return Tokens(text=tokens_of_text(item.output))
        case McpCall():
            words = f"{item.name} {item.arguments} {item.output or ''}"
            return Tokens(text=tokens_of_text(words))
        case McpListTools():
            return Tokens(text=len(item.tools))
        case McpApprovalRequest() | McpApprovalResponse():
            return Tokens()


def _tokens_of_part(part: Any) -> Tokens:
    match part:
        case InputText(text=str(text)) | OutputText(text=str(text)):
            return Tokens(text=tokens_of_text(text))
        case InputAudio(audio=bytes(pcm)):
            return Tokens(audio=tokens_of_input(duration_ms(pcm)))
        case OutputAudio():
            said = part.transcript if isinstance(part.transcript, str) else ""
            pcm = part.audio if isinstance(part.audio, bytes) else b""
            return Tokens(text=tokens_of_text(said), audio=tokens_of_output(duration_ms(pcm)))
        case InputImage():
            return Tokens(image=_TOKENS_PER_IMAGE)
    return Tokens()
