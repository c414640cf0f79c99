"""Cancel a function at each of its suspension points in turn, and say what came of it."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeAlias

import anyio
import attrs

from ._leaks import nothing_left

Function: TypeAlias = Callable[[], Awaitable[object]]


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of a function that was cancelled.

    Attributes:
        at: Where it was to be cancelled, counted from 1.
        asked: Whether it was: ``False`` if it was done before.
        cancelled: Whether it came out with the cancellation.
        error: What else came out, or ``None``.
        result: What it returned.
    """

    at: int
    asked: bool
    cancelled: bool = False
    error: BaseException | None = attrs.field(default=None, eq=False)
    result: object = None


class CancelAt:
    """One try: call it with the function, and it is cancelled at its ``at``-th suspension."""

    def __init__(self, way: "Way", at: int) -> None:
        self._way = way
        self.at = at
        self.outcome: Outcome

    async def __call__(self, function: Function) -> Outcome:
        """Run the function and cancel it; the way says how."""
        self.outcome = await self._way(function, self.at)
        return self.outcome


Way: TypeAlias = Callable[[Function, int], Awaitable[Outcome]]
"""How something is cancelled: see :data:`WAYS`."""
Scene: TypeAlias = Callable[[CancelAt], Awaitable[None]]
"""Set up what there is to be done, do it by the ``CancelAt``, and look at the outcome."""


async def at_each(way: Way, scene: Scene) -> list[Outcome]:
    """Play a scene with a cancellation at the first moment, the second, until it comes too late.

    After each, no task, no socket and no warning may be left.

    Raises:
        AssertionError: Something was left, or a cancellation was swallowed.
    """
    outcomes: list[Outcome] = []
    for at in itertools.count(1):
        cancel = CancelAt(way, at)
        async with nothing_left():
            await scene(cancel)
        outcomes.append(cancel.outcome)
        if not cancel.outcome.asked:
            return outcomes
    raise AssertionError


async def by_scope_at(function: Function, at: int) -> Outcome:
    """Cancel a scope of AnyIO's that is around the function, while it waits."""
    with anyio.CancelScope() as scope:
        asked = _Asked(scope.cancel)
        try:
            result = await _Counted(function(), at, asked)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  it is the outcome
            return Outcome(at=at, asked=asked.was, error=error)
        return Outcome(at=at, asked=asked.was, result=result)
    return Outcome(at=at, asked=True, cancelled=True)


async def by_task_at(function: Function, at: int) -> Outcome:
    """Cancel asyncio's task, of which AnyIO knows nothing, while it waits."""

    async def run(task: asyncio.Task[Any]) -> Outcome:
        # Not at once: while the task runs, it would be told at the next await and not at this.
        asked = _Asked(lambda: asyncio.get_running_loop().call_soon(task.cancel))
        return await _native(lambda: _Counted(function(), at, asked), task, at, asked)

    return await _in_a_task(run)


async def by_tick_at(function: Function, at: int) -> Outcome:
    """Cancel asyncio's task right behind the n-th callback that its loop is given.

    That is at each of the moments that the loop has, also where only a child task has gone on.
    The function has to end by itself: where it waits for good, the loop is given nothing more.
    """

    async def run(task: asyncio.Task[Any]) -> Outcome:
        asked = _Asked(task.cancel)
        with _after_callbacks(at, asked):
            return await _native(function, task, at, asked)

    return await _in_a_task(run)


async def by_both_at(function: Function, at: int) -> Outcome:
    """Cancel asyncio's task as :func:`by_tick_at` does, and with it a scope around the function.

    The scope may keep its own cancellation only: the task's comes out of it.
    """

    async def run(task: asyncio.Task[Any]) -> Outcome:
        scope = anyio.CancelScope()

        def ask() -> None:
            scope.cancel()
            task.cancel()

        async def scoped() -> object:
            with scope, _after_callbacks(at, asked):
                result = await function()
            assert not asked.was, "the scope has swallowed the task's cancellation"
            return result

        asked = _Asked(ask)
        return await _native(scoped, task, at, asked)

    return await _in_a_task(run)


WAYS: tuple[Way, ...] = (by_scope_at, by_task_at, by_tick_at)


def has_way(way: Way, backend: str) -> bool:
    """Whether a loop has this way."""
    return way is by_scope_at or backend == "asyncio"


class _Asked:
    """Ask for the cancellation, once."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self.was = False

    def __call__(self) -> None:
        if not self.was:
            self.was = True
            self._ask()


class _Counted:
    """Pass on what an awaitable yields to the loop, and do something at the n-th time."""

    def __init__(self, inner: Awaitable[object], at: int, act: Callable[[], None]) -> None:
        self._inner = inner
        self._left = at
        self._act = act

    def __await__(self) -> Generator[Any, Any, object]:
        steps = self._inner.__await__()
        step, value = steps.send, None
        while True:
            try:
                trap = step(value)
            except StopIteration as stop:
                return stop.value
            self._left -= 1
            if self._left == 0:
                self._act()
            try:
                step, value = steps.send, (yield trap)
            except BaseException as error:  # noqa: BLE001, ASYNC103  the inner one's to handle
                step, value = steps.throw, error


async def _in_a_task(run: Callable[[asyncio.Task[Any]], Awaitable[Outcome]]) -> Outcome:
    async def main() -> Outcome:
        task = asyncio.current_task()
        assert task is not None
        return await run(task)

    return await asyncio.create_task(main())


async def _native(function: Function, task: asyncio.Task[Any], at: int, asked: _Asked) -> Outcome:
    """Run it as ``asyncio.timeout`` would, which must find its own request, and no other."""
    try:
        result = await function()
    except asyncio.CancelledError:  # noqa: ASYNC103  it was asked for here
        assert asked.was, "cancelled by nobody"
        assert task.uncancel() == 0, "cancelled more than once"
        return Outcome(at=at, asked=True, cancelled=True)  # noqa: ASYNC104  the same
    except BaseException as error:  # noqa: BLE001  it is the outcome
        assert task.cancelling() == int(asked.was)
        return Outcome(at=at, asked=asked.was, error=error)
    assert not task.cancelling(), "the cancellation was swallowed"
    return Outcome(at=at, asked=False, result=result)


@contextmanager
def _after_callbacks(count: int, act: Callable[[], None]) -> Generator[None]:
    """Do something as soon as the loop has been given so many callbacks, behind the last."""
    loop = asyncio.get_running_loop()
    original = loop.call_soon
    left = count

    def call_soon(*args: Any, **kwargs: Any) -> asyncio.Handle:
        nonlocal left
        handle = original(*args, **kwargs)
        left -= 1
        if left == 0:
            original(act)
        return handle

    loop.call_soon = call_soon  # type: ignore[method-assign]
    try:
        yield
    finally:
        del loop.call_soon
