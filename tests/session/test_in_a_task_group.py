"""A session in somebody else's task group: it comes out, it ends, and the group hears no more."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
from support import (
    PCM,
    CancelAt,
    Canceller,
    RawConnection,
    ScriptedServer,
    Way,
    Wrapped,
    at_each,
    connecting,
    created,
    error,
    ours,
    raw_server,
    text_delta,
    texts_of,
)

from meshrt.errors import ConfigurationError, RealtimeError
from meshrt.session import AnyTaskGroup, Connecting, enter_in
from meshrt.transports import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    HandshakeRejected,
    SessionClosed,
    Transport,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

Groups = Callable[[], AbstractAsyncContextManager[AnyTaskGroup]]
GROUPS = {
    "anyio": anyio.create_task_group,
    "nursery": trio.open_nursery,
    "asyncio": asyncio.TaskGroup,
}


@pytest.fixture(params=GROUPS)
def create_group(request: pytest.FixtureRequest, anyio_backend_name: str) -> Groups:
    """Make a task group of each kind that the running loop has."""
    needs = {"anyio": anyio_backend_name, "nursery": "trio", "asyncio": "asyncio"}
    if needs[request.param] != anyio_backend_name:
        pytest.skip("of another loop")
    groups: Groups = GROUPS[request.param]
    return groups


async def test_a_session_is_used_by_any_task_and_closed_by_any(create_group: Groups) -> None:
    async with ScriptedServer(created(), text_delta("hello")) as server:
        async with create_group() as group:
            session = await enter_in(group, server.connect())
            await session.send_audio(PCM)
            assert texts_of([await session.receive() for _ in range(2)]) == ["hello"]
            async with anyio.create_task_group() as others:  # noqa: ASYNC112  another task is the point
                others.start_soon(session.close)
        assert session.closed is not None
        assert session.closed.initiator == "client"
        await server.ended.wait()
        assert server.close_code == 1000
        with pytest.raises(SessionClosed):
            await session.receive()


async def test_a_group_waits_for_its_session_to_be_closed(create_group: Groups) -> None:
    async def hold() -> None:
        async with create_group() as group:
            sessions.append(await enter_in(group, server.connect()))
        left.set()

    sessions: list[Any] = []
    left = anyio.Event()
    async with ScriptedServer() as server, anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await anyio.wait_all_tasks_blocked()
        assert sessions
        assert not left.is_set()
        await sessions[0].close()
        await left.wait()


REFUSALS: list[tuple[dict[str, Any], float, type[Exception]]] = [
    (error("No.", code="invalid_api_key"), 10, HandshakeRejected),
    (text_delta("no greeting"), 0.01, ConnectTimeout),
]


@pytest.mark.parametrize(("said", "timeout", "raised"), REFUSALS)
async def test_a_refusal_comes_out_bare_and_the_group_goes_on(
    create_group: Groups,
    said: dict[str, Any],
    timeout: float,  # noqa: ASYNC109  the session's own
    raised: type[Exception],
) -> None:
    async with ScriptedServer(said) as server, create_group() as group:
        with pytest.raises(raised) as caught:
            await enter_in(group, server.connect(connect_timeout=timeout))
        assert type(caught.value) is raised
        assert caught.value.__context__ is None
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("raised", [ConnectError("nobody"), KeyboardInterrupt(), SystemExit(3)])
async def test_what_opening_raises_comes_out_as_it_is(
    create_group: Groups, raised: BaseException
) -> None:
    async def fail(_tasks: object) -> Transport:
        await anyio.lowlevel.checkpoint()
        raise raised

    raised.__context__ = context = OSError()
    raised.__cause__ = cause = KeyError()
    async with create_group() as group:
        caught: BaseException | None = None
        try:
            await enter_in(group, Connecting(fail))
        except BaseException as error:  # noqa: ASYNC103, BLE001  that is what is tested
            caught = error
        assert caught is raised
        assert raised.__context__ is context
        assert raised.__cause__ is cause
    raised.__traceback__ = raised.__context__ = raised.__cause__ = None


async def test_a_server_that_refuses_the_configuration_is_no_failure_of_the_group(
    create_group: Groups,
) -> None:
    async with ScriptedServer() as server, create_group() as group:
        server.replies["session.update"] = lambda _: error("No such voice.")
        with pytest.raises(RealtimeError, match="No such voice"):
            await enter_in(group, server.connect(session={"type": "realtime"}))


@pytest.mark.parametrize("code", [1000, 1011])
async def test_an_end_by_the_server_is_told_to_the_reader_and_not_to_the_group(
    create_group: Groups, code: int
) -> None:
    async with ScriptedServer(created(), text_delta(1), text_delta(2)) as server:
        async with create_group() as group:
            session = await enter_in(group, server.connect())
            await server.say_and_close(text_delta(3), code=code)
        # The group has gone, and what had come before the end is there yet.
        assert texts_of([await session.receive() for _ in range(4)]) == ["1", "2", "3"]
        with pytest.raises(anyio.EndOfStream if code == 1000 else ConnectionLost):
            await session.receive()
        assert session.closed is not None
        assert session.closed.code == code


async def test_a_listener_hears_to_the_end_too(create_group: Groups) -> None:
    async with ScriptedServer() as server:
        async with create_group() as group:
            session = await enter_in(group, server.connect())
            listener = session.listen("response.*")
            await server.say_and_close(text_delta(1), text_delta(2))
        assert texts_of([message async for message in listener]) == ["1", "2"]


async def test_what_nobody_reads_is_gone_with_the_session(create_group: Groups) -> None:
    async with ScriptedServer() as server:
        async with create_group() as group:
            session = await enter_in(group, server.connect())
            await server.say_and_close(text_delta(3))
        del session
        gc.collect()  # `no_leaks` would hear of a stream that is open


async def test_a_group_that_is_cancelled_cuts_its_session_off(anyio_backend_name: str) -> None:
    async with ScriptedServer(answers_close=False) as server:
        async with anyio.create_task_group() as group:
            session = await enter_in(group, server.connect(close_timeout=1000))
            group.cancel_scope.cancel()
        await server.ended.wait()
        assert server.close_code is None
        with pytest.raises(SessionClosed):
            await session.send_audio(PCM)


async def test_a_group_that_fails_cuts_its_session_off(create_group: Groups) -> None:
    async with ScriptedServer(answers_close=False) as server:
        with pytest.RaisesGroup(KeyError):
            async with create_group() as group:
                await enter_in(group, server.connect(close_timeout=1000))
                raise KeyError
        await server.ended.wait()
        assert server.close_code is None


async def test_what_a_handler_raises_is_raised_in_the_group(create_group: Groups) -> None:
    def fail(_: object) -> None:
        raise KeyError

    async with ScriptedServer() as server:
        with pytest.RaisesGroup(KeyError):
            async with create_group() as group:
                session = await enter_in(group, server.connect())
                session.on("message", fail)
                await server.say(text_delta(1))
                await anyio.sleep_forever()


async def test_what_a_handler_raises_may_be_reported_in_its_place(
    create_group: Groups, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise KeyError

    async with ScriptedServer() as server:
        async with create_group() as group:
            session = await enter_in(group, server.connect(handler_errors="report"))
            session.on("message", fail)
            await server.say(text_delta(1))
            await anyio.wait_all_tasks_blocked()
            await session.close()
    assert len(ours(caplog)) == 1


async def test_handlers_of_the_close_are_called(create_group: Groups) -> None:
    codes = []
    async with ScriptedServer() as server:
        async with create_group() as group:
            session = await enter_in(group, server.connect())
            session.on("close", lambda code, _reason: codes.append(code))
            await session.close(3001)
    assert codes == [3001]


async def test_whoever_cancels_the_call_leaves_nothing_open(
    create_group: Groups, cancel: Canceller
) -> None:
    async def call() -> None:
        try:
            await enter_in(group, server.connect())
        finally:
            aborts.append(transport.aborts)

    aborts: list[int] = []
    async with ScriptedServer(greets=False) as server, create_group() as group:
        server.client = transport = Wrapped(server.client)
        assert await cancel(call, 20)
        assert aborts[0] > 0  # before the call is over, and not some time later
        await server.ended.wait()


async def test_the_call_may_be_cancelled_at_any_moment(create_group: Groups, way: Way) -> None:
    with raw_server(RawConnection.greet_and_serve) as server:

        async def scene(cancel: CancelAt) -> None:
            async with create_group() as group:
                outcome = await cancel(lambda: enter_in(group, connecting(server.port)))
                if outcome.result is not None:
                    await outcome.result.close()  # type: ignore[attr-defined]
            await server.settled()

        outcomes = await at_each(way, scene)
        assert [outcome.error for outcome in outcomes if outcome.error] == []
        assert outcomes[0].cancelled
        assert outcomes[-1].result is not None


async def test_a_group_that_is_cancelled_while_it_opens_one_is_a_connect_error(
    create_group: Groups,
) -> None:
    async def hold(scope: anyio.CancelScope) -> None:
        with scope:
            async with create_group() as group:
                groups.append(group)
                await anyio.sleep_forever()

    async def call() -> None:
        with pytest.raises(ConnectError, match="cancelled"):
            await enter_in(groups[0], server.connect())
        called.set()

    groups: list[AnyTaskGroup] = []
    called = anyio.Event()
    scope = anyio.CancelScope()
    async with ScriptedServer(greets=False) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(hold, scope)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await called.wait()
    assert called.is_set()  # a stray cancellation would have ended that block as well


async def test_a_group_of_asyncios_that_is_cancelled_before_the_first_step(
    anyio_backend_name: str,
) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("only asyncio never runs a task")

    async def hold() -> None:
        async with asyncio.TaskGroup() as group:
            groups.append(group)
            await asyncio.sleep(1000)

    groups: list[asyncio.TaskGroup] = []
    holding = asyncio.create_task(hold())
    await anyio.wait_all_tasks_blocked()
    async with ScriptedServer() as server:
        calling = asyncio.create_task(enter_in(groups[0], server.connect()))
        holding.cancel()
        with pytest.raises((ConnectError, RuntimeError)):
            await calling
        with pytest.raises(asyncio.CancelledError):
            await holding


async def test_a_group_that_was_left_takes_no_session(create_group: Groups) -> None:
    async with ScriptedServer() as server:
        async with create_group() as group:
            pass
        with pytest.raises(RuntimeError):
            await enter_in(group, server.connect())


@pytest.mark.parametrize("thing", [None, "tasks", object()])
async def test_what_is_no_group_is_refused(thing: Any) -> None:
    async with ScriptedServer() as server:
        with pytest.raises(ConfigurationError, match="task_group"):
            await enter_in(thing, server.connect())
