"""Closing over a real socket: kind to whoever answers, and over for whoever does not."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from support import PCM, RawConnection, connecting, raw_server, text_delta

from meshrt.session import RealtimeSession
from meshrt.transports import SessionClosed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

NEVER = 1000.0  # a time that no test waits
UNREAD = [text_delta("x" * 4096) for _ in range(64)]


def talkative(connection: RawConnection) -> None:
    """Say a lot, ask whether it came, and serve."""
    connection.greet()
    connection.say(*UNREAD)
    connection.ping(b"64")
    connection.serve()


def talkative_and_silent(connection: RawConnection) -> None:
    connection.greet()
    connection.say(*UNREAD)
    connection.ping(b"64")
    connection.serve(answers_close=False)


async def test_a_ping_is_answered_behind_64_messages_that_nobody_reads() -> None:
    with raw_server(talkative) as server:
        async with connecting(server.port, close_timeout=NEVER):
            heard = await (await server.connection()).until(lambda heard: heard.pongs)
        assert heard.pongs == (b"64",)


@pytest.mark.parametrize(
    ("script", "close_timeout"), [(talkative, NEVER), (talkative_and_silent, 0.01)]
)
async def test_a_close_with_64_unread_messages_waits_for_nobody_but_the_server(
    script: Callable[[RawConnection], None], close_timeout: float
) -> None:
    with raw_server(script) as server:
        async with connecting(server.port, close_timeout=close_timeout) as session:
            connection = await server.connection()
            await connection.until(lambda heard: heard.pongs)
            await session.close(3000, "enough")
        heard = await connection.heard()
    assert heard.close == (3000, "enough")
    assert not heard.torn


async def test_a_server_that_answers_the_close_and_keeps_the_connection_is_left_alone() -> None:
    def clinging(connection: RawConnection) -> None:
        connection.greet_and_serve()
        connection.wait()

    with raw_server(clinging) as server:
        async with connecting(server.port, close_timeout=NEVER) as session:
            await session.close()
            (await server.connection()).go()
            await server.settled()


async def test_a_server_that_talks_on_after_its_close_is_not_listened_to() -> None:
    def chatty(connection: RawConnection) -> None:
        connection.greet_and_serve()
        connection.say(*UNREAD)
        connection.ping(b"late")

    with raw_server(chatty) as server:
        async with connecting(server.port, close_timeout=NEVER) as session:
            await session.close()
        heard = await (await server.connection()).heard()
    assert heard.close == (1000, "")
    assert heard.pongs == ()


async def test_a_close_in_a_cancelled_scope_waits_for_nobody() -> None:
    with raw_server(RawConnection.greet_and_ignore_close) as server:
        async with connecting(server.port, close_timeout=NEVER) as session:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await session.close()
            assert scope.cancelled_caught
            await server.settled()
        # Whether the CLOSE still leaves is the loop's affair; half of one never does.
        assert not (await server.connections[0].heard()).torn


@pytest.mark.parametrize("shielded", [False, True])
async def test_ten_closes_at_once_send_one(shielded: bool) -> None:
    with raw_server(RawConnection.greet_and_serve) as server:
        async with connecting(server.port, close_timeout=NEVER) as session:

            async def close(code: int) -> None:
                with anyio.CancelScope(shield=shielded, deadline=anyio.current_time() + NEVER):
                    await session.close(code)

            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(close, 3000 + number)
            await session.close(3010)
        # The strict parser finds anything that follows a CLOSE.
        heard = await (await server.connection()).heard()
    assert heard.close is not None
    assert heard.close[0] in range(3000, 3010)


COMMANDS: list[Callable[[RealtimeSession], Awaitable[object]]] = [
    lambda session: session.send({"type": "response.create"}),
    lambda session: session.send({"type": "input_audio_buffer.clear"}, strict=False),
    lambda session: session.send_audio(PCM),
    lambda session: session.receive(),
    lambda session: session.update({"type": "realtime"}),
    lambda session: session.commit(),
    lambda session: session.clear(),
    lambda session: session.delete_item("item_1"),
    lambda session: session.retrieve_item("item_1"),
    lambda session: session.truncate("item_1", audio_end_ms=1),
]


@pytest.mark.parametrize("command", range(len(COMMANDS)))
async def test_twenty_calls_after_a_close_say_that_it_is_closed(command: int) -> None:
    with raw_server(RawConnection.greet_and_serve) as server:
        async with connecting(server.port) as session:
            await session.close()
            for _ in range(20):
                with pytest.raises(SessionClosed):
                    await COMMANDS[command](session)
                assert [message async for message in session] == []
                await session.close()
        with pytest.raises(SessionClosed):
            await COMMANDS[command](session)
        await session.close()
        (heard,) = [await connection.heard() for connection in server.connections]
    assert heard.messages == ()
    assert heard.close == (1000, "")
