# ruff: noqa: PT012  a session's block, all of it, is what raises
"""Closing is bounded and kind: it sends what is queued, says goodbye, and does not wait long."""

import anyio
import pytest
from support import (
    PCM,
    Canceller,
    ScriptedServer,
    Wrapped,
    created,
    ours,
    text_delta,
    warnings_of,
)

from meshrt.errors import LocalProtocolError
from meshrt.session import RealtimeSession
from meshrt.transports import SessionClosed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

LOGGER = "meshrt.session"
NEVER = 1000.0  # a time that no test waits


async def fill_up(session: RealtimeSession) -> int:
    """Send until a send would wait; return how many were sent."""
    sent = 0
    with anyio.CancelScope() as scope:

        async def send() -> None:
            nonlocal sent
            while True:
                await session.send_audio(PCM)
                sent += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    return sent


async def test_closing_again_changes_nothing() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.close(3000, "first")
        await session.close(3001, "second")
        assert session.closed is not None
        assert session.closed.code == 3000
    assert (server.close_code, server.close_reason) == (3000, "first")


async def test_ten_closes_at_once_are_one() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(session.close, 3000 + number)
        await server.ended.wait()
    assert server.close_code is not None
    assert 3000 <= server.close_code < 3010


async def test_a_close_waits_for_the_servers_answer() -> None:
    closed = anyio.Event()

    async def close() -> None:
        await session.close()
        closed.set()

    async with ScriptedServer(reads=False) as server:
        async with server.connect(close_timeout=NEVER) as session:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(close)
                await anyio.wait_all_tasks_blocked()
                assert not closed.is_set()
                server.read()


async def test_a_second_close_waits_for_the_first() -> None:
    order: list[str] = []

    async def close(name: str) -> None:
        await session.close()
        order.append(name)

    async with ScriptedServer(reads=False) as server:
        async with server.connect(close_timeout=NEVER) as session:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(close, "first")
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(close, "second")
                await anyio.wait_all_tasks_blocked()
                assert order == []
                server.read()
    assert sorted(order) == ["first", "second"]


async def test_a_close_after_the_servers_close_is_over_at_once() -> None:
    server = ScriptedServer(answers_close=False)
    async with server, server.connect(close_timeout=NEVER) as session:
        await server.close(1011)
        await server.ended.wait()
        await session.close()


async def test_a_close_after_a_loss_is_over_at_once() -> None:
    async with ScriptedServer() as server, server.connect(close_timeout=NEVER) as session:
        await server.vanish()
        await session.close()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2000, 5000])
async def test_a_code_that_may_not_be_sent_is_refused_and_the_session_goes_on(code: int) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError, match=str(code)):
            await session.close(code)
        assert session.closed is None
        await session.send_audio(PCM)
        await server.heard(1)


async def test_a_server_that_never_answers_costs_the_close_timeout() -> None:
    server = ScriptedServer(answers_close=False)
    async with server, server.connect(close_timeout=0.01) as session:
        await session.close()
        assert server.close_code == 1000
    await server.ended.wait()


async def test_what_is_queued_leaves_before_the_close() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=NEVER) as session:
            sent = await fill_up(session)
            server.read()
        await server.ended.wait()
        assert len(server.events) == sent
    assert server.close_code == 1000


async def test_what_is_queued_leaves_before_an_explicit_close_too() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=NEVER) as session:
            sent = await fill_up(session)
            server.read()
            await session.close(3001)
        await server.ended.wait()
        assert len(server.events) == sent
    assert server.close_code == 3001


async def test_a_send_that_returned_is_on_the_wire_after_the_block() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            await session.send_audio(PCM)
        await server.ended.wait()
        assert server.heard_types() == ["input_audio_buffer.append"]


async def test_after_an_exception_the_goodbye_is_polite_and_the_queue_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        with pytest.raises(KeyError):
            async with server.connect(close_timeout=NEVER) as session:
                sent = await fill_up(session)
                server.read()
                raise KeyError
        await server.ended.wait()
        assert 0 < len(server.events) < sent
        dropped = sent - len(server.events)
    assert server.close_code == 1000
    (record,) = warnings_of(LOGGER, caplog)
    assert record.startswith(f"{dropped} queued events were not sent")


async def test_what_a_stuck_writer_could_not_send_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=0.01) as session:
            sent = await fill_up(session)
        server.read()
        await server.ended.wait()
        (record,) = warnings_of(LOGGER, caplog)
        dropped = int(record.partition(" ")[0])
        assert 0 < dropped < sent
        # The rest is in the pipe, or in the batch that the writer held: that is unknown.
        assert dropped <= sent - len(server.events)


async def test_nothing_is_said_where_nothing_was_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.send_audio(PCM)
    assert warnings_of(LOGGER, caplog) == []


async def test_closing_with_messages_unread_does_not_wait_for_a_reader() -> None:
    async with ScriptedServer(created(), *map(text_delta, range(64))) as server:
        async with server.connect(close_timeout=NEVER) as session:
            await server.say(*map(text_delta, range(64)))
            await session.close()


async def test_a_server_that_goes_on_talking_is_read_until_it_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=NEVER) as session:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.close)
                await anyio.wait_all_tasks_blocked()
                for number in range(100):
                    await server.say(text_delta(number))
                server.read()
    assert ours(caplog) == []


async def test_a_close_in_a_cancelled_scope_is_forceful_and_immediate() -> None:
    async with ScriptedServer(reads=False) as server:
        async with server.connect(close_timeout=NEVER) as session:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await session.close()
            assert scope.cancelled_caught
            with pytest.raises(SessionClosed):
                await session.send_audio(PCM)
        server.read()
        await server.ended.wait()


@pytest.mark.parametrize("ticks", range(6))
async def test_a_cancelled_close_leaves_nothing(cancel: Canceller, ticks: int) -> None:
    async with ScriptedServer(reads=False) as server:
        server.client = transport = Wrapped(server.client)
        async with server.connect(close_timeout=NEVER) as session:
            # Cancelled before it began, it has not happened; later it cuts the connection.
            await cancel(session.close, ticks)
            if session.closed is not None:
                assert transport.aborts
            server.read()
        await server.ended.wait()


async def test_under_cancellation_the_block_is_left_at_once() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        with anyio.CancelScope() as scope:
            async with server.connect(close_timeout=NEVER) as session:
                await fill_up(session)
                scope.cancel()
        assert scope.cancelled_caught
        assert session.closed is not None


async def test_what_is_sent_under_a_shield_after_a_cancellation_is_refused() -> None:
    async with ScriptedServer() as server:
        with anyio.CancelScope() as scope:
            async with server.connect() as session:
                scope.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.wait_all_tasks_blocked()
                    with pytest.raises(SessionClosed):
                        await session.send_audio(PCM)
