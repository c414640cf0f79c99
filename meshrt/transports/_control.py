"""The control frames that wait for the writer: never more than one of each kind."""

from collections.abc import Iterable
from typing import Final

from websockets.frames import Opcode

_OPCODE_BITS: Final = 0x0F  # RFC 6455, 5.2: the low half of the first byte


class ControlFrames:
    """Hold the latest pong, the latest ping and the CLOSE, as bytes ready for the wire.

    RFC 6455, 5.5.3, lets an endpoint that is behind answer only the most recent ping. So
    whatever a peer does, at most three frames of 131 bytes wait here.
    """

    # A CLOSE is the last word: what overtakes it is still heard, what follows it is not.
    _ORDER: Final = (Opcode.PONG, Opcode.PING, Opcode.CLOSE)

    def __init__(self) -> None:
        self._frames: dict[int, bytes] = {}

    def add(self, frames: Iterable[bytes]) -> None:
        """Take frames as the codec serialised them, one each; skip its marks for EOF."""
        self._frames.update((frame[0] & _OPCODE_BITS, frame) for frame in frames if frame)

    def take(self) -> bytes:
        """Hand out what waits, in the order in which it is to be written."""
        frames, self._frames = self._frames, {}
        return b"".join(frames[opcode] for opcode in self._ORDER if opcode in frames)

    def __len__(self) -> int:
        return sum(map(len, self._frames.values()))
