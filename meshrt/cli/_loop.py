"""The event loop that a command runs on, and how Ctrl-C reaches it."""

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import anyio

from .._extras import missing_extra

_T = TypeVar("_T")

# Trio would raise KeyboardInterrupt between any two instructions of whatever task is running, and
# so between the making of a coroutine and its first step: Python then complains that it was never
# awaited. At a checkpoint of the main task nothing is half done. asyncio cancels that task anyway.
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "trio": {"restrict_keyboard_interrupt_to_checkpoints": True},
    "asyncio": {},
}


def backend_of(name: str | None) -> str:
    """Return the name of the event loop to run on: by default Trio where it is installed.

    Raises:
        ConfigurationError: It is not installed.
    """
    has_trio = find_spec("trio") is not None
    if name == "trio" and not has_trio:
        raise missing_extra(name, "trio")
    return name or ("trio" if has_trio else "asyncio")


def run(main: Callable[[], Awaitable[_T]], *, backend: str) -> _T:
    """Run a coroutine function to its end on ``"trio"`` or ``"asyncio"``.

    Raises:
        KeyboardInterrupt: Somebody pressed Ctrl-C; all tasks have ended.
    """
    return anyio.run(main, backend=backend, backend_options=_OPTIONS[backend])
