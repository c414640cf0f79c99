"""A session in numbers: each counts what it says."""

import anyio
import attrs
import pytest
import trio.testing
from support import PCM, ScriptedServer, created, error, response_done, text_delta

from meshrt.session import Statistics

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_what_waits_and_what_went_is_counted() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=0.1) as session:
            await session.send_audio(PCM)
            await anyio.wait_all_tasks_blocked()
            sent = session.statistics()
            assert (sent.sent, sent.queued) == (1, 0)
            assert sent.sent_bytes > len(PCM)
            for _ in range(3):
                await session.send({"type": "input_audio_buffer.clear"})
            queued = session.statistics()
            assert (queued.sent, queued.queued, queued.commands) == (1, 3, 3)
            assert queued.queued_bytes > 3 * len('{"type":"input_audio_buffer.clear"}')
            assert queued.unsent == 0


async def test_what_came_and_who_has_not_read_it_is_counted() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        session.on("message", lambda _: anyio.sleep_forever())
        listeners = session.listen(), session.listen("response.done")
        await server.say(text_delta(1), error("No."), response_done())
        await anyio.wait_all_tasks_blocked()
        now = session.statistics()
        assert (now.received, now.waiting) == (4, 4)
        assert now.waiting_bytes == 2 * now.received_bytes + 4 * 512
        assert (now.waiting_handlers, now.waiting_listeners) == (1, 4)
        await session.receive()
        assert session.statistics().waiting == 3
        del listeners
        assert session.statistics().waiting_listeners == 0


async def test_what_is_dropped_stays_counted() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=2000) as session:
        for number in range(10):
            await server.say(text_delta(number))
        await anyio.wait_all_tasks_blocked()
        assert session.statistics().dropped == 11
        with pytest.raises(Exception, match="dropped"):
            await session.receive()
        assert session.statistics().dropped == 11


async def test_ages_are_told_by_the_loops_clock() -> None:
    expiring = created(expires_at=1_000_600)
    async with ScriptedServer(expiring) as server:
        async with server.connect(wall_clock=lambda: 1_000_000.0, keep_alive=None) as session:
            assert session.expires_in == 600
            await anyio.sleep(4)
            await session.send({"type": "input_audio_buffer.clear"})
            await anyio.wait_all_tasks_blocked()
            await anyio.sleep(3)
            await server.say(text_delta(1))
            await anyio.wait_all_tasks_blocked()
            await anyio.sleep(2)
            now = session.statistics()
            assert (now.age, now.last_sent_age, now.last_received_age) == (9, 5, 2)
            assert now.expires_in == 591


async def test_a_picture_does_not_change() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        before = session.statistics()
        await session.send_audio(PCM)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            before.sent = 7  # type: ignore[misc]
        assert isinstance(before, Statistics)
        assert before != session.statistics()
    assert session.statistics().sent == 1
