"""How values too long to show are shown."""

from typing import Final

from ._base import Maybe

_SHOWN_CHARS: Final = 80


def short(value: Maybe[bytes | str]) -> str:
    """Show how much there is of something too long to show."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{memoryview(value).nbytes} bytes>"
    if isinstance(value, str) and len(value) > _SHOWN_CHARS:
        return f"<{len(value)} characters>"
    return repr(value)
