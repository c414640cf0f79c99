# ruff: noqa: PT012  a session's block, all of it, is what raises
"""On Trio Control-C is raised in whatever task runs, so in one of the session's as well."""

from collections.abc import Sequence

import pytest
from support import ScriptedServer, Wrapped, text_delta

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "trio"  # on asyncio the interrupt is always the main task's


class Interrupted(Wrapped):
    """Be interrupted in the session's writer."""

    async def send(self, batch: Sequence[str | bytes]) -> None:
        raise KeyboardInterrupt


async def test_an_interrupt_in_the_sessions_reader_leaves_the_block_bare() -> None:
    def interrupt(text: str) -> str:
        if "go" in text:
            raise KeyboardInterrupt
        return text

    async with ScriptedServer() as server:
        with pytest.raises(KeyboardInterrupt):
            async with server.connect(redact=interrupt) as session:
                await session.receive()
                await server.say(text_delta("go"))
                await session.receive()


async def test_an_interrupt_in_the_sessions_writer_is_not_a_session_that_is_closed() -> None:
    async with ScriptedServer() as server:
        server.client = Interrupted(server.client)
        with pytest.raises(KeyboardInterrupt):
            async with server.connect() as session:
                await session.commit()


async def test_an_interrupt_while_a_session_is_configured_is_no_connect_error() -> None:
    async with ScriptedServer() as server:
        server.client = Interrupted(server.client)
        with pytest.raises(KeyboardInterrupt):
            async with server.connect(session={"type": "realtime"}):
                pytest.fail("the body may not begin")
