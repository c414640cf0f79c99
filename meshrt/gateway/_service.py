"""What a session does for its client: a dialogue or a translation, over the same line."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, final

import anyio.abc
import attrs
from anyio.lowlevel import checkpoint

from ..events import Event
from ._pacing import Pacing
from ._speaking import Voice
from ._thinking import HeardAudio, Model, Transcriber


@final
class HonestTranscriber:
    """Says how much speech there is, and claims no understanding of it."""

    async def transcribe(self, audio: HeardAudio) -> str:
        """Return the length of the speech in brackets; nothing where nobody speaks.

        Cancelling is safe: nothing has happened.
        """
        await checkpoint()
        seconds = max(audio.speech_ms / 1000, 0.1)
        return f"[{seconds:.1f} seconds of speech]" if audio.speech_ms else ""


@attrs.frozen(kw_only=True)
class Line:
    """What a service has of its client's connection."""

    tasks: anyio.abc.TaskGroup
    """Where it may start tasks, which end with the session."""
    emit: Callable[[Event], None]
    """Sends an event."""
    room: Callable[[int], Awaitable[None]]
    """Waits until the client has read enough for so many bytes more."""
    failed: Callable[[Exception], None]
    """Ends the session because of what a model or a voice raised."""
    hang_up: Callable[[], None]
    """Ends the session because all is said."""


@attrs.frozen(kw_only=True)
class Cast:
    """Who thinks, speaks and listens."""

    model: Model
    """Thinks up the answers."""
    voice: Voice
    """Speaks them."""
    pacing: Pacing = "none"
    """How fast their audio goes out."""

    @property
    def transcriber(self) -> Transcriber:
        """Who says what the user said: the model, if it can."""
        return self.model if isinstance(self.model, Transcriber) else HonestTranscriber()


class Service(Protocol):
    """Serves the events of one client."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The session's configuration as it is now."""
        ...

    @property
    def supported(self) -> list[str]:
        """The wire names of the events that it takes."""
        ...

    def serve(self, event: Event) -> None:
        """Do what an event asks for.

        Raises:
            Refusal: It can't be done, or is not for this kind of session; nothing was done.
        """
        ...
