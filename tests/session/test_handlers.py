# ruff: noqa: PT012  a session's block, all of it, is what raises
"""Handlers by name, class and pattern; once and no more; and programs that are handlers alone."""

import logging
from typing import Any

import anyio
import pytest
from support import (
    ScriptedServer,
    error,
    response_created,
    response_done,
    text_delta,
    texts_of,
)

from meshrt.errors import LocalProtocolError, MeshWarning, RealtimeError
from meshrt.events import Error, ResponseDone, ResponseOutputTextDelta, SessionUpdate
from meshrt.session import Closed, RealtimeMessage, RealtimeSession
from meshrt.transports import ConnectionLost, SessionExpired

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


async def test_a_handler_may_be_for_a_class_a_name_or_a_pattern() -> None:
    calls: list[tuple[str, str]] = []

    def note(key: str) -> Any:
        return lambda message: calls.append((key, message.event.type))

    async with ScriptedServer() as server, server.connect() as session:
        session.on(ResponseDone, note("class")).on("response.done", note("name"))
        session.on("response.*", note("pattern")).on("response.text.delta", note("old name"))
        await server.say(response_created(), text_delta(1), response_done())
        await anyio.wait_all_tasks_blocked()
    assert calls == [
        ("pattern", "response.created"),
        ("pattern", "response.output_text.delta"),
        ("old name", "response.output_text.delta"),
        ("class", "response.done"),
        ("name", "response.done"),
        ("pattern", "response.done"),
    ]


async def test_an_error_goes_to_error_as_an_exception_and_to_its_class_as_a_message() -> None:
    calls: list[Any] = []
    async with ScriptedServer() as server, server.connect() as session:
        session.on("error", calls.append).on(Error, calls.append).on("message", calls.append)
        await server.say(error("No."))
        await anyio.wait_all_tasks_blocked()
    assert [type(call) for call in calls] == [RealtimeError, RealtimeMessage]


async def test_on_and_once_are_decorators_too() -> None:
    calls: list[str] = []
    async with ScriptedServer() as server, server.connect() as session:

        @session.on("message")
        async def each(message: RealtimeMessage) -> None:
            calls.append("each")

        @session.once(ResponseOutputTextDelta)
        def first(message: RealtimeMessage) -> None:
            calls.append("first")

        assert each.__name__ == "each"
        assert first.__name__ == "first"
        await server.say(text_delta(1), text_delta(2))
        await anyio.wait_all_tasks_blocked()
    assert calls == ["each", "first", "each"]


async def test_once_is_once_however_many_come_and_whoever_asks_again() -> None:
    calls: list[int] = []

    def again(message: RealtimeMessage) -> None:
        calls.append(len(calls))
        if len(calls) < 3:
            session.once("message", again)

    async with ScriptedServer() as server, server.connect() as session:
        session.once("message", again)
        await server.say(*map(text_delta, range(10)))
        await anyio.wait_all_tasks_blocked()
    assert calls == [0, 1, 2]


async def test_off_takes_one_handler_or_all_of_a_key() -> None:
    calls: list[str] = []
    async with ScriptedServer() as server, server.connect() as session:
        handlers = {name: (lambda _, name=name: calls.append(name)) for name in "abc"}
        for handler in handlers.values():
            session.on("message", handler)
        assert session.off("message", handlers["b"]) is session
        await server.say(text_delta(1))
        await anyio.wait_all_tasks_blocked()
        session.off("message").off("message").off("response.*", print)
        await server.say(text_delta(2))
        await anyio.wait_all_tasks_blocked()
    assert calls == ["a", "c"]


async def test_off_inside_a_handler_counts_at_once() -> None:
    calls: list[str] = []

    def first(_: RealtimeMessage) -> None:
        calls.append("first")
        session.off("message", second)

    def second(_: RealtimeMessage) -> None:
        calls.append("second")

    async with ScriptedServer() as server, server.connect() as session:
        session.on("message", first).on("message", second)
        await server.say(text_delta(1))
        await anyio.wait_all_tasks_blocked()
    assert calls == ["first"]


async def test_off_where_there_are_no_handlers_changes_nothing() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        assert session.off("message") is session


async def test_a_name_that_nobody_knows_is_warned_of_where_it_stands() -> None:
    calls: list[RealtimeMessage] = []
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.warns(MeshWarning, match=r"brand\.new") as warned:
            session.on("brand.new", calls.append)
        with pytest.warns(MeshWarning, match=r"brand\.old") as decorated:
            session.once("brand.old")(calls.append)
        assert {warned[0].filename, decorated[0].filename} == {__file__}
        await server.say({"type": "brand.new"})
        await anyio.wait_all_tasks_blocked()
    assert [call.event.type for call in calls] == ["brand.new"]


@pytest.mark.parametrize("key", ["open", "", 3, None, SessionUpdate])
async def test_a_key_that_there_is_not_is_refused_before_anything_is_called(key: Any) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError, match="'message', 'error' and 'close'"):
            session.on(key, print)
        with pytest.raises(LocalProtocolError):
            session.once(key)(print)


async def test_a_failing_handler_is_reported_and_the_session_goes_on_if_so_wished(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[str] = []

    async def fail(message: RealtimeMessage) -> None:
        raise KeyError("mine")

    async with ScriptedServer() as server:
        async with server.connect(handler_errors="report") as session:
            session.on("message", fail).on("message", lambda _: calls.append("next"))
            await server.say(text_delta(1), text_delta(2))
            await anyio.wait_all_tasks_blocked()
            assert session.closed is None
    assert calls == ["next", "next"]
    reports = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(reports) == 2
    assert all(report.exc_info and "mine" in str(report.exc_info[1]) for report in reports)


async def test_close_works_inside_a_handler() -> None:
    closed: list[Any] = []

    async def leave(_: RealtimeMessage) -> None:
        await session.close(3000, "enough")

    async with ScriptedServer() as server:
        async with server.connect() as session:
            session.on("message", leave).on("close", lambda *how: closed.append(how))
            await server.say(text_delta(1))
            picture = await session.run()
    assert (picture.code, picture.reason, picture.initiator) == (3000, "enough", "client")
    assert closed == [(3000, "enough")]
    assert (server.close_code, server.close_reason) == (3000, "enough")


async def test_a_command_may_be_awaited_inside_a_handler() -> None:
    async def ask(_: RealtimeMessage) -> None:
        answers.append((await session.update({"type": "realtime"})).type)

    answers: list[str] = []
    async with ScriptedServer() as server, server.connect() as session:
        session.once(ResponseDone, ask)
        await server.say(response_done())
        await server.heard(1)
        await anyio.wait_all_tasks_blocked()
    assert answers == ["session.updated"]


async def test_run_waits_for_the_end_and_for_the_handlers_of_what_came_before() -> None:
    heard: list[RealtimeMessage] = []

    async def slowly(message: RealtimeMessage) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(message)

    async with ScriptedServer() as server, server.connect() as session:
        session.on("message", slowly)
        await server.say_and_close(*map(text_delta, range(5)))
        picture = await session.run()
        assert isinstance(picture, Closed)
        assert (picture.initiator, picture.code) == ("server", 1000)
        assert texts_of(heard) == list("01234")
        assert await session.run() == picture


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (1011, "", ConnectionLost),
        (1001, "Your session hit the maximum duration of 60 minutes.", SessionExpired),
    ],
)
async def test_run_raises_an_end_that_cut_something_off(
    code: int, reason: str, kind: type[Exception]
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await server.close(code, reason)
        with pytest.raises(kind):
            await session.run()


async def test_run_may_be_cancelled_and_changes_nothing() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with anyio.move_on_after(0):
            await session.run()
        assert session.closed is None


async def test_a_failing_handler_ends_run_with_its_own_exception() -> None:
    def fail(_: RealtimeMessage) -> None:
        raise KeyError("mine")

    async def program(session: RealtimeSession) -> None:
        await session.on("message", fail).run()

    async with ScriptedServer() as server:
        with pytest.raises(KeyError, match="mine"):
            async with server.connect() as session:
                await server.say(text_delta(1))
                await program(session)


async def test_other_handlers_of_a_close_are_called_though_one_fails_with_report() -> None:
    calls: list[str] = []

    def fail(_code: int, _reason: str) -> None:
        raise KeyError

    async with ScriptedServer() as server:
        async with server.connect(handler_errors="report") as session:
            session.on("close", fail).once("close", lambda *_: calls.append("second"))
    assert calls == ["second"]
