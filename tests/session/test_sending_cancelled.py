"""A send that was cancelled was not sent, and one that returned was: the state says the same."""

import random

import anyio
import anyio.lowlevel
import pytest
from support import Canceller, ScriptedServer

from meshrt.session import RealtimeSession

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


async def fill_up(session: RealtimeSession) -> int:
    """Send until a send would wait; return how many were sent."""
    sent = 0
    with anyio.CancelScope() as scope:

        async def send() -> None:
            nonlocal sent
            while True:
                await session.send({"type": "input_audio_buffer.clear"})
                sent += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    return sent


async def test_a_cancelled_send_that_waited_is_never_sent(cancel: Canceller) -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server, server.connect() as session:
        sent = await fill_up(session)

        async def send() -> None:
            await session.send({"type": "response.create", "event_id": "never"})

        assert await cancel(send, 3)
        server.read()
        await session.send({"type": "input_audio_buffer.clear", "event_id": "last"})
        events = await server.heard(sent + 1)
    assert len(events) == sent + 1
    assert "response.create" not in server.heard_types()


async def test_a_cancelled_response_create_is_no_turn_in_flight(cancel: Canceller) -> None:
    server = ScriptedServer(max_batches=1, reads=False)
    async with server, server.connect(close_timeout=0.01) as session:
        await fill_up(session)

        async def send() -> None:
            await session.send({"type": "response.create"})

        assert await cancel(send, 3)
        await server.close(1000)
        # With a turn in flight the end would be a ConnectionLost.
        assert [message.event.type async for message in session] == ["session.created"]


async def test_the_state_and_the_wire_agree_whatever_is_cancelled(cancel: Canceller) -> None:
    chance = random.Random(7)
    returned: set[str] = set()
    cancelled: set[str] = set()

    async with ScriptedServer(max_batches=1) as server, server.connect() as session:

        async def send_one(event_id: str) -> None:
            await session.send({"type": "input_audio_buffer.commit", "event_id": event_id})
            returned.add(event_id)

        async def send_many(sender: int) -> None:
            for number in range(25):
                event_id = f"{sender}.{number}"

                async def send(event_id: str = event_id) -> None:
                    # Big enough that it yields, and that the others fill the queue.
                    await session.send_audio(bytes(16 * 1024))
                    await send_one(event_id)
                    await anyio.lowlevel.checkpoint()

                if await cancel(send, chance.randrange(8)) and event_id not in returned:
                    cancelled.add(event_id)

        async with anyio.create_task_group() as tasks:
            for sender in range(40):
                tasks.start_soon(send_many, sender)
        await session.send({"type": "input_audio_buffer.commit", "event_id": "last"})
        while "last" not in commits(server):
            await server.heard(len(server.events) + 1)
        wire = commits(server)
    assert len(wire) == len(set(wire))
    assert set(wire) == returned | {"last"}
    assert cancelled
    assert not cancelled & set(wire)


def commits(server: ScriptedServer) -> list[str]:
    return [
        event.data["event_id"]
        for event in server.events
        if event.type == "input_audio_buffer.commit"
    ]
