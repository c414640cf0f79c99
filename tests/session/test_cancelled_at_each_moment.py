"""Over a real socket, cancelled at each suspension and each tick: nothing lost, nothing left."""

from typing import Any

import pytest
from support import (
    PCM,
    CancelAt,
    Outcome,
    RawConnection,
    RawScript,
    Way,
    at_each,
    by_both_at,
    by_scope_at,
    connecting,
    raw_server,
    text_delta,
    texts_of,
)

from meshrt.transports import SessionClosed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

KIND = RawConnection.greet_and_serve
DEAF_TO_CLOSE = RawConnection.greet_and_ignore_close
CHUNK = bytes(16 * 1024)  # as text it is above what is queued without a schedule point


def answering(connection: RawConnection) -> None:
    """Answer each event with a numbered one."""
    connection.greet()
    answered = 0
    while connection.read():
        for _ in connection.so_far().messages[answered:]:
            connection.say(text_delta(answered))
            answered += 1


def check(outcomes: list[Outcome], way: Way, at_least: int) -> None:
    """Fail unless each cancellation came out, but for a scope's in the last steps of an end.

    There a shield or our own task group is what waits; the scope's next checkpoint raises.
    """
    came_out = [outcome.cancelled for outcome in outcomes]
    assert [outcome.error for outcome in outcomes if outcome.error is not None] == []
    assert came_out == sorted(came_out, reverse=True)
    assert sum(came_out) >= at_least
    assert way is by_scope_at or sum(came_out) == len(outcomes) - 1


@pytest.mark.parametrize("session", [None, {"type": "realtime"}])
async def test_a_session_that_is_cancelled_anywhere_leaves_nothing(
    way: Way, session: dict[str, str] | None
) -> None:
    with raw_server(KIND) as server:

        async def live() -> None:
            async with connecting(server.port, session=session) as live:
                await live.receive()
                await live.send_audio(PCM)

        async def scene(cancel: CancelAt) -> None:
            await cancel(live)
            await server.settled()

        check(await at_each(way, scene), way, at_least=6)


async def test_a_task_and_a_scope_that_are_cancelled_at_once_are_both_cancelled(
    anyio_backend_name: str,
) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("only asyncio has both")
    with raw_server(KIND) as server:

        async def live() -> None:
            # Not so short that it ends at that moment too: AnyIO loses one of three.
            async with connecting(server.port, close_timeout=5) as live:
                await live.receive()
                await live.send_audio(PCM)

        async def scene(cancel: CancelAt) -> None:
            await cancel(live)
            await server.settled()

        check(await at_each(by_both_at, scene), by_both_at, at_least=10)


async def test_what_was_sent_when_it_was_cancelled_is_on_the_wire_and_nothing_else(
    way: Way,
) -> None:
    with raw_server(KIND) as server:

        async def scene(cancel: CancelAt) -> None:
            sent: list[str] = []

            async def send() -> None:
                for number in range(6):
                    await session.send_audio(CHUNK)
                    sent.append("input_audio_buffer.append")
                    event_id = f"clear {number}"
                    await session.send({"type": "input_audio_buffer.clear", "event_id": event_id})
                    sent.append(event_id)

            async with connecting(server.port) as session:
                await cancel(send)
                await session.send({"type": "input_audio_buffer.clear", "event_id": "last"})
            heard = await server.connections[-1].heard()
            assert [told(event) for event in heard.events] == [*sent, "last"]
            assert heard.close == (1000, "")
            await server.settled()

        check(await at_each(way, scene), way, at_least=5)


def told(event: dict[str, Any]) -> str:
    return event["type"] if "audio" in event else event["event_id"]


async def test_no_message_is_lost_or_doubled_when_a_receive_is_cancelled(way: Way) -> None:
    with raw_server(answering) as server:

        async def scene(cancel: CancelAt) -> None:
            received = []
            asked = 0

            async def converse() -> None:
                nonlocal asked
                for _ in range(4):
                    await session.send({"type": "input_audio_buffer.clear"})
                    asked += 1
                    received.append(await session.receive())

            async with connecting(server.port, close_timeout=0.01) as session:
                await session.receive()
                await cancel(converse)
                while len(received) < asked:
                    received.append(await session.receive())
            assert texts_of(received) == [str(number) for number in range(asked)]
            await server.settled()

        check(await at_each(way, scene), way, at_least=3)


@pytest.mark.parametrize("script", [KIND, DEAF_TO_CLOSE])
async def test_a_close_that_is_cancelled_anywhere_leaves_nothing(
    way: Way, script: RawScript
) -> None:
    with raw_server(script) as server:

        async def scene(cancel: CancelAt) -> None:
            async with connecting(server.port, close_timeout=0.01) as session:
                await session.send_audio(PCM)
                await cancel(session.close)
                assert session.closed is not None
                assert session.closed.initiator == "client"
                with pytest.raises(SessionClosed):
                    await session.send_audio(PCM)
                with pytest.raises(SessionClosed):
                    await session.receive()
            await server.settled()

        check(await at_each(way, scene), way, at_least=1)
