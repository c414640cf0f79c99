"""A buffer by itself: what no session does to it every day."""

from typing import Any

import anyio
import pytest

from meshrt.events import ResponseOutputAudioDelta, UnknownEvent
from meshrt.session import Closed, RealtimeMessage
from meshrt.session._buffer import Buffer
from meshrt.session._dropping import DroppingBuffer
from meshrt.session._end import End, EndKind
from meshrt.session._inbox import Inbox

pytestmark = pytest.mark.anyio

MESSAGE = RealtimeMessage(UnknownEvent(type="x", data={"type": "x"}))
AT: Any = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
CLOSED = Closed(initiator="client", code=1000, reason="", last_byte_age=0)
OURS = End(EndKind.OURS, CLOSED, "closed")
LOST = End(EndKind.LOST, CLOSED, "lost")


async def test_a_message_that_is_dropped_before_it_is_taken_is_not_there() -> None:
    buffer = Buffer(1000)
    outcomes: list[RealtimeMessage | End] = []

    async def read() -> None:
        outcomes.append(await buffer.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        buffer.offer(MESSAGE, 1)
        buffer.end(OURS, discard=True)
    assert outcomes == [OURS]
    buffer.close()


async def test_the_first_end_stays_unless_a_later_one_discards() -> None:
    buffer = Buffer(1000)
    buffer.offer(MESSAGE, 1)
    buffer.end(LOST, discard=False)
    buffer.end(OURS, discard=False)
    assert await buffer.receive() is MESSAGE
    assert await buffer.receive() is LOST
    buffer.end(OURS, discard=True)
    assert await buffer.receive() is OURS
    buffer.close()


async def test_nothing_is_taken_after_the_end() -> None:
    buffer = Buffer(1000)
    buffer.end(LOST, discard=False)
    assert not buffer.offer(MESSAGE, 1)
    assert await buffer.receive() is LOST
    buffer.close()


async def test_the_budget_is_a_mark_and_one_message_is_always_admitted() -> None:
    buffer = Buffer(10)
    assert buffer.offer(MESSAGE, 1000)
    assert not buffer.offer(MESSAGE, 1)
    await buffer.receive()
    assert buffer.offer(MESSAGE, 9)
    assert buffer.offer(MESSAGE, 9)
    assert not buffer.offer(MESSAGE, 1)
    assert buffer.drop() == (2, 18)
    assert buffer.cost == 0
    buffer.close()


async def test_what_is_kept_is_all_that_waits_and_nothing_that_was_dropped() -> None:
    buffer = DroppingBuffer(100)
    audio = RealtimeMessage(ResponseOutputAudioDelta(delta=b"\0\0", **AT))
    for message in (audio, audio, MESSAGE, MESSAGE):
        assert buffer.offer(message, 25)
    assert buffer.drop_oldest_audio() == (1, 25)
    buffer.end(LOST, discard=False)
    buffer.keep()
    assert [await buffer.receive() for _ in range(4)] == [audio, MESSAGE, MESSAGE, LOST]


async def test_whoever_waits_hears_of_the_end_of_what_is_kept() -> None:
    buffer = Buffer(100)
    outcomes: list[RealtimeMessage | End] = []

    async def read() -> None:
        outcomes.append(await buffer.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        buffer.end(LOST, discard=False)
        buffer.keep()
    assert outcomes == [LOST]


async def test_all_who_ask_at_once_hear_of_the_end() -> None:
    buffer = Buffer(100)
    buffer.end(LOST, discard=False)
    outcomes: list[RealtimeMessage | End] = []

    async def read() -> None:
        outcomes.append(await buffer.receive())

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(read)
    assert outcomes == [LOST, LOST]
    buffer.close()


async def test_a_first_read_that_is_cancelled_already_is_none() -> None:
    inbox = Inbox(100)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await inbox.receive()
    assert scope.cancelled_caught
    assert not inbox.was_read
    inbox.close()


async def test_a_read_in_a_cancelled_scope_takes_nothing_that_comes_meanwhile() -> None:
    inbox = Inbox(100)
    inbox.offer(MESSAGE, 1)
    await inbox.receive()

    async def offer() -> None:
        inbox.offer(MESSAGE, 1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(offer)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await inbox.receive()
    assert scope.cancelled_caught
    assert inbox.count == 1
    inbox.close()
