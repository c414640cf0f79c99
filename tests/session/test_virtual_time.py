# ruff: noqa: PT012  a session's block, all of it, is what raises
"""How long things take, to the second: on Trio's clock, which no real waiting moves."""

import anyio
import pytest
import trio.testing
from support import PCM, ScriptedServer

from meshrt.session import Connecting
from meshrt.transports import ConnectionLost, ConnectTimeout, Transport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.mark.parametrize("connect_timeout", [0.5, 10.0, 3600.0])
async def test_a_server_that_never_greets_costs_the_connect_timeout(
    connect_timeout: float,
) -> None:
    async with ScriptedServer(greets=False) as server:
        began = anyio.current_time()
        with pytest.raises(ConnectTimeout, match=str(connect_timeout)):
            async with server.connect(connect_timeout=connect_timeout):
                pytest.fail("the body may not begin")
        assert anyio.current_time() - began == pytest.approx(connect_timeout)


async def test_the_connect_timeout_is_one_for_opening_greeting_and_configuring() -> None:
    server = ScriptedServer(greets=False)
    server.replies.clear()

    async def open_slowly(_tasks: object) -> Transport:
        await anyio.sleep(4)
        return server.client

    async def greet_slowly() -> None:
        await anyio.sleep(8)
        await server.say({"type": "session.created", "session": {"type": "realtime"}})

    async with server, anyio.create_task_group() as tasks:
        tasks.start_soon(greet_slowly)
        began = anyio.current_time()
        with pytest.raises(ConnectTimeout):
            async with Connecting(open_slowly, session={"type": "realtime"}):
                pytest.fail("the body may not begin")
        assert server.heard_types() == ["session.update"]
        assert anyio.current_time() - began == pytest.approx(10)


async def test_a_session_that_has_begun_has_no_timeout() -> None:
    async with ScriptedServer() as server, server.connect(connect_timeout=1) as session:
        await anyio.sleep(86_400)
        assert session.closed is None


@pytest.mark.parametrize("close_timeout", [0.25, 1.0, 60.0])
async def test_a_server_that_never_answers_a_close_costs_the_close_timeout(
    close_timeout: float,
) -> None:
    async with ScriptedServer(answers_close=False) as server:
        async with server.connect(close_timeout=close_timeout) as session:
            began = anyio.current_time()
            await session.close()
            assert anyio.current_time() - began == pytest.approx(close_timeout)
        assert anyio.current_time() - began == pytest.approx(close_timeout)


async def test_leaving_the_block_costs_no_more_than_closing() -> None:
    async with ScriptedServer(answers_close=False) as server:
        async with server.connect(close_timeout=2):
            began = anyio.current_time()
        assert anyio.current_time() - began == pytest.approx(2)


async def test_a_stuck_writer_costs_the_close_timeout() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=2) as session:
            for _ in range(3):
                await session.send_audio(PCM)
                await anyio.wait_all_tasks_blocked()
            began = anyio.current_time()
        assert anyio.current_time() - began == pytest.approx(2)


async def test_an_exception_costs_no_more_than_the_close_timeout() -> None:
    async with ScriptedServer(answers_close=False) as server:
        with pytest.raises(KeyError):
            async with server.connect(close_timeout=2):
                began = anyio.current_time()
                raise KeyError
        assert anyio.current_time() - began == pytest.approx(2)


async def test_cancellation_costs_nothing() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        with anyio.CancelScope() as scope:
            async with server.connect(close_timeout=2) as session:
                await session.send_audio(PCM)
                began = anyio.current_time()
                scope.cancel()
        assert anyio.current_time() == began


async def test_a_close_in_a_cancelled_scope_costs_nothing() -> None:
    async with ScriptedServer(reads=False) as server, server.connect(close_timeout=2) as session:
        began = anyio.current_time()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.close()
        assert anyio.current_time() == began


async def test_handlers_that_do_not_end_cost_the_close_timeout() -> None:
    async with ScriptedServer() as server:
        async with server.connect(close_timeout=2) as session:
            session.on("close", lambda _code, _reason: anyio.sleep_forever())
            began = anyio.current_time()
        assert anyio.current_time() - began == pytest.approx(2)


async def test_garbage_and_no_answer_end_the_session_without_anybody_closing_it() -> None:
    async with ScriptedServer(answers_close=False) as server:
        async with server.connect(close_timeout=2):
            began = anyio.current_time()
            await server.say("garbage")
            await server.ended.wait()
            assert server.close_code == 1007
            await anyio.sleep(3)
        assert anyio.current_time() - began == pytest.approx(3)


async def test_the_age_of_the_last_byte_is_counted_up_to_the_end() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await anyio.sleep(7)
        await server.vanish()
        await anyio.wait_all_tasks_blocked()
        await anyio.sleep(5)
        assert session.closed is not None
        assert session.closed.last_byte_age == pytest.approx(7)


async def test_a_writer_that_is_stuck_when_the_server_closes_is_cut_in_time() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=2) as session:
            await session.send_audio(PCM)
            await anyio.wait_all_tasks_blocked()
            await session.send_audio(PCM)
            await anyio.wait_all_tasks_blocked()
            began = anyio.current_time()
            await server.close(1011, "gone")
            with pytest.raises(ConnectionLost):
                async for _ in session:
                    pass
            await session._connection.gone.wait()
            assert anyio.current_time() - began == pytest.approx(2)
