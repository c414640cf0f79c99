"""The control frames that wait for the writer: a few pongs, one ping, one CLOSE."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from websockets.frames import Opcode

_OPCODE_BITS: Final = 0x0F  # RFC 6455, 5.2: the low half of the first byte


# A peer that measures by its pings, and Autobahn's 2.10 with ten at once, wants each answered.
MAX_PONGS: Final = 16


class ControlFrames:
    """Hold the latest pongs, the latest ping and the CLOSE, as bytes ready for the wire.

    RFC 6455, 5.5.3, lets an endpoint that is behind answer only the most recent ping; we answer
    the sixteen most recent. So whatever a peer does, at most 18 frames of 131 bytes wait here.
    """

    def __init__(self) -> None:
        self._pongs: list[bytes] = []  # no deque: an empty one is 760 bytes
        self._others: dict[int, bytes] = {}

    @property
    def has_close(self) -> bool:
        """Whether a CLOSE waits."""
        return Opcode.CLOSE in self._others

    def add(self, frames: Iterable[bytes]) -> None:
        """Take frames as the codec serialised them, one each; skip its marks for EOF."""
        for frame in filter(None, frames):
            opcode = frame[0] & _OPCODE_BITS
            if opcode == Opcode.PONG:
                self._pongs.append(frame)
                del self._pongs[:-MAX_PONGS]
            else:
                self._others[opcode] = frame

    def take(self) -> bytes:
        """Hand out what waits, in the order in which it is to be written."""
        frames = b"".join(self._in_order())
        self._pongs.clear()
        self._others.clear()
        return frames

    def _in_order(self) -> Iterator[bytes]:
        # A CLOSE is the last word: what overtakes it is still heard, what follows it is not.
        latest = (self._others.get(opcode, b"") for opcode in (Opcode.PING, Opcode.CLOSE))
        return chain(self._pongs, latest)

    def __bool__(self) -> bool:
        return bool(self._pongs or self._others)  # asked after each read

    def __len__(self) -> int:
        return sum(map(len, self._in_order()))
