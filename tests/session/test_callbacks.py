# ruff: noqa: PT012  a session's block, all of it, is what raises
"""Handlers in place of a loop: called in order, one at a time, and never in the wire's way."""

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from support import (
    PCM,
    ScriptedServer,
    audio_delta,
    created,
    error,
    text_delta,
    texts_of,
    warnings_of,
)

from meshrt.errors import LocalProtocolError, RealtimeError, SlowConsumerError
from meshrt.session import RealtimeMessage, RealtimeSession
from meshrt.transports import ConnectionLost, SessionClosed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

Calls = list[tuple[Any, ...]]


def listen(session: RealtimeSession, calls: Calls) -> None:
    """Note every call of every handler."""

    def on_message(message: RealtimeMessage) -> None:
        calls.append(("message", message))

    def on_error(error: RealtimeError) -> None:
        calls.append(("error", error))

    def on_close(code: int, reason: str) -> None:
        calls.append(("close", code, reason))

    chained = session.on("message", on_message).on("error", on_error).on("close", on_close)
    assert chained is session


async def test_handlers_hear_what_comes_from_now_on_in_its_order() -> None:
    calls: Calls = []
    async with ScriptedServer() as server:
        async with server.connect() as session:
            listen(session, calls)
            await server.say(text_delta(1), error("No.", code="x"), text_delta(2))
            await server.close(1011, "bye")
            await anyio.wait_all_tasks_blocked()
    assert [call[0] for call in calls] == ["message", "error", "message", "close"]
    assert texts_of([calls[0][1], calls[2][1]]) == ["1", "2"]
    assert isinstance(calls[1][1], RealtimeError)
    assert (calls[1][1].code, calls[1][1].message) == ("x", "No.")
    assert calls[3][1:] == (1011, "bye")


async def test_handlers_and_the_iteration_hear_the_same() -> None:
    calls: Calls = []
    async with ScriptedServer() as server, server.connect() as session:
        await session.receive()
        listen(session, calls)
        await server.say(audio_delta(), text_delta(1))
        await server.close()
        received = [message async for message in session]
    assert [call[1] for call in calls if call[0] == "message"] == received
    assert received[0].audio == PCM


async def test_handlers_may_be_coroutine_functions_and_are_called_one_at_a_time() -> None:
    running = 0
    calls: list[str] = []

    async def slow(message: RealtimeMessage) -> None:
        nonlocal running
        running += 1
        assert running == 1
        calls.append("slow")
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        running -= 1

    def quick(message: RealtimeMessage) -> None:
        assert running == 0
        calls.append("quick")

    async with ScriptedServer() as server, server.connect() as session:
        session.on("message", slow).on("message", quick)
        await server.say(text_delta(1), text_delta(2))
        await anyio.wait_all_tasks_blocked()
    assert calls == ["slow", "quick", "slow", "quick"]


async def test_an_object_that_can_be_called_is_a_handler() -> None:
    class Handler:
        def __init__(self) -> None:
            self.heard: list[RealtimeMessage] = []

        async def __call__(self, message: RealtimeMessage) -> None:
            self.heard.append(message)

    handler = Handler()
    async with ScriptedServer() as server, server.connect() as session:
        session.on("message", handler)
        await server.say(text_delta(1))
        await anyio.wait_all_tasks_blocked()
    assert texts_of(handler.heard) == ["1"]


async def test_a_name_that_there_is_not_is_refused() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError, match="message"):
            session.on("open", print)  # type: ignore[arg-type]


@pytest.mark.parametrize("handler", [None, "print", 7])
async def test_what_cannot_be_called_is_refused(handler: Any) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError, match="function"):
            session.on("message", handler)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1011, "oh no"), (4000, "x")])
async def test_the_close_of_the_server_is_handled_with_its_code(code: int, reason: str) -> None:
    calls: Calls = []
    async with ScriptedServer() as server:
        async with server.connect() as session:
            listen(session, calls)
            await server.close(code, reason)
            await server.ended.wait()
    assert calls == [("close", code, reason)]


async def test_a_loss_is_handled_with_1006() -> None:
    calls: Calls = []
    async with ScriptedServer() as server:
        async with server.connect() as session:
            listen(session, calls)
            await server.vanish()
            await anyio.wait_all_tasks_blocked()
    assert calls == [("close", 1006, "")]


@pytest.mark.parametrize("by_leaving", [True, False])
async def test_our_close_is_handled_within_the_block(by_leaving: bool) -> None:
    calls: Calls = []
    async with ScriptedServer() as server:
        async with server.connect() as session:
            listen(session, calls)
            if not by_leaving:
                await session.close(3001, "enough")
    assert calls == [("close", *((1000, "") if by_leaving else (3001, "enough")))]


async def test_a_handler_may_close_the_session() -> None:
    calls: Calls = []

    async def close(message: RealtimeMessage) -> None:
        await session.close(3001, "enough")
        calls.append(("closed",))

    async with ScriptedServer() as server:
        async with server.connect(close_timeout=1000) as session:
            listen(session, calls)
            session.on("message", close)
            await server.say(text_delta(1), text_delta("never handled"))
            async for _ in session:
                pass
    assert [call[0] for call in calls] == ["message", "closed", "close"]
    assert server.close_code == 3001


async def test_a_handler_may_send() -> None:
    async def answer(message: RealtimeMessage) -> None:
        await session.send_audio(PCM)

    async with ScriptedServer() as server, server.connect() as session:
        session.on("message", answer)
        await server.say(text_delta(1), text_delta(2))
        await server.heard(2)


async def test_a_slow_handler_stalls_neither_the_wire_nor_the_iteration() -> None:
    handling = anyio.Event()

    async def stall(message: RealtimeMessage) -> None:
        handling.set()
        await anyio.sleep_forever()

    async with ScriptedServer() as server, server.connect(close_timeout=0.01) as session:
        await session.receive()
        session.on("message", stall)
        for number in range(100):
            await server.say(text_delta(number))
            assert texts_of([await session.receive()]) == [str(number)]
        await handling.wait()
        await session.send_audio(PCM)
        await server.heard(1)


async def test_an_error_that_a_handler_hears_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: Calls = []
    async with ScriptedServer() as server, server.connect() as session:
        listen(session, calls)
        await server.say(error("It went wrong."))
        await anyio.wait_all_tasks_blocked()
    assert calls[0][0] == "error"
    assert warnings_of("meshrt.session", caplog) == []


async def test_a_handler_that_comes_after_the_end_hears_of_the_end() -> None:
    calls: Calls = []
    async with ScriptedServer(created(), text_delta(1)) as server:
        async with server.connect() as session:
            await server.close(1011, "bye")
            with pytest.raises(anyio.BrokenResourceError):
                async for _ in session:
                    pass
            listen(session, calls)
            await anyio.wait_all_tasks_blocked()
    assert calls == [("close", 1011, "bye")]


async def test_a_handler_that_comes_after_the_block_is_refused() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            pass
        with pytest.raises(SessionClosed):
            session.on("message", print)


async def test_handlers_that_do_not_keep_up_are_ended_alone() -> None:
    calls: Calls = []
    may_go_on = anyio.Event()

    async def stall(message: RealtimeMessage) -> None:
        await may_go_on.wait()
        calls.append(("message", message))

    def on_error(problem: Exception) -> None:
        calls.append(("error", problem))

    def on_close(code: int, reason: str) -> None:
        calls.append(("close", code, reason))

    async with ScriptedServer() as server:
        async with server.connect(buffer_bytes=10_000) as session:
            await session.receive()
            session.on("message", stall).on("error", on_error).on("close", on_close)
            received = []
            for number in range(100):
                await server.say(text_delta(number))
                received.append(await session.receive())
            may_go_on.set()
            await anyio.wait_all_tasks_blocked()
            # The handlers are over; the wire, the iteration and the state are not.
            await server.say(text_delta("after"))
            received.append(await session.receive())
            assert session.closed is None
    heard = texts_of(call[1] for call in calls[:-2])
    assert texts_of(received) == [*map(str, range(100)), "after"]
    assert heard == [str(number) for number in range(len(heard))]
    assert 0 < len(heard) < 100
    assert calls[-2][0] == "error"
    assert isinstance(calls[-2][1], SlowConsumerError)
    assert calls[-1] == ("close", 1000, "")


async def test_handlers_that_do_not_keep_up_end_the_session_where_nobody_handles_that() -> None:
    may_go_on = anyio.Event()

    async def stall(_: RealtimeMessage) -> None:
        await may_go_on.wait()

    async with ScriptedServer() as server:
        with pytest.raises(SlowConsumerError, match="buffer_bytes"):
            async with server.connect(buffer_bytes=10_000) as session:
                session.on("message", stall)
                for number in range(100):
                    await server.say(text_delta(number))
                    await session.receive()
                may_go_on.set()
                await anyio.sleep_forever()


async def test_what_nobody_handles_costs_no_budget() -> None:
    said = [text_delta("x" * 1000) for _ in range(100)]
    async with ScriptedServer(created(), *said) as server:
        async with server.connect(buffer_bytes=1_000_000) as session:
            session.on("close", lambda _code, _reason: None)
            await server.close()
            assert len([message async for message in session]) == 101


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False})], indirect=True)
async def test_a_stray_cancellation_in_a_handler_does_not_pass_for_an_end(
    anyio_backend: object,
) -> None:
    async def wait_for_what_is_cancelled(_: RealtimeMessage) -> None:
        task = asyncio.ensure_future(asyncio.sleep(0))
        task.cancel()
        await task

    async with ScriptedServer() as server:
        with pytest.raises(ConnectionLost, match="cancelled from outside"):
            async with server.connect() as session:
                session.on("message", wait_for_what_is_cancelled)
                await server.say(text_delta("now"))
                await anyio.sleep_forever()
