"""How much audio waits in the server's input buffer, as far as a client can know."""

from typing import Final, final

from ..errors import LocalProtocolError
from ..events import (
    AudioInput,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    Session,
)
from ._fields import bytes_per_ms, field_of
from ._outgoing import Prepared

_SHORTEST_COMMIT_MS: Final = 100  # the server answers less with `input_audio_buffer_commit_empty`


@final
class BufferedAudio:
    """Count what was appended since the buffer was last emptied.

    Where the server detects turns, it empties the buffer by itself, at a place that the client
    can't know: then nothing is refused. What is not certain counts as being there, since a commit
    too many is answered by an error, and a commit refused here is lost.
    """

    def __init__(self) -> None:
        self._bytes = 0

    def check(self, prepared: Prepared, session: Session | None) -> None:
        """Refuse a commit that the server would refuse.

        Raises:
            LocalProtocolError: There are less than 100 ms in the buffer.
        """
        if prepared.type != InputAudioBufferCommit.type or not _is_manual(session):
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
        elif prepared.type == InputAudioBufferClear.type or self._is_taken(prepared, session):
            self._bytes = 0

    def _is_taken(self, prepared: Prepared, session: Session | None) -> bool:
        """Tell whether this is a commit that the server will not refuse."""
        is_commit = prepared.type == InputAudioBufferCommit.type and _is_manual(session)
        return is_commit and self._buffered_ms(session) >= _SHORTEST_COMMIT_MS

    def _buffered_ms(self, session: Session | None) -> float:
        entrance = field_of(field_of(session, "audio"), "input")
        return self._bytes / bytes_per_ms(field_of(entrance, "format"))


def _is_manual(session: Session | None) -> bool:
    """Tell whether the server has said that it does not detect turns."""
    entrance = field_of(field_of(session, "audio"), "input")
    return isinstance(entrance, AudioInput) and entrance.turn_detection is None
