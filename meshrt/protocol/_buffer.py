"""How much audio waits in the server's input buffer, as far as a client can know."""

from typing import Final, final

from ..errors import LocalProtocolError
from ..events import (
    AudioInput,
    Error,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    RealtimeSessionConfig,
    Session,
    SessionCreated,
    SessionUpdated,
    TranscriptionSession,
)
from ._answers import Settled
from ._codec import AnyEvent
from ._fields import LEAST_BYTES_PER_MS, bytes_per_ms, field_of, is_known_format
from ._misfits import class_meant
from ._outgoing import Prepared

_SHORTEST_COMMIT_MS: Final = 100  # the server answers less with `input_audio_buffer_commit_empty`


@final
class BufferedAudio:
    """Count what was appended since the buffer was last emptied.

    It is the most that can be there: where the server detects turns, it empties the buffer by
    itself, at a place that the client can't know. What is not certain counts as being there,
    since a commit too many is answered by an error, and a commit refused here is lost. Who joined
    a session that another client feeds knows nothing of its buffer.
    """

    def __init__(self) -> None:
        self._bytes = 0
        self._committed: dict[str, int] = {}
        self._greeting: type[SessionCreated | SessionUpdated] | None = None

    def check(self, prepared: Prepared, session: Session | None) -> None:
        """Refuse a commit that the server would refuse.

        Raises:
            LocalProtocolError: There are less than 100 ms in the buffer.
        """
        if prepared.type != InputAudioBufferCommit.type or self._greeting is SessionUpdated:
            return
        buffered_ms = self._buffered_ms(session)
        if buffered_ms < _SHORTEST_COMMIT_MS:
            raise LocalProtocolError(
                f"nothing was sent: {buffered_ms:.0f} ms of audio were appended since the last "
                f"commit, and the server refuses less than {_SHORTEST_COMMIT_MS} ms; append more"
            )

    def sent(self, prepared: Prepared, session: Session | None) -> None:
        """Note an event of ours."""
        if prepared.type == InputAudioBufferAppend.type:
            self._bytes += prepared.audio_bytes
        elif prepared.type == InputAudioBufferClear.type:
            self._bytes = 0
            self._committed.clear()
        elif self._is_taken(prepared, session):
            self._committed[prepared.event_id] = self._bytes
            self._bytes = 0

    def saw(self, event: AnyEvent, settled: Settled | None) -> None:
        """Note an event of the server, and the command that it answers."""
        meant = class_meant(event)
        if self._greeting is None and (meant is SessionCreated or meant is SessionUpdated):
            self._greeting = meant
        if settled is not None:
            left = self._committed.pop(settled.event_id, 0)
            self._bytes += left if meant is Error else 0

    def _is_taken(self, prepared: Prepared, session: Session | None) -> bool:
        """Tell whether this is a commit that the server will hardly refuse."""
        is_commit = prepared.type == InputAudioBufferCommit.type and _is_manual(session)
        return is_commit and self._buffered_ms(session) >= _SHORTEST_COMMIT_MS

    def _buffered_ms(self, session: Session | None) -> float:
        return self._bytes / _input_bytes_per_ms(session)


def _is_manual(session: Session | None) -> bool:
    """Tell whether the server has said that it does not detect turns."""
    entrance = field_of(field_of(session, "audio"), "input")
    return isinstance(entrance, AudioInput) and entrance.turn_detection is None


def _input_bytes_per_ms(session: Session | None) -> float:
    """Return how much 1 ms is; of a format that nobody knows, the least that it may be."""
    entrance = field_of(field_of(session, "audio"), "input")
    audio_format = field_of(entrance, "format") or field_of(session, "input_audio_format")
    is_default = not audio_format and isinstance(
        session, RealtimeSessionConfig | TranscriptionSession
    )
    if is_default or is_known_format(audio_format):
        return bytes_per_ms(audio_format)
    return LEAST_BYTES_PER_MS
