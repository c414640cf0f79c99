"""A session inside whatever cancels it: the right exception comes out, and nothing is left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
from support import RawConnection, connecting, nothing_left, raw_server

from .promises import Found, Setting
from .sending import Deaf, beside_a_deaf_server
from .tools import Tally

_SOON_S = 0.03
_LONG_S = 5.0  # of a close that is cancelled long before

Function: TypeAlias = Callable[[], Awaitable[object]]
Around: TypeAlias = Callable[[Function], Awaitable[None]]
"""Run a function that waits for ever, have it cancelled, and check how that came out."""

Moment: TypeAlias = Callable[[Around], Awaitable[None]]
"""What a session does when it is cancelled."""


class Own(Exception):  # noqa: N818  no error of ours
    """What a sibling raises."""


async def around(setting: Setting) -> Found:
    """Try each surrounding at each moment."""
    tally = Tally()
    every = [*_OF_ANYIO, *(_OF_ASYNCIO if setting.backend == "asyncio" else ())]
    for surrounding in every:
        for moment in _MOMENTS:
            where = f"{moment.__name__} in {surrounding.__name__}"
            try:
                async with nothing_left():
                    await _in_a_task(setting, moment, surrounding)
            except BaseException as error:  # noqa: BLE001  it is what is looked for
                tally.expect(holds=False, what=f"{where}: {error!r:.60}")
            else:
                tally.expect(holds=True, what=where)
    return {"wrong": tally.found()}


async def _in_a_task(setting: Setting, moment: Moment, surrounding: Around) -> None:
    """Try it in a task of its own, in which no request to cancel may be left."""
    if setting.backend == "trio":
        await moment(surrounding)
        return

    async def run() -> int:
        await moment(surrounding)
        task = asyncio.current_task()
        return 0 if task is None else task.cancelling()

    _check(not await asyncio.create_task(run()))


def _check(holds: object) -> None:
    if not holds:
        raise RuntimeError("it did not come out as a cancellation, or left one behind")


async def _a_deadline(function: Function) -> None:
    try:
        with anyio.fail_after(_SOON_S):
            await function()
    except TimeoutError:
        return
    _check(holds=False)


async def _a_task_group(function: Function) -> None:
    async def fail() -> None:
        await anyio.sleep(_SOON_S)
        raise Own

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(function)
            tasks.start_soon(fail)
    except ExceptionGroup as group:
        _check([type(error) for error in group.exceptions] == [Own])
        return
    _check(holds=False)


async def _nested_scopes(function: Function) -> None:
    with anyio.CancelScope() as outer, anyio.CancelScope() as middle:
        with anyio.move_on_after(_SOON_S) as inner:
            await function()
        _check(inner.cancelled_caught)
        middle.cancel()
        await anyio.sleep_forever()
    _check(middle.cancelled_caught and not outer.cancelled_caught)


async def _nested_shields(function: Function) -> None:
    with anyio.move_on_after(_SOON_S / 2) as outer:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_SOON_S, shield=True) as inner:
            await function()
        _check(inner.cancelled_caught)
        await anyio.sleep_forever()
    _check(outer.cancelled_caught)


async def _timeout(function: Function) -> None:
    try:
        async with asyncio.timeout(_SOON_S):
            await function()
    except TimeoutError:
        return
    _check(holds=False)


async def _wait_for(function: Function) -> None:
    try:
        await asyncio.wait_for(function(), _SOON_S)
    except TimeoutError:
        return
    _check(holds=False)


async def _asyncios_task_group(function: Function) -> None:
    async def fail() -> None:
        await asyncio.sleep(_SOON_S)
        raise Own

    try:
        async with asyncio.TaskGroup() as tasks:
            # In a task of the group and in its body. In the body alone asyncio of 3.11 takes its
            # own cancellation back: from a group that waits for its tasks it leaves it behind.
            task = tasks.create_task(_awaited(function))
            tasks.create_task(fail())
            await function()
    except ExceptionGroup as group:
        _check([type(error) for error in group.exceptions] == [Own] and task.cancelled())
        return
    _check(holds=False)


async def _gather(function: Function) -> None:
    both = asyncio.gather(_awaited(function), _awaited(function), return_exceptions=True)
    asyncio.get_running_loop().call_later(_SOON_S, both.cancel)
    try:
        await both
    except asyncio.CancelledError:
        return
    _check(holds=False)


async def _shield(function: Function) -> None:
    task = asyncio.ensure_future(_awaited(function))
    try:
        async with asyncio.timeout(_SOON_S):
            await asyncio.shield(task)
    except TimeoutError:
        _check(not task.done())  # it went on, and is cancelled for itself
        task.cancel()
        await asyncio.wait([task])
        _check(task.cancelled())
        return
    _check(holds=False)


async def _awaited(function: Function) -> None:
    await function()


_OF_ANYIO: tuple[Around, ...] = (_a_deadline, _a_task_group, _nested_scopes, _nested_shields)
_OF_ASYNCIO: tuple[Around, ...] = (_timeout, _wait_for, _asyncios_task_group, _gather, _shield)


async def _connect(surrounding: Around) -> None:
    silent = Deaf()

    def script(connection: RawConnection) -> None:
        connection.shake_hands()
        silent.go.wait(20)

    with raw_server(script) as server:

        async def connect() -> None:
            async with connecting(server.port):
                pass

        await surrounding(connect)
        silent.go.set()
        await server.settled()


async def _receive(surrounding: Around) -> None:
    with raw_server(RawConnection.greet_and_serve) as server:

        async def receive() -> None:
            async with connecting(server.port) as session:
                async for _ in session:
                    pass

        await surrounding(receive)
        await server.settled()


async def _send(surrounding: Around) -> None:
    async def send() -> None:
        async with beside_a_deaf_server() as (session, _, _):
            while True:
                await session.send_audio(bytes(256 * 1024))

    await surrounding(send)


async def _close(surrounding: Around) -> None:
    with raw_server(RawConnection.greet_and_ignore_close) as server:

        async def close() -> None:
            async with connecting(server.port, close_timeout=_LONG_S) as session:
                await session.close()

        await surrounding(close)
        await server.settled()


_MOMENTS: tuple[Moment, ...] = (_connect, _receive, _send, _close)
