"""Inside whatever asyncio and AnyIO have to cancel with: the right exception, nothing left."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from support import RawConnection, RawScript, connecting, nothing_left, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

NEVER = 1000.0
PCM_6_MIB = bytes(6 * 2**20)  # as base64 more than the system buffers on a loopback

Work = Callable[[], Awaitable[None]]
Moment = Callable[[int, anyio.Event], Awaitable[None]]


def mute(connection: RawConnection) -> None:
    """Never greet."""
    connection.shake_hands()


def deaf(connection: RawConnection) -> None:
    """Greet and never read, until the test is over."""
    connection.greet()
    connection.wait()


# The moments: each gets stuck, and says so when it is about to be.


async def opening(port: int, stuck: anyio.Event) -> None:
    stuck.set()
    async with connecting(port, connect_timeout=NEVER):
        pytest.fail("the body may not begin")


async def sending(port: int, stuck: anyio.Event) -> None:
    async with connecting(port) as session:
        stuck.set()
        while True:
            await session.send_audio(PCM_6_MIB)


async def receiving(port: int, stuck: anyio.Event) -> None:
    async with connecting(port) as session:
        await session.receive()
        stuck.set()
        async for _ in session:
            pytest.fail("there is no more")
        pytest.fail("the iteration ended, and nobody ended the session")


async def closing(port: int, stuck: anyio.Event) -> None:
    async with connecting(port, close_timeout=NEVER) as session:
        stuck.set()
        await session.close()
        pytest.fail("nobody answered the close")


async def leaving(port: int, stuck: anyio.Event) -> None:
    async with connecting(port, close_timeout=NEVER):
        stuck.set()
    pytest.fail("nobody answered the close")


MOMENTS: list[tuple[Moment, RawScript]] = [
    (opening, mute),
    (sending, deaf),
    (receiving, RawConnection.greet_and_serve),
    (closing, RawConnection.greet_and_ignore_close),
    (leaving, RawConnection.greet_and_ignore_close),
]

# The contexts: each ends the work once it is stuck, in its own way, and judges what comes out.


async def settle(stuck: anyio.Event) -> None:
    await stuck.wait()
    await anyio.wait_all_tasks_blocked()


async def in_asyncio_timeout(work: Work, stuck: anyio.Event) -> None:
    async def expire() -> None:
        await settle(stuck)
        timeout.reschedule(asyncio.get_running_loop().time())

    expiring = asyncio.create_task(expire())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as timeout:
            await work()
    await expiring


async def in_wait_for(work: Work, stuck: anyio.Event) -> None:
    task = asyncio.create_task(asyncio.wait_for(work(), NEVER))
    await settle(stuck)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def in_wait_for_that_expires(work: Work, stuck: anyio.Event) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(work(), 0.05)


async def in_task_group(work: Work, stuck: anyio.Event) -> None:
    with pytest.RaisesGroup(KeyError):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work())
            await settle(stuck)
            raise KeyError


async def in_gather(work: Work, stuck: anyio.Event) -> None:
    gathered = asyncio.gather(work(), asyncio.sleep(NEVER))
    await settle(stuck)
    gathered.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathered


async def in_shield(work: Work, stuck: anyio.Event) -> None:
    inner = asyncio.create_task(work())
    outer = asyncio.create_task(shielded(inner))
    await settle(stuck)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert not inner.done()
    inner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await inner


async def shielded(inner: asyncio.Task[None]) -> None:
    await asyncio.shield(inner)


async def in_nested_scopes(work: Work, stuck: anyio.Event) -> None:
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            with outer, anyio.CancelScope() as inner:
                await work()
            assert outer.cancelled_caught
            assert not inner.cancelled_caught

        outer = anyio.CancelScope()
        tasks.start_soon(run)
        await settle(stuck)
        outer.cancel()


async def in_nested_shields(work: Work, stuck: anyio.Event) -> None:
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            with outer, anyio.CancelScope(shield=True):
                with inner:
                    await work()
                assert inner.cancelled_caught
                await anyio.lowlevel.checkpoint()

        outer = anyio.CancelScope()
        inner = anyio.CancelScope(shield=True)
        tasks.start_soon(run)
        await settle(stuck)
        outer.cancel()
        await anyio.wait_all_tasks_blocked()
        assert not inner.cancel_called
        inner.cancel()


ASYNCIO = [
    in_asyncio_timeout,
    in_wait_for,
    in_wait_for_that_expires,
    in_task_group,
    in_gather,
    in_shield,
]
ANYIO = [in_nested_scopes, in_nested_shields]


@pytest.mark.parametrize("context", [*ASYNCIO, *ANYIO])
@pytest.mark.parametrize(("moment", "script"), MOMENTS)
async def test_a_session_is_cancelled_as_anything_else_is(
    context: Callable[[Work, anyio.Event], Awaitable[None]],
    moment: Moment,
    script: RawScript,
    anyio_backend_name: str,
) -> None:
    if context in ASYNCIO and anyio_backend_name != "asyncio":
        pytest.skip("only asyncio has this")
    outcomes: list[BaseException] = []
    stuck = anyio.Event()

    async def work() -> None:
        try:
            await moment(server.port, stuck)
        except BaseException as error:
            outcomes.append(error)
            raise

    with raw_server(script) as server:
        async with nothing_left():
            await context(work, stuck)
            server.let_go()
            await server.settled()
    assert [type(outcome) for outcome in outcomes] == [anyio.get_cancelled_exc_class()]
    if anyio_backend_name == "asyncio":
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
