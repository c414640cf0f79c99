"""A session whose server is the test, and one that is answered by a script."""

from typing import Any

import anyio
import pytest
import trio.testing
from support import nothing_left

from meshrt import ConnectionLost, RealtimeSession, RemoteProtocolError
from meshrt.errors import ConfigurationError
from meshrt.events import (
    InputText,
    Response,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    UserMessage,
)
from meshrt.testing import scripted_session, session_and_server

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def no_leaks(anyio_backend: object) -> Any:
    async with nothing_left():
        yield


async def test_the_test_is_the_server() -> None:
    async with session_and_server() as (session, server):
        assert (await session.receive()).event.type == "session.created"
        await session.send({"type": "response.create"})
        assert isinstance(await server.receive(), ResponseCreate)
        await server.send(
            ResponseCreated(response=Response(id="resp_1", status="in_progress")),
            {"type": "response.done", "response": {"id": "resp_1", "status": "completed"}},
            '{"type": "x.y", "z": 1}',
        )
        events = [(await session.receive()).event for _ in range(3)]

    assert [event.type for event in events] == ["response.created", "response.done", "x.y"]
    assert isinstance(events[1], ResponseDone)


async def test_a_command_is_answered_by_the_test() -> None:
    async def answer() -> None:
        while (await server.receive()).type != "input_audio_buffer.clear":
            pass
        await server.send({"type": "input_audio_buffer.cleared"})

    async with session_and_server() as (session, server), anyio.create_task_group() as tasks:
        tasks.start_soon(answer)
        assert (await session.clear()).type == "input_audio_buffer.cleared"


async def test_the_server_closes() -> None:
    async with session_and_server() as (session, server):
        await session.receive()
        await server.close(4000, "enough")
        with pytest.raises(ConnectionLost) as caught:
            await session.receive()

    assert (caught.value.code, caught.value.reason) == (4000, "enough")


async def test_the_server_cuts() -> None:
    async with session_and_server() as (session, server):
        await session.receive()
        await server.drop()
        with pytest.raises(ConnectionLost):
            await session.receive()
        with pytest.raises(anyio.EndOfStream):
            await server.receive()
        with pytest.raises(anyio.ClosedResourceError):
            await server.send({"type": "x"})


async def test_the_server_says_what_is_no_event() -> None:
    async with session_and_server() as (session, server):
        await session.receive()
        await server.send("not JSON")
        with pytest.raises(RemoteProtocolError):
            await session.receive()


async def test_what_the_client_said_is_read_to_the_end_and_then_it_is_the_end() -> None:
    async with session_and_server() as (session, server):
        await session.send({"type": "response.create"})
        await session.close()
        assert (await server.receive()).type == "response.create"
        with pytest.raises(anyio.EndOfStream):
            await server.receive()


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)
async def test_a_server_that_says_nothing_is_alive() -> None:
    async with session_and_server() as (session, _):
        await session.receive()
        await anyio.sleep(3600)
        assert session.closed is None
        began = anyio.current_time()
    assert anyio.current_time() == began  # and it answers the CLOSE


async def test_an_exception_leaves_the_block_as_it_was_raised() -> None:
    mine = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with session_and_server():
            raise mine

    assert caught.value is mine


async def test_a_cancellation_is_passed_on() -> None:
    with anyio.CancelScope() as scope:
        async with session_and_server() as (_, server):
            scope.cancel()
            await server.receive()

    assert scope.cancelled_caught


async def hello(session: RealtimeSession, words: str = "Hello.") -> str:
    """Stand in for a program that takes a session."""
    await session.create_item(UserMessage(content=[InputText(text=words)]))
    await session.send({"type": "response.create"})
    async for message in session:
        if isinstance(message.event, ResponseDone):
            return str(message.event.response.status)
    raise AssertionError


async def test_a_script_answers_a_session() -> None:
    async with scripted_session("> Hello.\n< Hi!") as session:
        assert await hello(session) == "completed"


async def test_a_script_that_was_not_followed_is_a_failure() -> None:
    with pytest.raises(AssertionError, match=r"there came the user's 'Bye\.'"):
        async with scripted_session("> Hello.\n< Hi!") as session:
            assert await hello(session, "Bye.") == "failed"
    with pytest.raises(AssertionError, match="line 1 was not reached"):
        async with scripted_session("> Hello.\n< Hi!"):
            pass


async def test_an_exception_goes_before_a_script_that_was_not_followed() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with scripted_session("> Hello.\n< Hi!", errors="deliver"):
            raise KeyError("mine")


async def test_a_script_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="line 1, column 1"):
        async with scripted_session("< Hi!"):
            pytest.fail("it was opened")
