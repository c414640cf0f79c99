"""The ways to be cancelled: a scope of AnyIO, and asyncio's own two."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
import anyio.lowlevel

Function: TypeAlias = Callable[[], Awaitable[object]]
Canceller: TypeAlias = Callable[[Function, int], Awaitable[bool]]
"""Run a function, cancel it after so many turns of the loop; say whether it was still running."""


async def by_scope(function: Function, ticks: int) -> bool:
    """Cancel a scope around the function, from another task."""
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await function()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        for _ in range(ticks):
            await anyio.lowlevel.checkpoint()
        scope.cancel()
    return scope.cancelled_caught


async def by_task(function: Function, ticks: int) -> bool:
    """Cancel asyncio's task, of which AnyIO knows nothing."""
    task = asyncio.ensure_future(function())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return task.cancelled()


async def by_timeout(function: Function, ticks: int) -> bool:
    """Let ``asyncio.timeout`` expire, which must find its own cancellation again."""
    expired = False

    async def run() -> None:
        nonlocal expired
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as timeout:
                handles.append(timeout)
                await function()
        expired = handles[0].expired()
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0

    handles: list[asyncio.Timeout] = []
    task = asyncio.ensure_future(run())
    for _ in range(ticks + 1):
        await asyncio.sleep(0)
    if not task.done():
        handles[0].reschedule(asyncio.get_running_loop().time())
    await task
    return expired


CANCELLERS: tuple[Canceller, ...] = (by_scope, by_task, by_timeout)


def works_on(canceller: Canceller, backend: str) -> bool:
    """Whether a loop has this way."""
    return canceller is by_scope or backend == "asyncio"
