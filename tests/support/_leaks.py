"""Nothing may be left of a session: no task, no socket, no warning about either."""

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio

_DESCRIPTORS = Path("/proc/self/fd")  # where there is none, tasks and warnings still tell


@asynccontextmanager
async def nothing_left() -> AsyncGenerator[None]:
    """Fail if a block leaves a task or an open socket behind, or if somebody complains of one.

    Sockets that were merely forgotten are closed by the collector, which warns; asyncio's
    loop is told of the exceptions of tasks and futures that nobody asked for.
    """
    # Counted: AnyIO's plugin drives each step of a test by a task of its own, one at a time.
    tasks, sockets = len(anyio.get_running_tasks()), len(_sockets())
    with complaints() as complained:
        yield
        left = anyio.get_running_tasks()
        gc.collect()
    assert len(left) <= tasks, left
    assert len(_sockets()) <= sockets, "a socket is left open"
    assert not complained, complained


@contextmanager
def complaints() -> Iterator[list[str]]:
    """Collect what is raised where nobody can catch it, and what asyncio's loop is told of."""
    complained: list[str] = []

    def unraisable(what: Any) -> None:
        complained.append(f"{what.err_msg or 'unraisable'}: {what.exc_value!r}, {what.object!r}")

    def handle(_loop: object, context: dict[str, Any]) -> None:
        complained.append(f"{context['message']}: {context.get('exception')!r}")

    before, sys.unraisablehook = sys.unraisablehook, unraisable
    loop = _asyncio_loop()
    handler = loop.get_exception_handler() if loop is not None else None
    if loop is not None:
        loop.set_exception_handler(handle)
    try:
        yield complained
    finally:
        sys.unraisablehook = before
        if loop is not None:
            loop.set_exception_handler(handler)


def _asyncio_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # on Trio
        return None


def _sockets() -> list[str]:
    links: list[str] = []
    for descriptor in _DESCRIPTORS.glob("*"):
        try:
            links.append(str(descriptor.readlink()))
        except OSError:  # the one that lists the folder
            continue
    return [link for link in links if link.startswith("socket:")]
