"""How a frame is laid out (RFC 6455, 5.2), and the XOR that masks it (5.3)."""

from typing import Final

try:
    from websockets.speedups import apply_mask  # in C
except ImportError:  # a platform without its wheel
    from websockets.utils import apply_mask

__all__ = [
    "BINARY",
    "IN_2_BYTES",
    "IN_8_BYTES",
    "KEY_BYTES",
    "MASKED",
    "SHORT_HEADER",
    "TEXT",
    "apply_mask",
]

TEXT: Final = 0x81  # the first byte: FIN and the opcode, and no reserved bit
BINARY: Final = 0x82
MASKED: Final = 0x80  # the bit beside the length that says that a key follows
IN_2_BYTES: Final = 126  # in place of a length: it follows, in so many bytes
IN_8_BYTES: Final = 127
SHORT_HEADER: Final = 2  # bytes, where nothing follows
KEY_BYTES: Final = 4
