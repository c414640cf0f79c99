"""Thinking: what the gateway answers, and how it is cut into deltas."""

import re
from typing import Final, Protocol, final, runtime_checkable

import attrs
from anyio.lowlevel import checkpoint

from ..audio import duration_ms
from ..events import FunctionCallOutput, Tool, ToolChoice
from ._answer import Answer, Fail
from ._conversation import KnownItem

# Long enough to recognise what one wrote, short enough to be read aloud.
_MAX_QUOTE_CHARS: Final = 200

_DELTA: Final = re.compile(r"\s*\S+|\s+")


@attrs.frozen(kw_only=True)
class HeardAudio:
    """A part of a user's turn that came as audio."""

    pcm: bytes = attrs.field(repr=lambda pcm: f"<{len(pcm)} bytes>")
    """What the caller sent: PCM16 little-endian, 24 kHz, mono."""
    speech_ms: int
    """How much of it is speech, in ms; 0 if nobody speaks."""


@attrs.frozen(kw_only=True)
class HeardText:
    """A part of a user's turn that came as text."""

    text: str


@attrs.frozen(kw_only=True)
class HeardImage:
    """A part of a user's turn that came as an image."""

    image_url: str = attrs.field(repr=lambda url: f"<{len(url)} characters>")
    """What the caller sent: a ``data:`` URI of a PNG or JPEG, or a URL, which nobody fetches."""


@attrs.frozen(kw_only=True)
class Heard:
    """The last turn of the user, part by part, and what else a model answers by."""

    parts: tuple[HeardAudio | HeardText | HeardImage, ...] = ()
    """What the user said, wrote and showed since the model last spoke, in order."""
    tool_outputs: tuple[FunctionCallOutput, ...] = ()
    """What the client's functions returned in this turn, in order."""
    history: tuple[KnownItem, ...] = ()
    """All items that the response is to see, oldest first: those of this turn are the last."""
    instructions: str = ""
    """What the model is told: the response's instructions, or else the session's."""
    tools: tuple[Tool, ...] = ()
    """What the model may call: the response's tools, or else the session's."""
    tool_choice: ToolChoice = "auto"
    """Whether it may, and what it must: ``"auto"``, ``"none"``, ``"required"`` or one tool."""

    @property
    def speech_ms(self) -> int:
        """How much speech there is in all audio parts, in ms."""
        return sum(part.speech_ms for part in self._audio)

    @property
    def audio_ms(self) -> float:
        """How much audio there is, in ms."""
        return sum(duration_ms(part.pcm) for part in self._audio)

    @property
    def speech(self) -> bytes:
        """The audio parts in which somebody speaks, joined; empty if there is none."""
        return b"".join(part.pcm for part in self._audio if part.speech_ms)

    @property
    def text(self) -> str:
        """The text parts, joined on one line; empty if there is none."""
        return " ".join(
            word
            for part in self.parts
            if isinstance(part, HeardText)
            for word in part.text.split()
        )

    @property
    def images(self) -> list[HeardImage]:
        """The parts that are images, in order."""
        return [part for part in self.parts if isinstance(part, HeardImage)]

    @property
    def _audio(self) -> list[HeardAudio]:
        return [part for part in self.parts if isinstance(part, HeardAudio)]


class Model(Protocol):
    """What thinks up the answer to a turn."""

    async def reply(self, heard: Heard) -> str | Answer:
        """Return the answer to the user's last turn: its text, or its parts.

        Cancelling must be safe: a barge-in cancels it, and no answer is then given.
        """
        ...


@runtime_checkable
class Transcriber(Protocol):
    """A model that has this too says what the user said, in sessions that transcribe."""

    async def transcribe(self, audio: HeardAudio) -> str | Fail:
        """Return the words of a user's turn, or why they can't be told.

        Cancelling must be safe: the end of the session cancels it.
        """
        ...


@final
class HonestModel:
    """A model that says what reached it, and claims no understanding."""

    async def reply(self, heard: Heard) -> str:
        """Return one sentence each about the speech, the text, the images and the outputs.

        Cancelling is safe: nothing has happened.
        """
        await checkpoint()
        return honest_reply(heard)


def honest_reply(heard: Heard) -> str:
    """Return what was heard, written, shown and returned, or that there was nothing."""
    sentences = [
        *_of_audio(heard),
        *_of_text(heard),
        *_of_images(heard),
        *_of_outputs(heard),
    ]
    return " ".join(sentences) or "I heard nothing yet."


def deltas(text: str) -> list[str]:
    """Return the text cut into words, as the wire's deltas; joined, they are exactly the text."""
    return _DELTA.findall(text)


def _of_audio(heard: Heard) -> list[str]:
    if heard.speech_ms:
        return [f"I heard {_seconds(heard.speech_ms)} of speech."]
    if heard.audio_ms:
        return [f"I heard {_seconds(heard.audio_ms)} of audio and no speech in it."]
    return []


def _of_text(heard: Heard) -> list[str]:
    return [f'You wrote: "{_quoted(heard.text)}".'] if heard.text else []


def _of_images(heard: Heard) -> list[str]:
    """Count them: nobody looks at what is in them."""
    count = len(heard.images)
    return [f"You showed me {count} image{'s' if count > 1 else ''}."] if count else []


def _of_outputs(heard: Heard) -> list[str]:
    return [f'A function returned: "{_quoted(item.output)}".' for item in heard.tool_outputs]


def _seconds(ms: float) -> str:
    """Return it with one decimal, "1.0 seconds" included; what is heard is never 0.0."""
    return f"{max(ms / 1000, 0.1):.1f} seconds"


def _quoted(text: str) -> str:
    return text if len(text) <= _MAX_QUOTE_CHARS else f"{text[: _MAX_QUOTE_CHARS - 1].rstrip()}…"
