"""The XOR of RFC 6455, 5.3: websockets' own, in C where its wheel has it."""

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without its wheel
    from websockets.utils import apply_mask

__all__ = ["KEY_BYTES", "MASKED", "apply_mask"]

KEY_BYTES = 4
MASKED = 0x80  # the bit beside the length that says that a key follows
