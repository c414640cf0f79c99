"""A receive that was cancelled has taken nothing, however it was cancelled and when."""

import random

import anyio
import pytest
from support import Canceller, ScriptedServer, text_delta, texts_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

MESSAGES = 1000


async def test_no_message_is_lost_or_doubled_by_cancelling(cancel: Canceller) -> None:
    chance = random.Random(11)
    received = []
    cancelled = 0

    async with ScriptedServer() as server, server.connect() as session:

        async def read() -> None:
            received.append(await session.receive())

        await session.receive()
        for number in range(MESSAGES):
            # Sometimes the message is there before the reader, sometimes it comes too late.
            ahead = chance.random() < 0.5
            if ahead:
                await server.say(text_delta(number))
            cancelled += await cancel(read, chance.randrange(6))
            if not ahead:
                await server.say(text_delta(number))
            if len(received) == number:
                await read()
    assert texts_of(received) == [str(number) for number in range(MESSAGES)]
    assert cancelled


@pytest.mark.parametrize("ticks", range(8))
async def test_a_message_that_comes_with_the_cancellation_is_still_there(
    cancel: Canceller, ticks: int
) -> None:
    received = []

    async with ScriptedServer() as server, server.connect() as session:
        await session.receive()

        async def read() -> None:
            received.append(await session.receive())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.say, text_delta("just now"))
            await cancel(read, ticks)
        await server.close()
        received += [message async for message in session]
    assert texts_of(received) == ["just now"]


async def test_an_iteration_that_was_cancelled_goes_on(cancel: Canceller) -> None:
    async with ScriptedServer() as server, server.connect() as session:

        async def read() -> None:
            async for _ in session:
                pass

        assert await cancel(read, 5)
        await server.say(text_delta("next"))
        assert texts_of([await session.receive()]) == ["next"]
