"""Nothing may be left of a session: no task, no socket, no warning about either."""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

_DESCRIPTORS = Path("/proc/self/fd")  # where there is none, tasks and warnings still tell


@asynccontextmanager
async def nothing_left() -> AsyncGenerator[None]:
    """Fail if a block leaves a task or an open socket behind.

    Sockets that were merely forgotten are closed by the collector, which warns; pytest makes
    failures of such warnings.
    """
    # Counted: AnyIO's plugin drives each step of a test by a task of its own, one at a time.
    tasks, sockets = len(anyio.get_running_tasks()), len(_sockets())
    yield
    left = anyio.get_running_tasks()
    gc.collect()
    assert len(left) <= tasks, left
    assert len(_sockets()) <= sockets


def _sockets() -> list[str]:
    links: list[str] = []
    for descriptor in _DESCRIPTORS.glob("*"):
        try:
            links.append(str(descriptor.readlink()))
        except OSError:  # the one that lists the folder
            continue
    return [link for link in links if link.startswith("socket:")]
