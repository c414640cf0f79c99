"""Messages as frames, in pieces that are fit to be written."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ._layout import BINARY, IN_2_BYTES, IN_8_BYTES, KEY_BYTES, MASKED, TEXT, apply_mask

# A long message goes out in pieces: so it is known whether it gets on, and there is no second
# one of it with its mask. A multiple of the key's length.
WRITE_BYTES: Final = 128 * 1024


def frames(payloads: Sequence[tuple[bytes, bool]], *, masked: bool) -> Iterator[bytes]:
    """Yield the bytes of frames, header and payload apart; long payloads in pieces.

    Args:
        payloads: What goes into each, and whether it is text.
        masked: As a client's must be, each with a key of its own (RFC 6455, 5.3).
    """
    keys = os.urandom(KEY_BYTES * len(payloads)) if masked else b""
    for number, (payload, is_text) in enumerate(payloads):
        key = keys[KEY_BYTES * number : KEY_BYTES * (number + 1)]
        yield _header(len(payload), TEXT if is_text else BINARY, MASKED if key else 0) + key
        if len(payload) <= WRITE_BYTES:
            yield apply_mask(payload, key) if key else payload
        else:
            yield from _pieces(payload, key)


def pieces_for_writing(parts: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Join parts to writes: one if there are few bytes in all, else of ``WRITE_BYTES`` or so."""
    if size <= WRITE_BYTES:
        yield b"".join(parts)
        return
    held, size = [], 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= WRITE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _header(size: int, first: int, bit: int) -> bytes:
    if size < IN_2_BYTES:
        return bytes((first, bit | size))
    if size < 2**16:
        return bytes((first, bit | IN_2_BYTES, size >> 8, size & 255))
    return bytes((first, bit | IN_8_BYTES)) + size.to_bytes(8, "big")


def _pieces(payload: bytes, key: bytes) -> Iterator[bytes]:
    for start in range(0, len(payload), WRITE_BYTES):
        piece = payload[start : start + WRITE_BYTES]
        yield apply_mask(piece, key) if key else piece
