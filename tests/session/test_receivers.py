"""Who reads, and how often, and for how long: no message is lost, doubled or out of place."""

import gc

import anyio
import pytest
from support import (
    RawConnection,
    ScriptedServer,
    complaints,
    connecting,
    nothing_left,
    raw_server,
    text_delta,
    texts_of,
)

from meshrt.session import RealtimeMessage, RealtimeSession

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

MESSAGES = 1000


def counting(connection: RawConnection) -> None:
    """Say a thousand messages and close."""
    connection.greet()
    connection.wait()
    for start in range(0, MESSAGES, 10):
        connection.say(*map(text_delta, range(start, start + 10)))
    connection.say_close()


async def test_two_receivers_at_a_time_are_one_and_no_message_is_lost() -> None:
    received: list[RealtimeMessage] = []
    busy = 0

    async def receive(session: RealtimeSession) -> None:
        nonlocal busy
        while True:
            try:
                received.append(await session.receive())
            except anyio.BusyResourceError:
                busy += 1
                # At once: the other one has not even got its message.
                await anyio.lowlevel.checkpoint()
            except anyio.EndOfStream:
                return

    with raw_server(counting) as server:
        async with connecting(server.port) as session, anyio.create_task_group() as tasks:
            tasks.start_soon(receive, session)
            tasks.start_soon(receive, session)
            (await server.connection()).go()
    assert busy
    assert texts_of(received) == [str(number) for number in range(MESSAGES)]


async def test_a_second_receiver_is_refused_while_the_first_still_waits() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.receive()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.receive)
            await anyio.wait_all_tasks_blocked()
            for _ in range(3):
                with pytest.raises(anyio.BusyResourceError):
                    await session.receive()
                with pytest.raises(anyio.BusyResourceError):
                    await anext(session)
            await server.say(text_delta("for the first"))


async def test_leaving_a_loop_and_dropping_the_iterator_leaves_nothing() -> None:
    received: list[RealtimeMessage] = []
    with raw_server(counting) as server:
        async with connecting(server.port) as session:
            (await server.connection()).go()
            for _ in range(20):
                async with nothing_left():
                    iterator = aiter(session)
                    async for message in iterator:
                        received.append(message)
                        break
                    del iterator
            received += [message async for message in session]
    assert texts_of(received) == [str(number) for number in range(MESSAGES)]


async def test_an_exception_in_the_loop_leaves_nothing_and_the_next_loop_goes_on() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.receive()
        await server.say(text_delta(0), text_delta(1))
        with pytest.raises(KeyError):  # noqa: PT012  the loop is what raises
            async for _ in session:
                raise KeyError
        assert texts_of([await session.receive()]) == ["1"]


async def test_an_iterator_that_outlives_its_session_says_nothing_when_it_is_dropped() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            iterator = aiter(session)
            await anext(iterator)
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)
        with complaints() as complained:
            del iterator, session
            gc.collect()
        assert complained == []


async def test_an_anext_that_was_never_awaited_takes_nothing() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        coroutine = session.receive()
        coroutine.close()
        assert (await session.receive()).event.type == "session.created"
