# ruff: noqa: PT012  a session's block, all of it, is what raises
"""What became of what was sent: never less than the truth, and never more."""

import json
import random
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest
from support import PCM, ScriptedServer, Wrapped, text_delta, updated, warnings_of

from meshrt.errors import LocalProtocolError
from meshrt.events import InputAudioBufferAppend, InputAudioBufferClear
from meshrt.session import Connecting, Receipt, SessionOptions
from meshrt.transports import ConnectionLost, SessionClosed, Transport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

CLEAR = {"type": "input_audio_buffer.clear"}


async def test_an_event_is_queued_and_then_sent() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        receipt = await session.send(CLEAR)
        assert receipt.fate == "queued"
        assert repr(receipt) == f"<Receipt for {receipt.event_id!r}: queued>"
        await session.flush()
        assert receipt.fate == "sent"
        (event,) = await server.heard(1)
        assert event.event_id == receipt.event_id  # type: ignore[union-attr]
    assert receipt.fate == "sent"


async def test_flush_waits_for_what_is_queued_now_and_for_no_more() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect() as session:
            first = await session.send(CLEAR)
            await anyio.wait_all_tasks_blocked()
            assert first.fate == "sent"  # nobody has read it yet
            await session.send(CLEAR)
            flushed: list[str] = []

            async def flush() -> None:
                await session.flush()
                flushed.append("now")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(flush)
                await anyio.wait_all_tasks_blocked()
                assert flushed == []
                server.read()
                await server.heard(2)
            assert flushed == ["now"]


async def test_flush_of_nothing_returns_at_once_and_is_a_checkpoint() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.flush()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.flush()
        assert scope.cancelled_caught


async def test_flush_says_so_if_the_session_ends_first() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect() as session:
            for _ in range(3):
                await session.send(CLEAR)
                await anyio.wait_all_tasks_blocked()
            with pytest.raises(ConnectionLost):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(server.vanish)
                    try:
                        await session.flush()
                    except ConnectionLost as error:
                        lost = error
                raise lost


async def test_send_nowait_sends_where_there_is_room_and_says_so_where_there_is_none() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect() as session:
            receipts = [session.send_nowait(InputAudioBufferClear()) for _ in range(64)]
            with pytest.raises(anyio.WouldBlock):
                session.send_nowait(CLEAR)
            with pytest.raises(LocalProtocolError):
                session.send_nowait({})
            server.read()
            assert len(await server.heard(64)) == 64
            session.send_nowait(CLEAR)
            await server.heard(65)
    assert {receipt.fate for receipt in receipts} == {"sent"}


async def test_after_the_end_nothing_is_sent_without_waiting_either() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.close()
        with pytest.raises(SessionClosed):
            session.send_nowait(CLEAR)
        await session.flush()  # all of nothing has been sent


async def test_what_did_not_leave_before_the_close_is_unsent_and_can_be_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=0.05) as session:
            receipts = []
            for number in range(4):
                receipts.append(await session.send({**CLEAR, "event_id": f"e{number}"}))
                await anyio.wait_all_tasks_blocked()
            await session.send_audio(PCM)
            assert session.unsent == ()
    # One was taken; the second was being written; all others never left.
    assert [receipt.fate for receipt in receipts] == ["sent", "unknown", "unsent", "unsent"]
    third, fourth, audio = session.unsent
    assert (third, fourth) == tuple(InputAudioBufferClear(event_id=f"e{n}") for n in (2, 3))
    assert isinstance(audio, InputAudioBufferAppend)
    assert audio.audio == PCM
    assert len(warnings_of("meshrt.session", caplog)) == 1
    assert session.statistics().unsent == 3
    async with ScriptedServer() as server, server.connect() as session:
        for event in (third, fourth, audio):
            await session.send(event)
        assert await server.heard(3) == [third, fourth, audio]


async def test_after_an_exception_the_queue_is_dropped_and_told() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        with pytest.raises(KeyError):
            async with server.connect(close_timeout=0.05) as session:
                receipts = [await session.send(CLEAR) for _ in range(5)]
                raise KeyError
    assert {receipt.fate for receipt in receipts} == {"unsent"}
    assert len(session.unsent) == 5


async def test_after_a_loss_only_what_was_answered_is_certain() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        first = await session.send(CLEAR)
        await session.update({"type": "realtime"})
        second = await session.send(CLEAR)
        await session.flush()
        assert second.fate == "sent"
        await server.vanish()
        with pytest.raises(ConnectionLost):
            async for _ in session:
                pass
        await session._connection.gone.wait()
        assert (first.fate, second.fate) == ("sent", "unknown")


async def test_an_error_that_quotes_a_command_shows_that_it_arrived() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        sent = await session.send({**CLEAR, "event_id": "mine"})
        await server.heard(1)
        refusal = {"type": "invalid_request_error", "message": "No.", "event_id": "mine"}
        await server.say({"type": "error", "error": refusal})
        with pytest.raises(Exception, match="No"):
            while True:
                await session.receive()
        await server.vanish()
        await session._connection.gone.wait()
        assert sent.fate == "sent"


async def test_texts_of_the_protocols_own_count_as_well() -> None:
    begun = {"type": "response.created", "response": {"id": "r", "status": "in_progress"}}
    done = {"type": "response.done", "response": {"id": "r", "status": "completed"}}
    async with ScriptedServer() as server, server.connect() as session:
        await server.say(begun)
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.respond)
            await anyio.wait_all_tasks_blocked()
            await server.say(done)
            (asked,) = await server.heard(1)
            await server.say({**begun, "response": {"id": "r2", "status": "in_progress"}})
        assert asked.type == "response.create"
        receipt = await session.send(CLEAR)
        await session.flush()
        assert receipt.fate == "sent"
        assert session.statistics().sent == 2


class Loser(Wrapped):
    """A transport that is lost after so many writes, of which it passes on all but the last."""

    def __init__(self, inner: Transport, writes: int) -> None:
        super().__init__(inner)
        self.left = writes
        self.passed: list[str] = []

    async def send(self, batch: Sequence[str | bytes]) -> None:
        self.left -= bool(batch)
        if self.left < 0:
            await self.inner.abort()
            raise ConnectionLost("pulled the plug")
        await super().send(batch)
        self.passed += [json.loads(text)["event_id"] for text in batch]


@pytest.mark.parametrize("seed", range(12))
async def test_receipts_are_true_whatever_is_cancelled_and_whenever_it_breaks(seed: int) -> None:
    chance = random.Random(seed)
    receipts: list[Receipt] = []
    async with ScriptedServer() as server:
        transport = Loser(server.client, chance.randrange(2, 40))

        async def open_it(_tasks: object) -> Transport:
            await anyio.lowlevel.checkpoint()
            return transport

        async with Connecting(open_it, options=SessionOptions(close_timeout=0.1)) as session:
            try:
                for number in range(200):
                    with anyio.CancelScope() as scope:
                        if chance.random() < 0.4:
                            scope.cancel()
                        receipts.append(await session.send({**CLEAR, "event_id": f"e{number}"}))
                    if chance.random() < 0.1:
                        await server.say(updated())
                    if chance.random() < 0.3:
                        await anyio.lowlevel.checkpoint()
            except ConnectionLost:
                pass
    fates = {receipt.event_id: receipt.fate for receipt in receipts}
    unsent = [event.event_id for event in session.unsent]  # type: ignore[union-attr]
    assert "queued" not in fates.values()
    assert [event_id for event_id, fate in fates.items() if fate == "unsent"] == unsent
    assert not {*unsent} & {*transport.passed}
    assert {event_id for event_id, fate in fates.items() if fate == "sent"} <= {*transport.passed}
    # Whoever was cancelled had sent nothing.
    assert {*transport.passed} <= {*fates}


async def test_a_receipt_keeps_no_text_alive() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        receipt = await session.send({**CLEAR, "event_id": "e"})
        assert not hasattr(receipt, "__dict__")
        await server.say(text_delta(1))
        await session.flush()
        assert session._outbox.bytes == 0
