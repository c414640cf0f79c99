"""The event loops, each started as its own documentation says; imports nothing until it must."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


def run(loop: str, main: Callable[[], Awaitable[_T]]) -> _T:
    """Run a coroutine function on Trio, on asyncio, or on asyncio with uvloop."""
    if loop == "Trio":
        import trio

        return trio.run(main)
    result: _T = _run_on_asyncio(main, uses_uvloop=loop == "uvloop")
    return result


def _run_on_asyncio(main: Callable[[], Any], *, uses_uvloop: bool) -> Any:
    import asyncio

    factory = None
    if uses_uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())
