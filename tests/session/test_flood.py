"""Both sides write all they can at once: nobody waits for the other for ever, and order holds."""

import threading

import anyio
import pytest
from support import RawConnection, connecting, raw_server, text_delta, texts_of

from meshrt.session import RealtimeMessage, RealtimeSession

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

COUNT = 256
FILLING = "x" * 64 * 1024  # 16 MiB in each direction, more than the system buffers

ROOM = 64 * 2**20  # all of it: here nobody is measured by how fast he reads


def flooding(connection: RawConnection) -> None:
    connection.greet()
    reading = threading.Thread(target=connection.read_all)
    reading.start()
    for number in range(COUNT):
        connection.say(text_delta(f"{number} {FILLING}"))
    reading.join()


async def flood(session: RealtimeSession) -> None:
    for number in range(COUNT):
        audio = {"type": "input_audio_buffer.append", "audio": "AAAA" * 16 * 1024}
        await session.send({**audio, "event_id": str(number)})


@pytest.mark.parametrize("senders", [1, 4])
async def test_a_flood_in_both_directions_comes_through_in_order(senders: int) -> None:
    received: list[RealtimeMessage] = []
    with raw_server(flooding) as server:
        async with connecting(server.port, close_timeout=0.01, buffer_bytes=ROOM) as session:
            connection = await server.connection()
            await session.receive()
            async with anyio.create_task_group() as tasks:
                for _ in range(senders):
                    tasks.start_soon(flood, session)
                while len(received) < COUNT:
                    received.append(await session.receive())
            total = senders * COUNT
            heard = await connection.until(lambda heard: len(heard.messages) == total)
    said = [int(text.partition(" ")[0]) for text in texts_of(received)]
    assert said == list(range(COUNT))
    numbers = [int(event["event_id"]) for event in heard.events]
    assert sorted(numbers) == sorted(senders * list(range(COUNT)))
    assert senders > 1 or numbers == list(range(COUNT))


async def test_who_reads_as_fast_as_he_can_is_no_slow_consumer() -> None:
    received: list[RealtimeMessage] = []

    def talking(connection: RawConnection) -> None:
        connection.greet()
        for number in range(COUNT):
            connection.say(text_delta(f"{number} {FILLING}"))
        connection.serve()

    with raw_server(talking) as server:
        async with connecting(server.port) as session:
            await session.receive()
            while len(received) < COUNT:
                received.append(await session.receive())
    assert len(received) == COUNT
