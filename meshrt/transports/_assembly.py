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
            return self._continue(frame)
        if not frame.fin:
            self.is_partial = True
            self._begin(frame)
            return None
        return str(frame.data, "utf-8") if frame.opcode is Opcode.TEXT else bytes(frame.data)

    def _begin(self, frame: Frame) -> None:
        self._parts = bytearray()
        self._utf8 = _new_utf8_decoder() if frame.opcode is Opcode.TEXT else None
        self._append(frame)

    def _append(self, frame: Frame) -> None:
        self._parts += frame.data
        if self._utf8 is not None:
            # Only the verdict is wanted: 16 MiB of pieces of text would cost far more.
            self._utf8.decode(bytes(frame.data), frame.fin)

    def _continue(self, frame: Frame) -> str | bytes | None:
        self._append(frame)
        if not frame.fin:
            return None
        self.is_partial = False
        whole, self._parts = self._parts, bytearray()
        return bytes(whole) if self._utf8 is None else whole.decode()
