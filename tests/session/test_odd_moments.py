# ruff: noqa: PT012  a session's block, all of it, is what raises
"""What is asked at an odd moment: in a handler, at the very end, after the block."""

import gc
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from support import (
    ScriptedServer,
    Wrapped,
    audio_delta,
    created,
    error,
    text_delta,
    texts_of,
    updated,
    warnings_of,
)

from meshrt.errors import InternalError, LocalProtocolError, RealtimeError, SlowConsumerError
from meshrt.session import (
    Connecting,
    Liveness,
    RealtimeMessage,
    RealtimeSession,
    SessionOptions,
)
from meshrt.transports import ConnectionLost, SessionClosed, SessionExpired, Transport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

CLEAR = {"type": "input_audio_buffer.clear"}
BIG = "x" * 5000


async def test_a_receipt_tells_of_a_loss_as_soon_as_the_iteration_does() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=5) as session:
            receipts = []
            for _ in range(4):
                receipts.append(await session.send(CLEAR))
                await anyio.wait_all_tasks_blocked()
            await server.vanish()
            with pytest.raises(ConnectionLost):
                async for _ in session:
                    pass
            assert [each.fate for each in receipts] == ["unknown", "unknown", "unsent", "unsent"]
            with pytest.raises(ConnectionLost):
                await session.flush()


@pytest.mark.parametrize("answered", [True, False])
async def test_a_server_that_cuts_us_off_while_we_close_leaves_what_was_sent_in_doubt(
    answered: bool,
) -> None:
    async with ScriptedServer(answers_close=answered) as server:
        async with server.connect(close_timeout=20) as session:
            receipt = await session.send(CLEAR)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.close)
                await server.ended.wait()
                await anyio.wait_all_tasks_blocked()
                await server.vanish()
    assert receipt.fate == ("sent" if answered else "unknown")


async def test_a_server_that_answers_no_close_leaves_what_was_sent_sent() -> None:
    async with ScriptedServer(answers_close=False) as server:
        async with server.connect(close_timeout=0.05) as session:
            receipt = await session.send(CLEAR)
    assert receipt.fate == "sent"


async def test_flush_is_told_at_once_of_what_is_dropped() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=20) as session:
            for _ in range(4):
                await session.send(CLEAR)
                await anyio.wait_all_tasks_blocked()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.close, 1011)
                with pytest.raises(ConnectionLost):
                    await session.flush()
            assert not session._connection.gone.is_set()
            await server.vanish()


async def test_a_receipt_is_not_certified_by_a_command_that_never_left() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect() as session:
            first = await session.send(CLEAR)
            await anyio.wait_all_tasks_blocked()
            await session.send(CLEAR)
            await anyio.wait_all_tasks_blocked()
            await session.send({**updated(), "type": "session.update", "event_id": "late"})
            await server.say(updated())
            await anyio.wait_all_tasks_blocked()
            await server.vanish()
            await session._connection.ending.wait()
            assert first.fate == "unknown"


async def test_a_close_handler_may_take_away_the_others() -> None:
    calls: list[str] = []
    async with ScriptedServer() as server, server.connect() as session:

        @session.once("close")
        def first(_code: int, _reason: str) -> None:
            calls.append("first")
            session.off("close")

        session.once("close", lambda *_: calls.append("second"))
    assert calls == ["first"]


async def test_handlers_that_did_not_keep_up_hear_of_it_though_the_end_has_come() -> None:
    told: list[Exception] = []
    go_on = anyio.Event()

    async def slowly(_: RealtimeMessage) -> None:
        await go_on.wait()

    async with ScriptedServer() as server, server.connect(buffer_bytes=30_000) as session:
        session.on("message", slowly).on("error", told.append)
        await server.say_and_close(*[text_delta(BIG)] * 8)
        await session._connection.ending.wait()
        go_on.set()
        await session.run()
    assert [type(each) for each in told] == [SlowConsumerError]


@pytest.mark.parametrize("handler_errors", ["raise", "report"])
@pytest.mark.parametrize("code", [None, 1000, 1011])
async def test_a_handler_that_the_end_surprises_keeps_no_close_handler_from_its_call(
    handler_errors: str, code: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[int] = []
    async with ScriptedServer() as server:
        async with server.connect(handler_errors=handler_errors) as session:
            session.on("message", lambda _: session.clear())
            session.on("close", lambda code, _: closed.append(code))
            await server.say(text_delta(1))
            await server.heard(1)
            await (session.close() if code is None else server.close(code))
            with anyio.move_on_after(5):
                try:
                    await session.run()
                except ConnectionLost:
                    assert code == 1011
    assert closed == [code or 1000]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_run_in_a_handler_is_refused_since_each_would_wait_for_the_other() -> None:
    refused: list[Exception] = []

    async def run(_: RealtimeMessage) -> None:
        with pytest.raises(LocalProtocolError, match="handler") as caught:
            await session.run()
        refused.append(caught.value)

    async with ScriptedServer() as server, server.connect() as session:
        session.on("message", run)
        await server.say(text_delta(1))
        await server.close()
        await session.run()
    assert len(refused) == 1


async def test_run_does_not_wait_for_ever_for_a_handler_that_hangs() -> None:
    async with ScriptedServer() as server, server.connect(close_timeout=0.05) as session:
        session.on("message", lambda _: anyio.sleep_forever())
        await server.say(text_delta(1))
        await anyio.wait_all_tasks_blocked()
        await server.close(1011)
        with pytest.raises(ConnectionLost):
            await session.run()


async def test_a_close_handler_may_come_after_the_close_whoever_came_before() -> None:
    closed: list[int] = []
    async with ScriptedServer() as server, server.connect() as session:
        session.on("message", print)
        await server.close(1000)
        await session.run()
        session.on("close", lambda code, _: closed.append(code))
        await session.run()
    assert closed == [1000]


async def test_a_generator_is_no_handler() -> None:
    async def generate(_: RealtimeMessage) -> Any:
        yield

    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError):
            session.on("message", generate)


async def test_a_first_receive_that_is_cancelled_makes_nobody_a_reader() -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=20_000) as session:
        await server.say(*[text_delta(BIG)] * 8)
        await anyio.wait_all_tasks_blocked()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.receive()
        await server.say(*[text_delta(BIG)] * 8)
        await anyio.wait_all_tasks_blocked()
        assert session.closed is None
        with pytest.raises(SlowConsumerError):
            await session.receive()


async def test_a_listener_that_nobody_holds_is_gone() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        for number in range(5):
            await server.say(text_delta(number), text_delta(number))
            async for _ in session.listen():
                break
        gc.collect()
        await server.say(text_delta("more"))
        await anyio.wait_all_tasks_blocked()
        assert session._dispatch.listeners == []
        assert session.statistics().waiting_listeners == 0


async def test_after_the_block_nobody_listens() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            pass
        with pytest.raises(SessionClosed):
            session.listen()


async def test_errors_after_an_overflow_of_the_handlers_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server, server.connect(buffer_bytes=20_000) as session:
        session.on("message", lambda _: anyio.sleep_forever()).on("error", print)
        await server.say(*[text_delta(BIG)] * 8, error("Unheard."))
        await anyio.wait_all_tasks_blocked()
        assert any("Unheard" in line for line in warnings_of("meshrt.session", caplog))


async def test_a_transport_that_can_t_ping_ends_the_session_by_one_bare_exception() -> None:
    class Mute(Wrapped):
        def ping(self) -> None:
            raise OSError("no ping")

    async with ScriptedServer() as server:

        async def open_it(_tasks: object) -> Transport:
            await anyio.lowlevel.checkpoint()
            return Mute(server.client)

        times = Liveness(ping_idle=0.01, dead_idle=1)
        async with Connecting(open_it, options=SessionOptions(liveness=times)) as session:
            with pytest.raises(InternalError, match="no ping") as caught:
                async for _ in session:
                    pass
            assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    "at",
    [10**400, -(10**400), 1000, 999, 0, 10**12],
    ids=["far", "long ago", "now", "just over", "zero", "some day"],
)
async def test_an_expiry_that_can_t_be_is_none(at: int) -> None:
    async with ScriptedServer(created(expires_at=at)) as server:
        async with server.connect(wall_clock=lambda: 1000.0) as session:
            assert session.expires_in is None
            await server.close(1000)
            assert [message.event.type async for message in session] == ["session.created"]


async def test_an_expiry_that_is_said_later_counts_from_then() -> None:
    async with ScriptedServer() as server, server.connect(wall_clock=lambda: 1000.0) as session:
        assert session.expires_in is None
        await server.say(updated(expires_at=1003))
        await anyio.wait_all_tasks_blocked()
        assert session.expires_in is not None
        await server.vanish()
        with pytest.raises(SessionExpired):
            async for _ in session:
                pass


async def test_what_waits_is_charged_as_it_came_over_the_wire() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.receive()
        await server.say(text_delta("\N{SPEAKING HEAD IN SILHOUETTE}" * 1000))
        await anyio.wait_all_tasks_blocked()
        assert session.statistics().waiting_bytes > 2 * 4000


async def test_audio_is_not_dropped_where_that_would_not_help() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        listener = session.listen(buffer=20_000, on_overflow="drop_oldest_audio")
        await server.say(audio_delta(), *[text_delta(BIG)] * 3)
        await anyio.wait_all_tasks_blocked()
        first = await listener.receive()
        assert first.audio is not None
        assert texts_of([await listener.receive()]) == [BIG]


async def test_the_numbers_stay_after_the_loop_is_gone() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            await session.send(CLEAR)
    before = session.statistics()
    await anyio.lowlevel.checkpoint()
    assert session.statistics() is before
    assert before.sent == 1


async def test_an_error_in_the_middle_of_a_listener_is_no_end() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with session.listen() as listener:
            await server.say(error("No."), text_delta(1))
            assert (await listener.receive()).event.type == "error"
            assert texts_of([await listener.receive()]) == ["1"]
        with pytest.raises(RealtimeError):
            while True:
                await session.receive()


def _sends(session: RealtimeSession) -> Iterator[Callable[[], Awaitable[object]]]:
    yield partial(session.send, {"type": "response.create"})
    yield partial(session.send_audio, b"\0\0")
    yield session.flush
    yield session.respond
    yield session.cancel
    yield session.clear


@pytest.mark.parametrize("number", range(6))
async def test_whoever_is_cancelled_with_the_session_sees_the_cancellation_and_no_end(
    number: int,
) -> None:
    async def use() -> None:
        with scope:
            async with server.connect() as session:
                use_it = list(_sends(session))[number]
                ready.set()
                await go.wait()
                await use_it()

    # Who runs first, the session's tasks or the body, is a matter of chance on Trio.
    for _ in range(10):
        scope, ready, go = anyio.CancelScope(), anyio.Event(), anyio.Event()
        async with ScriptedServer() as server, anyio.create_task_group() as tasks:
            tasks.start_soon(use)
            await ready.wait()
            await anyio.wait_all_tasks_blocked()
            go.set()
            scope.cancel()
        assert scope.cancelled_caught
