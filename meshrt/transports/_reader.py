"""Bytes to whole messages, past the codec: what has nothing wrong about it is read in place.

That is nearly all traffic. Whatever else comes, or is wrong in any way, is left to the codec, one
frame at a time, which sees it from its first byte on.
"""

from collections.abc import Callable
from typing import Final, final

from ._assembly import Assembly
from ._layout import IN_8_BYTES, TEXT
from ._long import LongFrame, long_frame
from ._plain import is_refused, read_texts, size_of_frame

# At most so much goes to the codec at once, before the flood gate looks.
SLICE_BYTES: Final = 16 * 1024


@final
class FrameReader:
    """Tell who reads which frame, and read those that need no codec.

    Args:
        assembly: Where the codec's fragments go too: while a message comes in fragments, all is
            the codec's.
        limit: The size of the largest message.
        is_client: Whether frames come from a server, and so are not masked.

    Attributes:
        messages: Those that are complete and were not taken yet.
    """

    def __init__(self, assembly: Assembly, limit: int, *, is_client: bool) -> None:
        self._assembly = assembly
        self._limit = limit
        self._is_client = is_client
        self._rest = b""  # of a frame that will be read at once when it is whole
        self._long: LongFrame | None = None
        self._owed = 0  # bytes of a frame that the codec has begun to parse
        self.messages: list[str | bytes] = []

    def feed(self, data: bytes, parse: Callable[[bytes], bool]) -> None:
        """Read what came.

        Args:
            data: The bytes.
            parse: Leaves bytes to the codec; ``False`` means that nothing more is to be read.

        Raises:
            UnicodeDecodeError: A text is not UTF-8; nothing more is to be read.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        at = 0
        while at < len(data):
            if self._owed:
                step = min(self._owed, len(data) - at, SLICE_BYTES)
                self._owed -= step
                if not parse(data[at : at + step]):
                    return
                at += step
            elif self._long is not None:
                at = self._read_piece(self._long, data, at)
            else:
                at = self._read_frame(data, at)

    def _read_frame(self, data: bytes, at: int) -> int:
        """Read the messages that come whole, and decide who reads what comes after them."""
        if not self._assembly.is_partial:
            at = self._read_whole(data, at)
            if self._long is not None or at == len(data):
                return at
        size = size_of_frame(data, at)
        if size is None:
            return self._read_header(data, at)
        if at + size > len(data) and self._is_plain(data, at, size):
            self._rest, at = data[at:], len(data)
        else:
            self._owed = size
        return at

    def _read_whole(self, data: bytes, at: int) -> int:
        """Read the short texts of a server, and the beginning of a long message."""
        if self._is_client:
            at = read_texts(data, at, self._limit, self.messages)
            if at == len(data):
                return at
        if begun := long_frame(data, at, self._limit, masked=not self._is_client):
            self._long, at = begun
            self._assembly.begin(self._long.opcode)
        return at

    def _read_piece(self, frame: LongFrame, data: bytes, at: int) -> int:
        piece = frame.take(data, at)
        if not frame.left:
            self._long = None
        message = self._assembly.append(piece, is_last=not frame.left)
        if message is not None:
            self.messages.append(message)
        return at + len(piece)

    def _read_header(self, data: bytes, at: int) -> int:
        """Keep a header that is not whole; one that the codec refuses already is its own."""
        if len(data) - at > 1 and is_refused(data[at], data[at + 1], masked=not self._is_client):
            self._owed = len(data) - at
            return at
        self._rest = data[at:]
        return len(data)

    def _is_plain(self, data: bytes, at: int, size: int) -> bool:
        """Tell whether a frame that is not whole yet will be read at once when it is."""
        return (
            self._is_client
            and not self._assembly.is_partial
            and data[at] == TEXT
            and data[at + 1] < IN_8_BYTES
            and size <= self._limit
        )
