"""A server that does not read: nothing is torn, and what waits for it is bounded."""

import anyio
import pytest
from support import Canceller, RawConnection, connecting, raw_server

from meshrt.session import RealtimeSession
from meshrt.session._outbox import MAX_QUEUED_BYTES
from meshrt.transports import ConnectionLost, SessionClosed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

PCM_6_MIB = bytes(6 * 2**20)  # 8 MiB as base64, more than the system buffers on a loopback
PCM_768_KIB = bytes(768 * 2**10)  # 1 MiB as base64
COMMIT = {"type": "input_audio_buffer.clear", "event_id": "last"}


def deaf(connection: RawConnection) -> None:
    """Greet, read nothing until the test says so, then be kind."""
    connection.greet()
    connection.wait()
    connection.serve()


async def block_the_writer(session: RealtimeSession) -> None:
    """Give the writer what it can't write, and the queue so much that the next send waits."""
    for _ in range(2):
        await session.send_audio(PCM_6_MIB)
        await anyio.wait_all_tasks_blocked()
    assert not session._outbox.has_room


@pytest.mark.parametrize("ticks", [1, 5])
async def test_a_send_cancelled_against_a_deaf_server_tears_no_frame(
    cancel: Canceller, ticks: int
) -> None:
    with raw_server(deaf) as server:
        async with connecting(server.port, close_timeout=20) as session:
            connection = await server.connection()
            await block_the_writer(session)
            assert await cancel(lambda: session.send_audio(PCM_6_MIB), ticks)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.send, COMMIT)
                await anyio.wait_all_tasks_blocked()
                connection.go()
        heard = await connection.heard()
    assert not heard.torn
    assert [event["type"] for event in heard.events] == [
        *["input_audio_buffer.append"] * 2,
        "input_audio_buffer.clear",
    ]
    assert heard.close == (1000, "")


async def test_a_session_cut_while_it_writes_ends_inside_the_frame_and_says_nothing_more() -> None:
    with raw_server(deaf) as server:
        with anyio.CancelScope() as scope:
            async with connecting(server.port) as session:
                await block_the_writer(session)
                scope.cancel()
        connection = await server.connection()
        connection.go()
        heard = await connection.heard()
    assert heard.torn
    assert heard.messages == ()


async def test_two_hundred_cancelled_sends_leave_nothing_behind(cancel: Canceller) -> None:
    with raw_server(deaf) as server:
        async with connecting(server.port, close_timeout=0.01) as session:
            await block_the_writer(session)
            held = session._outbox.bytes
            for number in range(200):
                assert await cancel(lambda: session.send_audio(PCM_768_KIB), number % 4)
                assert session._outbox.bytes == held
        assert held <= MAX_QUEUED_BYTES + 8 * 2**20 + 1024
        (await server.connection()).go()
        heard = await (await server.connection()).heard()
    assert heard.messages == ()


async def test_what_is_queued_never_exceeds_the_mark_by_more_than_one_message() -> None:
    with raw_server(deaf) as server:
        async with connecting(server.port, close_timeout=0.01) as session:
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(session.send_audio, PCM_768_KIB)
                await anyio.wait_all_tasks_blocked()
                assert session._outbox.bytes < MAX_QUEUED_BYTES + 2**20 + 1024
                tasks.cancel_scope.cancel()


async def test_a_send_that_waits_ends_with_the_session() -> None:
    with raw_server(deaf) as server:
        ends: list[Exception] = []
        async with connecting(server.port, close_timeout=0.01) as session:

            async def send() -> None:
                try:
                    await session.send(COMMIT)
                except SessionClosed as error:
                    ends.append(error)

            await block_the_writer(session)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                await anyio.wait_all_tasks_blocked()
                await session.close()
        assert len(ends) == 1


async def test_a_send_that_waits_ends_with_the_connection() -> None:
    def breaking(connection: RawConnection) -> None:
        connection.greet()
        connection.wait()
        connection.reset()

    with raw_server(breaking) as server:
        async with connecting(server.port) as session:
            await block_the_writer(session)
            (await server.connection()).go()
            with pytest.raises(ConnectionLost):
                await session.send(COMMIT)
            with pytest.raises(ConnectionLost):
                async for _ in session:
                    pass
