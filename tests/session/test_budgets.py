# ruff: noqa: PT012  a session's block, all of it, is what raises
"""What waits to be read has a budget; who does not read does not stall the wire."""

import anyio
import pytest
from support import PCM, ScriptedServer, text_delta, texts_of

from meshrt.errors import SlowConsumerError
from meshrt.events import InputAudioBufferAppend

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

BIG = "x" * 5000  # counts as more than 10 000 bytes


async def test_a_reader_that_does_not_keep_up_sees_what_was_buffered_and_then_why() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=50_000) as session:
        await session.receive()
        for number in range(6):
            await server.say(text_delta(f"{number} {BIG}"))
        await server.ended.wait()
        assert server.close_code == 1008
        received = []
        for _ in range(2):
            with pytest.raises(SlowConsumerError, match="buffer_bytes") as caught:
                async for message in session:
                    received.append(message)  # noqa: PERF401  it ends with an error
        assert "50000" in str(caught.value)
        numbers = [text.partition(" ")[0] for text in texts_of(received)]
        assert numbers == ["0", "1", "2", "3", "4"]
        assert session.closed is not None
        assert (session.closed.initiator, session.closed.code) == ("client", 1008)
        with pytest.raises(SlowConsumerError):
            await session.send_audio(PCM)


async def test_a_message_larger_than_the_budget_is_admitted() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=1) as session:
        await session.receive()
        for number in range(3):
            await server.say(text_delta(f"{number} {BIG}"))
            assert texts_of([await session.receive()]) == [f"{number} {BIG}"]


async def test_what_nobody_has_read_is_dropped_and_the_session_lives_on() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=50_000) as session:
        for number in range(20):
            await server.say(text_delta(f"{number} {BIG}"))
        await anyio.wait_all_tasks_blocked()
        assert session.closed is None
        await session.send_audio(PCM)
        assert isinstance((await server.heard(1))[0], InputAudioBufferAppend)
        with pytest.raises(SlowConsumerError) as caught:
            await session.receive()
        # The greeting and all that came after it.
        assert caught.value.dropped == 21
        assert caught.value.dropped_bytes > 20 * 2 * len(BIG)
        assert "21 messages" in str(caught.value)
        await server.say(text_delta("now somebody reads"))
        assert texts_of([await session.receive()]) == ["now somebody reads"]


async def test_a_reader_who_came_late_has_to_keep_up_from_then_on() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=50_000) as session:
        for number in range(20):
            await server.say(text_delta(f"{number} {BIG}"))
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(SlowConsumerError) as first:
            await session.receive()
        assert first.value.dropped
        for number in range(6):
            await server.say(text_delta(f"{number} {BIG}"))
        await server.ended.wait()
        received = []
        with pytest.raises(SlowConsumerError) as second:
            async for message in session:
                received.append(message)  # noqa: PERF401  it ends with an error
        assert second.value.dropped == 0
        assert len(received) == 5


async def test_after_our_close_nobody_is_told_of_what_was_dropped() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=1) as session:
        await server.say(text_delta(1), text_delta(2), text_delta(3))
        await anyio.wait_all_tasks_blocked()
        await session.close()
        assert [message async for message in session] == []


async def test_after_the_servers_close_one_is_told_of_the_drop_and_then_of_the_end() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=1) as session:
        await server.say(text_delta(1), text_delta(2), text_delta(3))
        await server.close()
        with pytest.raises(SlowConsumerError):
            await session.receive()
        with pytest.raises(anyio.EndOfStream):
            await session.receive()


async def test_a_first_read_in_a_cancelled_scope_does_not_take_the_news() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=1) as session:
        await server.say(text_delta(1), text_delta(2), text_delta(3))
        await anyio.wait_all_tasks_blocked()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.receive()
        assert scope.cancelled_caught
        with pytest.raises(SlowConsumerError):
            await session.receive()


async def test_pings_are_answered_while_nobody_reads() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=1):
        for number in range(64):
            await server.say(text_delta(number))
        heard_at = server.transport.last_byte_at
        await server.ping()
        while server.transport.last_byte_at == heard_at:
            await anyio.wait_all_tasks_blocked()
