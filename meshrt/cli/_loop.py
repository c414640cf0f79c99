"""The event loop that a command runs on, and how Ctrl-C reaches it."""

import socket
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from typing import TypeVar

import anyio

from .._extras import missing_extra
from ._interrupt import Interrupt

_T = TypeVar("_T")


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
    with Interrupt() as interrupt:
        results = anyio.run(partial(_until, interrupt, main), backend=backend)
    return results[0]


async def _until(interrupt: Interrupt, main: Callable[[], Awaitable[_T]]) -> list[_T]:
    """Return the result in a list, or an empty one where Ctrl-C cancelled it."""
    results: list[_T] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel, tasks.cancel_scope, interrupt.heard)
        results.append(await main())
        tasks.cancel_scope.cancel("the command is done")
    return results


async def _cancel(scope: anyio.CancelScope, heard: socket.socket) -> None:
    await anyio.wait_readable(heard)
    scope.cancel("Ctrl-C")
