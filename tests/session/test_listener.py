"""A listener by itself: what no session does to it every day."""

import anyio
import pytest

from meshrt.events import UnknownEvent
from meshrt.session import Closed, RealtimeMessage
from meshrt.session._end import End, EndKind
from meshrt.session._listener import Listener

pytestmark = pytest.mark.anyio

MESSAGE = RealtimeMessage(UnknownEvent(type="x", data={"type": "x"}))
CLOSED = Closed(initiator="client", code=1000, reason="", last_byte_age=0)
OURS = End(EndKind.OURS, CLOSED, "closed")
LOST = End(EndKind.LOST, CLOSED, "lost")


async def test_a_message_that_is_dropped_before_it_is_taken_is_not_there() -> None:
    listener = Listener(1000)
    outcomes: list[RealtimeMessage | End] = []

    async def read() -> None:
        outcomes.append(await listener.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        listener.offer(MESSAGE, 1)
        listener.end(OURS, discard=True)
    assert outcomes == [OURS]
    listener.close()


async def test_the_first_end_stays_unless_a_later_one_discards() -> None:
    listener = Listener(1000)
    listener.offer(MESSAGE, 1)
    listener.end(LOST, discard=False)
    listener.end(OURS, discard=False)
    assert await listener.receive() is MESSAGE
    assert await listener.receive() is LOST
    listener.end(OURS, discard=True)
    assert await listener.receive() is OURS
    listener.close()


async def test_nothing_is_taken_after_the_end() -> None:
    listener = Listener(1000)
    listener.end(LOST, discard=False)
    assert not listener.offer(MESSAGE, 1)
    assert await listener.receive() is LOST
    listener.close()


async def test_the_budget_is_a_mark_and_one_message_is_always_admitted() -> None:
    listener = Listener(10)
    assert listener.offer(MESSAGE, 1000)
    assert not listener.offer(MESSAGE, 1)
    await listener.receive()
    assert listener.offer(MESSAGE, 9)
    assert listener.offer(MESSAGE, 9)
    assert not listener.offer(MESSAGE, 1)
    assert listener.drop() == (2, 18)
    assert listener.cost == 0
    listener.close()
