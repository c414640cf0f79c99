"""Programs of one kind alone, each through 300 s of audio: none needs to know of the others."""

import anyio
import pytest
from support import ScriptedServer, audio_delta, response_created, response_done, updated

from meshrt.events import ResponseOutputAudioDelta, SessionUpdated
from meshrt.session import RealtimeMessage, RealtimeSession

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

CHUNK = bytes(4800)  # 100 ms
CHUNKS = 3000
SECONDS = CHUNKS * len(CHUNK) / 48_000
PER_WRITE = 50


async def speak(server: ScriptedServer) -> None:
    """Say 300 s of audio, as fast as it is taken, with a ping now and then; then hang up."""
    await server.say(response_created())
    for number in range(CHUNKS // PER_WRITE):
        await server.say(*[audio_delta(CHUNK)] * PER_WRITE)
        if number % 10 == 0:
            await server.ping()
    await server.say(response_done())
    await server.say(updated())


def lived_through(session: RealtimeSession) -> bool:
    audio_ms = [item.audio_ms for item in map(session.conversation.item, ["item_1"]) if item]
    return session.closed is None and audio_ms == [SECONDS * 1000]


def test_it_is_300_seconds_and_more_than_any_buffer_holds() -> None:
    assert SECONDS == 300
    assert 2 * CHUNKS * len(CHUNK) * 4 / 3 > 2 * 16 * 2**20


async def test_handlers_alone() -> None:
    heard = 0

    async with ScriptedServer() as server, server.connect() as session:

        @session.on("message")
        def count(message: RealtimeMessage) -> None:
            nonlocal heard
            heard += len(message.audio or b"")

        session.once(SessionUpdated, lambda _: session.close())
        await speak(server)
        await session.run()
        assert session.conversation.item("item_1") is not None
    assert heard == CHUNKS * len(CHUNK)


async def test_commands_alone() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak, server)
            for number in range(20):
                answer = await session.update({"type": "realtime", "instructions": str(number)})
                assert answer.session.instructions == str(number)  # type: ignore[union-attr]
        await session.update({"type": "realtime"})
        assert lived_through(session)


async def test_a_listener_alone() -> None:
    heard = 0
    async with ScriptedServer() as server, server.connect() as session:
        with session.listen(ResponseOutputAudioDelta, SessionUpdated) as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(speak, server)
                async for message in listener:
                    heard += len(message.audio or b"")
                    if isinstance(message.event, SessionUpdated):
                        break
        assert lived_through(session)
    assert heard == CHUNKS * len(CHUNK)


async def test_one_that_never_reads() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await speak(server)
        await session.update({"type": "realtime"})
        assert lived_through(session)
        statistics = session.statistics()
        assert statistics.dropped > 0
        assert statistics.waiting_bytes <= 16 * 2**20
