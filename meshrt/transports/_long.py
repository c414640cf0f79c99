"""A whole message in one frame, so long that no more of it should be there than has to.

The codec collects a frame before it hands it out, cuts it off what it collected, and unmasks that;
then the message is made of it. Taken piece by piece, it is there once, and twice only while the
pieces become a message.
"""

from typing import Final

import attrs
from websockets.frames import Opcode

from ._layout import BINARY, IN_8_BYTES, KEY_BYTES, MASKED, SHORT_HEADER, TEXT, apply_mask

_OPCODE_OF: Final = {TEXT: Opcode.TEXT, BINARY: Opcode.BINARY}
_HEADER: Final = SHORT_HEADER + 8
_LONG: Final = 2**16  # a shorter one that gives its length in 8 bytes breaks a rule


@attrs.define
class LongFrame:
    """What is still to come of the frame whose header was read.

    Attributes:
        opcode: What its message is.
        left: How many bytes of its payload are to come.
        key: What masks the next of them; empty in a frame of a server.
    """

    opcode: Opcode
    left: int
    key: bytes

    def take(self, data: bytes, at: int) -> bytes:
        """Return what these bytes hold of the payload, unmasked."""
        piece = data[at : at + self.left]
        self.left -= len(piece)
        if not self.key:
            return piece
        turn = len(piece) % KEY_BYTES
        masked, self.key = self.key, self.key[turn:] + self.key[:turn]
        return apply_mask(piece, masked)


def long_frame(data: bytes, at: int, limit: int, *, masked: bool) -> tuple[LongFrame, int] | None:
    """Read the header of such a frame; return it, and where its payload begins.

    ``None`` means that the frame is another one, that something is wrong with it, or that its
    header is not whole.
    """
    start = at + _HEADER + KEY_BYTES * masked
    if len(data) < start or data[at] not in _OPCODE_OF:
        return None
    if data[at + 1] != IN_8_BYTES | MASKED * masked:
        return None
    size = int.from_bytes(data[at + SHORT_HEADER : at + _HEADER], "big")
    if not _LONG <= size <= limit:
        return None
    return LongFrame(_OPCODE_OF[data[at]], size, data[at + _HEADER : start]), start
