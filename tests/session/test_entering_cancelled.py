"""Cancelled while it opens, greets or configures, a session leaves nothing and says nothing."""

from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest
from support import Canceller, ScriptedServer, Wrapped, text_delta

from meshrt.session import Connecting, RealtimeSession
from meshrt.transports import SessionClosed, Transport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

TICKS = range(12)  # more than a session needs to be entered in memory
Scene = Callable[[ScriptedServer], Connecting]


def greeted(server: ScriptedServer) -> Connecting:
    return server.connect()


def configured(server: ScriptedServer) -> Connecting:
    return server.connect(session={"type": "realtime"})


def ignored(server: ScriptedServer) -> Connecting:
    server.replies.clear()
    return server.connect(session={"type": "realtime"})


@pytest.mark.parametrize("scene", [greeted, configured, ignored])
@pytest.mark.parametrize("ticks", TICKS)
async def test_cancelled_at_any_moment_nothing_is_left(
    cancel: Canceller, scene: Scene, ticks: int
) -> None:
    async with ScriptedServer() as server:
        server.client = transport = Wrapped(server.client)

        async def enter() -> None:
            async with scene(server):
                await anyio.sleep_forever()

        assert await cancel(enter, ticks)
        # Nothing was opened, or what was opened is closed.
        assert transport.aborts or not server.transport.outgoing()
        if transport.aborts:
            await server.ended.wait()


async def test_cancelled_while_opening_the_opening_is_cancelled(cancel: Canceller) -> None:
    opening = anyio.Event()
    outcomes: list[str] = []

    async def open_slowly(_tasks: object) -> Transport:
        opening.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            outcomes.append("cancelled")
            raise
        raise AssertionError

    async def enter() -> None:
        async with Connecting(open_slowly):
            pytest.fail("the body may not begin")

    assert await cancel(enter, 5)
    assert opening.is_set()
    assert outcomes == ["cancelled"]


async def test_a_session_is_cancelled_in_its_body_like_anything_else(cancel: Canceller) -> None:
    async with ScriptedServer() as server:
        outcomes: list[BaseException] = []

        async def enter() -> None:
            async with server.connect() as session:
                try:
                    async for _ in session:
                        pass
                except anyio.get_cancelled_exc_class() as error:
                    outcomes.append(error)
                    raise

        assert await cancel(enter, 20)
        assert len(outcomes) == 1
        await server.ended.wait()
        assert server.close_code is None


@pytest.fixture
def tries(anyio_backend_name: str) -> range:
    """Trio shuffles whose turn it is: what depends on that is tried again and again."""
    return range(30 if anyio_backend_name == "trio" else 1)


@pytest.mark.parametrize("ticks", range(5))
async def test_an_iteration_is_cancelled_with_its_session_and_does_not_just_stop(
    ticks: int, tries: range
) -> None:
    for _ in tries:
        stopped = False

        async def read(session: RealtimeSession) -> None:
            nonlocal stopped
            async for _ in session:
                pass
            stopped = True

        async with ScriptedServer() as server:
            with anyio.CancelScope() as scope:
                async with server.connect() as session, anyio.create_task_group() as tasks:
                    tasks.start_soon(read, session)
                    await anyio.wait_all_tasks_blocked()
                    await server.say(text_delta("just now"))
                    for _ in range(ticks):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
        assert scope.cancelled_caught
        assert not stopped


@pytest.mark.parametrize("ticks", range(8))
async def test_a_send_is_cancelled_with_its_session_and_not_told_that_it_is_closed(
    ticks: int, tries: range
) -> None:
    for _ in tries:
        told: list[Exception] = []

        async def send(session: RealtimeSession, told: list[Exception] = told) -> None:
            try:
                while True:
                    await session.send({"type": "input_audio_buffer.clear"})
            except SessionClosed as error:
                told.append(error)

        async with ScriptedServer(max_batches=1, reads=False) as server:
            with anyio.CancelScope() as scope:
                async with server.connect() as session, anyio.create_task_group() as tasks:
                    tasks.start_soon(send, session)
                    await anyio.wait_all_tasks_blocked()
                    server.read()
                    for _ in range(ticks):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
        assert scope.cancelled_caught
        assert told == []
