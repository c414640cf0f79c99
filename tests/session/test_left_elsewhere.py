"""A block that is left in another task than the one that entered it: one clear error."""

import asyncio
from collections.abc import AsyncGenerator

import anyio
import anyio.lowlevel
import pytest
import trio
from support import (
    CancelAt,
    RawConnection,
    ScriptedServer,
    Way,
    at_each,
    connecting,
    raw_server,
    text_delta,
)

from meshrt.errors import LocalProtocolError
from meshrt.session import Connecting, RealtimeSession
from meshrt.transports import SessionClosed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

KIND = RawConnection.greet_and_serve


@pytest.fixture
def on_asyncio(anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("Trio does not let a task end before its nursery")


async def entered_by_a_task_that_is_done(connecting: Connecting) -> RealtimeSession:
    return await asyncio.create_task(connecting.__aenter__(), name="the one that entered")


async def left(connecting: Connecting, error: BaseException | None = None) -> BaseException:
    """Leave it, and return what comes out."""
    try:
        await connecting.__aexit__(None if error is None else type(error), error, None)
    except BaseException as raised:  # noqa: ASYNC103, BLE001  that is what is tested
        return raised  # noqa: ASYNC104  the same
    pytest.fail("it was left, and nothing was said")


async def callbacks_in(turns: int) -> int:
    """Count what asyncio's loop is given to do in so many of its turns, beside this task."""
    loop = asyncio.get_running_loop()
    original, count = loop.call_soon, 0

    def call_soon(*args: object, **kwargs: object) -> asyncio.Handle:
        nonlocal count
        count += 1
        return original(*args, **kwargs)  # type: ignore[arg-type]

    loop.call_soon = call_soon  # type: ignore[method-assign,assignment]
    try:
        for _ in range(turns):
            await asyncio.sleep(0)
    finally:
        del loop.call_soon
    return count - turns


@pytest.mark.usefixtures("on_asyncio")
async def test_it_is_one_error_that_says_who_and_what_to_do() -> None:
    with raw_server(KIND) as server:
        block = connecting(server.port)
        session = await entered_by_a_task_that_is_done(block)
        task = asyncio.current_task()
        assert task is not None
        task.set_name("the one that leaves")

        error = await left(block)

        assert type(error) is LocalProtocolError
        for words in ("'the one that entered'", "'the one that leaves'", "connect_in("):
            assert words in str(error)
        assert error.__context__ is None
        assert session.closed is not None
        with pytest.raises(SessionClosed):
            await session.receive()
        assert await callbacks_in(20) == 0
        await server.settled()


@pytest.mark.usefixtures("on_asyncio")
async def test_the_task_that_entered_goes_on_undisturbed() -> None:
    is_left = asyncio.Event()

    async def enter() -> str:
        await block.__aenter__()
        entered.set()
        await is_left.wait()
        with anyio.CancelScope():
            await anyio.lowlevel.checkpoint()
        return "undisturbed"

    with raw_server(KIND) as server:
        block = connecting(server.port)
        entered = asyncio.Event()
        entering = asyncio.create_task(enter())
        await entered.wait()

        error = await left(block)

        assert type(error) is LocalProtocolError
        assert await callbacks_in(20) == 0
        is_left.set()
        assert await entering == "undisturbed"
        assert await callbacks_in(20) == 0


@pytest.mark.usefixtures("on_asyncio")
@pytest.mark.parametrize("raised", [KeyError("x"), ExceptionGroup("…", [KeyError()])])
async def test_what_the_body_raised_is_the_context(raised: Exception) -> None:
    async with ScriptedServer() as server:
        block = server.connect()
        await entered_by_a_task_that_is_done(block)
        error = await left(block, raised)
        assert type(error) is LocalProtocolError
        assert error.__context__ is raised
        raised.__traceback__ = None


@pytest.mark.usefixtures("on_asyncio")
@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
async def test_an_interrupt_and_a_cancellation_go_on(raised: BaseException) -> None:
    async with ScriptedServer() as server:
        block = server.connect()
        session = await entered_by_a_task_that_is_done(block)
        passed_on = False
        try:
            passed_on = not await block.__aexit__(type(raised), raised, None)
        except BaseException as error:  # noqa: ASYNC103, BLE001  that is what is tested
            passed_on = error is raised
        assert passed_on
        assert session.closed is not None
        raised.__traceback__ = None


@pytest.mark.usefixtures("on_asyncio")
async def test_a_handler_that_waits_is_cancelled() -> None:
    handled: list[str] = []
    handling = anyio.Event()

    async def handle(_: object) -> None:
        handling.set()
        try:
            await anyio.sleep_forever()
        finally:
            handled.append("cancelled")

    async with ScriptedServer() as server:
        block = server.connect()
        session = await entered_by_a_task_that_is_done(block)
        session.on("message", handle)
        await server.say(text_delta(1))
        await handling.wait()
        assert type(await left(block)) is LocalProtocolError
        assert handled == ["cancelled"]


@pytest.mark.usefixtures("on_asyncio")
async def test_what_a_handler_raised_before_is_the_context() -> None:
    raised = KeyError()

    def fail(_: object) -> None:
        raise raised

    async with ScriptedServer() as server:
        block = server.connect()
        session = await entered_by_a_task_that_is_done(block)
        session.on("message", fail)
        await server.say(text_delta(1))
        await anyio.wait_all_tasks_blocked()
        assert await callbacks_in(20) == 0
        error = await left(block)
        assert type(error) is LocalProtocolError
        assert error.__context__ is raised
        raised.__traceback__ = None


@pytest.mark.usefixtures("on_asyncio")
async def test_it_may_be_cancelled_at_any_moment(way: Way) -> None:
    with raw_server(KIND) as server:

        async def scene(cancel: CancelAt) -> None:
            block = connecting(server.port)
            await entered_by_a_task_that_is_done(block)
            await cancel(lambda: block.__aexit__(None, None, None))
            await server.settled()

        outcomes = await at_each(way, scene)
        assert {type(it.error) for it in outcomes if not it.cancelled} <= {LocalProtocolError}
        assert type(outcomes[-1].error) is LocalProtocolError


@pytest.mark.usefixtures("on_asyncio")
async def test_a_generator_that_is_closed_in_another_task() -> None:
    async def fixture() -> AsyncGenerator[RealtimeSession]:  # what frameworks drive step by step
        async with connecting(server.port) as session:
            yield session  # noqa: ASYNC119  it does not

    with raw_server(KIND) as server:
        generator = fixture()
        session = await asyncio.create_task(anext(generator))  # type: ignore[arg-type]
        await session.receive()
        receiving = asyncio.create_task(session.receive())
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(LocalProtocolError, match="connect_in"):
            await generator.aclose()
        assert session.closed is not None
        with pytest.raises(SessionClosed):
            await receiving
        await anyio.wait_all_tasks_blocked()


async def test_trio_is_told_the_same_and_complains_of_the_task_that_entered(
    anyio_backend_name: str,
) -> None:
    if anyio_backend_name != "trio":
        pytest.skip("Trio's own complaint")
    entered, is_left = anyio.Event(), anyio.Event()

    async def enter() -> None:
        await block.__aenter__()
        entered.set()
        await is_left.wait()
        ended.append("undisturbed")

    ended: list[str] = []
    with raw_server(KIND) as server:
        block = connecting(server.port)
        with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="stack corrupted")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(enter)
                await entered.wait()
                error = await left(block)
                assert type(error) is LocalProtocolError
                await server.settled()
                is_left.set()
    assert ended == ["undisturbed"]
