"""Whole messages out of data frames."""

import codecs
from typing import Final

from websockets.frames import Frame, Opcode

_new_utf8_decoder: Final = codecs.getincrementaldecoder("utf-8")


class Assembly:
    """Put fragments together and decode text, strictly.

    The codec has checked the order of the frames and the size of the whole.
    """

    def __init__(self) -> None:
        self._parts = bytearray()
        self._utf8: codecs.IncrementalDecoder | None = None
        self.is_partial = False

    def add(self, frame: Frame) -> str | bytes | None:
        """Take a data frame; return the message that it completes.

        Raises:
            UnicodeDecodeError: Text is not UTF-8 (RFC 6455, 8.1); found at the first fragment
                that shows it, not at the end of the message.
        """
        if frame.opcode is Opcode.CONT:
            return self.append(frame.data, is_last=frame.fin)
        if not frame.fin:
            self.begin(frame.opcode)
            return self.append(frame.data, is_last=False)
        return str(frame.data, "utf-8") if frame.opcode is Opcode.TEXT else bytes(frame.data)

    def begin(self, opcode: Opcode) -> None:
        """Begin a message that comes in pieces."""
        self.is_partial = True
        self._parts = bytearray()
        self._utf8 = _new_utf8_decoder() if opcode is Opcode.TEXT else None

    def append(
        self, piece: bytes | bytearray | memoryview, *, is_last: bool
    ) -> str | bytes | None:
        """Take a piece of the message that was begun; return it if this was the last one.

        Raises:
            UnicodeDecodeError: As for :meth:`add`.
        """
        self._parts += piece
        if self._utf8 is not None:
            # Only the verdict is wanted: 16 MiB of pieces of text would cost far more.
            self._utf8.decode(bytes(piece), is_last)
        if not is_last:
            return None
        self.is_partial = False
        whole, self._parts = self._parts, bytearray()
        return bytes(whole) if self._utf8 is None else whole.decode()
