"""What a session's user gets: an event, its audio and its raw text."""

import attrs

from ..events import ResponseOutputAudioDelta
from ..protocol import AnyEvent


@attrs.frozen
class RealtimeMessage:
    """One message of the server.

    Attributes:
        event: The event, always; of an unknown kind it is an
            :class:`~meshrt.events.UnknownEvent`.
        text: The raw JSON text. That of audio deltas is ``None`` unless the session was asked to
            keep it, because it is larger than all the rest together.
    """

    event: AnyEvent
    text: str | None = attrs.field(default=None, repr=False)

    @property
    def audio(self) -> bytes | None:
        """The audio to play next, in the session's output format; ``None`` for other events.

        By default that is PCM16 little-endian, 24 kHz, mono.
        """
        return self.event.delta if isinstance(self.event, ResponseOutputAudioDelta) else None
