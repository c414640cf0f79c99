"""The one frame that is nearly all traffic: a whole text, short enough for a length of 16 bits.

Parsed in place it costs a fraction of what a parser for every frame does. Whatever is not of this
kind, or wrong in any way, is left to the codec, which sees it from its first byte on.
"""

from typing import Final

from websockets.frames import Opcode

from ._layout import IN_2_BYTES, IN_8_BYTES, KEY_BYTES, MASKED, SHORT_HEADER, TEXT

_OPCODE: Final = 0x0F
_OPCODES: Final = frozenset(Opcode)


def read_texts(data: bytes, at: int, limit: int, messages: list[str | bytes]) -> int:
    """Read the plain frames that begin at a place; return where the first other one begins.

    Raises:
        UnicodeDecodeError: A text is not UTF-8.
    """
    end = len(data)
    while end - at >= SHORT_HEADER and data[at] == TEXT:
        size, start = data[at + 1], at + SHORT_HEADER
        if size == IN_2_BYTES and end - start >= 2:  # noqa: PLR2004
            size = data[start] << 8 | data[start + 1]
            start += 2
        elif size >= IN_2_BYTES:
            break
        stop = start + size
        if stop > end or size > limit:
            break
        messages.append(data[start:stop].decode())
        at = stop
    return at


def size_of_frame(data: bytes, at: int) -> int | None:
    """Return how long a frame is with its header; ``None`` if its header is not whole."""
    if len(data) - at < SHORT_HEADER:
        return None
    size = data[at + 1] & ~MASKED
    width = {IN_2_BYTES: 2, IN_8_BYTES: 8}.get(size, 0)
    start = at + SHORT_HEADER + width
    if len(data) < start:
        return None
    if width:
        size = int.from_bytes(data[start - width : start], "big")
    return start - at + size + (KEY_BYTES if data[at + 1] & MASKED else 0)


def is_refused(first: int, second: int, *, masked: bool) -> bool:
    """Tell whether the codec refuses a frame by its first two bytes (RFC 6455, 5.1 and 5.2).

    Of what else is wrong with them it says nothing until it has the whole frame.
    """
    return first & _OPCODE not in _OPCODES or bool(second & MASKED) is not masked
