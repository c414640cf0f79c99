"""On Trio Control-C is raised in whatever task runs, so in one of the session's as well."""

from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest
from support import ScriptedServer, Wrapped

from meshrt.session import Connecting
from meshrt.transports import Transport

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "trio"  # on asyncio the interrupt is always the main task's


class Interrupted(Wrapped):
    """Be interrupted in the session's writer."""

    async def send(self, batch: Sequence[str | bytes]) -> None:
        raise KeyboardInterrupt


async def test_an_interrupt_in_the_sessions_writer_is_not_a_session_that_is_closed() -> None:
    async with ScriptedServer() as server:
        server.client = Interrupted(server.client)
        with pytest.raises(KeyboardInterrupt):
            async with server.connect() as session:
                await session.clear()


async def test_an_interrupt_while_a_session_is_configured_is_no_connect_error() -> None:
    async with ScriptedServer() as server:
        server.client = Interrupted(server.client)
        with pytest.raises(KeyboardInterrupt):
            async with server.connect(session={"type": "realtime"}):
                pytest.fail("the body may not begin")


async def test_an_interrupt_in_a_task_that_opens_the_transport_leaves_the_block_bare() -> None:
    async def interrupt() -> None:
        raise KeyboardInterrupt

    async def open_it(_tasks: object) -> Transport:
        async with anyio.create_task_group() as tasks:  # noqa: ASYNC112  the group is the point
            tasks.start_soon(interrupt)
        raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        async with Connecting(open_it):
            pytest.fail("the body may not begin")


async def test_what_else_goes_wrong_while_opening_stays_as_it_is() -> None:
    mine = ExceptionGroup("mine", [KeyError()])

    async def open_it(_tasks: object) -> Transport:
        await anyio.lowlevel.checkpoint()
        raise mine

    with pytest.raises(ExceptionGroup) as caught:  # noqa: ASYNC401  it has to be that very object
        async with Connecting(open_it):
            pytest.fail("the body may not begin")
    assert caught.value is mine
