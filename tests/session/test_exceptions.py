# ruff: noqa: PT012  a session's block, all of it, is what raises
"""One cause, one bare exception: what leaves a session's block is what went wrong in it."""

import gc
import traceback
import weakref
from collections.abc import Sequence
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from support import PCM, Canceller, ScriptedServer, Wrapped, text_delta

from meshrt.errors import InternalError
from meshrt.session import Connecting
from meshrt.transports import ConnectError, ConnectionLost, Transport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


class Abort(BaseException):
    """No Exception, and not one that a loop knows."""


RAISED = [
    KeyError("x"),
    ValueError(),
    StopIteration(),
    StopAsyncIteration(),
    anyio.EndOfStream(),
    ConnectionLost("not of this session"),
    TimeoutError(),
    ExceptionGroup("of the user's", [KeyError()]),
    BaseExceptionGroup("of the user's", [Abort()]),
    Abort(),
    KeyboardInterrupt(),
    SystemExit(3),
    GeneratorExit(),
]


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
async def test_what_the_body_raises_comes_out_as_it_is(raised: BaseException) -> None:
    raised.__context__ = context = OSError()
    raised.__cause__ = None
    async with ScriptedServer() as server:
        caught: BaseException | None = None
        try:
            async with server.connect():
                raise raised  # noqa: TRY301  the body is where it is raised
        except BaseException as error:  # noqa: ASYNC103, BLE001  that is what is tested
            caught = error
        assert caught is raised
        assert raised.__context__ is context
        assert raised.__cause__ is None
        await server.ended.wait()
    raised.__traceback__ = raised.__context__ = None


@pytest.mark.parametrize("raised", [KeyError("x"), Abort()])
async def test_an_exception_that_a_dead_session_sees_comes_out_as_it_is(
    raised: BaseException,
) -> None:
    async with ScriptedServer() as server:
        with pytest.raises(type(raised)) as caught:
            async with server.connect() as session:
                await server.vanish()
                await anyio.wait_all_tasks_blocked()
                assert session.closed is not None
                raise raised
        assert caught.value is raised
        assert raised.__context__ is None


async def test_the_end_that_an_iteration_raises_comes_out_bare() -> None:
    async with ScriptedServer() as server:
        with pytest.raises(ConnectionLost) as caught:
            async with server.connect() as session:
                await server.close(1011)
                async for _ in session:
                    pass
    assert type(caught.value) is ConnectionLost
    assert caught.value.__context__ is None


async def test_an_exception_points_at_the_body() -> None:
    async with ScriptedServer() as server:
        with pytest.raises(KeyError) as caught:
            async with server.connect():
                raise KeyError
    shown = "".join(traceback.format_exception(caught.value))
    assert "    raise KeyError\n" in shown
    assert "The above exception" not in shown
    assert "During handling" not in shown


async def test_a_cancellation_from_outside_goes_on(cancel: Canceller) -> None:
    async with ScriptedServer() as server:
        after: list[str] = []

        async def run() -> None:
            async with server.connect():
                await anyio.sleep_forever()
            after.append("not reached")

        assert await cancel(run, 20)
        assert after == []
        await server.ended.wait()
        assert server.close_code is None


async def test_a_cancellation_of_the_users_own_scope_stays_in_it() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await session.receive()
            assert scope.cancelled_caught
            await session.send_audio(PCM)
            await server.heard(1)


async def test_a_cancellation_that_the_body_answers_with_an_error_is_that_error() -> None:
    raised = KeyError()
    async with ScriptedServer() as server:
        with pytest.raises(KeyError) as caught, anyio.CancelScope() as scope:
            async with server.connect():
                scope.cancel()
                try:
                    await anyio.sleep_forever()
                finally:
                    raise raised
        assert caught.value is raised


async def test_a_cancellation_while_closing_neither_hides_nor_changes_an_error() -> None:
    raised = KeyError()
    async with ScriptedServer(answers_close=False) as server:
        with pytest.raises(KeyError) as caught, anyio.CancelScope() as scope:
            async with server.connect(close_timeout=1000):
                scope.cancel()
                raise raised
        assert caught.value is raised
        assert raised.__context__ is None


async def test_a_group_with_a_cancellation_in_it_keeps_its_other_members() -> None:
    async with ScriptedServer() as server:

        async def fail() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                raise KeyError

        expected = pytest.RaisesGroup(KeyError, flatten_subgroups=True)
        with expected, anyio.CancelScope() as scope:
            async with server.connect(), anyio.create_task_group() as tasks:
                tasks.start_soon(fail)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()


@pytest.mark.parametrize("name", ["message", "error", "close"])
@pytest.mark.parametrize("raised", [KeyError("x"), ExceptionGroup("…", [KeyError()]), Abort()])
async def test_what_a_handler_raises_comes_out_bare_and_cancels_the_body(
    name: str, raised: BaseException
) -> None:
    outcomes: list[str] = []

    def fail(*_: object) -> None:
        raise raised

    async with ScriptedServer() as server:
        with pytest.raises(type(raised)) as caught:
            async with server.connect() as session:
                session.on(name, fail)  # type: ignore[arg-type]
                try:
                    await server.say(text_delta(1), {"type": "error", "error": {}})
                    await server.close(1011)
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class():
                    outcomes.append("cancelled")
                    raise
        assert caught.value is raised
        assert outcomes == ["cancelled"]
        await server.ended.wait()
    raised.__traceback__ = None


async def test_a_handler_that_fails_while_the_block_is_left_comes_out_too() -> None:
    def fail(*_: object) -> None:
        raise KeyError

    async with ScriptedServer() as server:
        with pytest.raises(KeyError):
            async with server.connect() as session:
                session.on("close", fail)


async def test_a_handler_that_is_cancelled_and_fails_takes_no_cancellation_along() -> None:
    handling = anyio.Event()

    async def fail() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyError

    async def handle(*_: object) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
            handling.set()
            await anyio.sleep_forever()

    async with ScriptedServer() as server:
        with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
            async with server.connect(close_timeout=0.01) as session:
                session.on("message", handle)
                await server.say(text_delta(1))
                await handling.wait()


class BrokenReader(Wrapped):
    """A transport with a bug, once it is told to show it."""

    def __init__(self, inner: Wrapped) -> None:
        super().__init__(inner)
        self.broken = False

    async def receive(self) -> list[str | bytes]:
        messages = await super().receive()
        if self.broken:
            raise ZeroDivisionError
        return messages


class BrokenWriter(Wrapped):
    async def send(self, batch: Sequence[str | bytes]) -> None:
        await super().send(batch)
        raise ZeroDivisionError


async def test_a_bug_in_the_reader_is_an_internal_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server:
        server.client = transport = BrokenReader(server.client)  # type: ignore[arg-type]
        async with server.connect() as session:
            await session.receive()
            transport.broken = True
            await server.say(text_delta(1))
            with pytest.raises(InternalError, match="please report") as caught:
                await session.receive()
            with pytest.raises(InternalError):
                await session.send_audio(PCM)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_bug_in_the_writer_is_an_internal_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server:
        server.client = BrokenWriter(server.client)
        with pytest.raises(InternalError, match="please report") as caught:
            async with server.connect() as session:
                await session.send_audio(PCM)
                async for _ in session:
                    pass
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.__cause__.__traceback__ is not None
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def leave_with_an_error(server: ScriptedServer) -> "weakref.ref[object]":
    try:
        async with server.connect() as session:
            reference = weakref.ref(session)
            await session.receive()
            raise KeyError  # noqa: TRY301  the body is where it is raised
    except KeyError:
        return reference


async def test_what_a_handler_raises_has_no_context_that_is_ours() -> None:
    async with ScriptedServer() as server:
        with pytest.raises(KeyError) as caught:
            async with server.connect() as session:
                session.on("message", raise_key_error)
                await server.say(text_delta(1))
                await anyio.sleep_forever()
    assert caught.value.__context__ is None


def raise_key_error(_: object) -> None:
    raise KeyError


async def test_a_handler_that_uses_the_session_when_the_block_is_left_has_not_failed() -> None:
    async def ask(_: object) -> None:
        handled.append("asks")
        await session.clear()

    handled: list[object] = []
    async with ScriptedServer() as server:
        async with server.connect() as session:
            session.on("message", ask)
            await server.say(text_delta(1))
            await server.heard(1)
    assert handled == ["asks"]


async def test_what_interrupts_a_task_of_ours_comes_out_bare() -> None:
    async with ScriptedServer() as server:
        transport = Interrupted(server.client)

        async def open_it(_tasks: object) -> Transport:
            await anyio.lowlevel.checkpoint()
            return transport

        with pytest.raises(KeyboardInterrupt):
            async with Connecting(open_it):
                await server.say(text_delta(1))
                await anyio.sleep_forever()
    assert transport.aborts > 0


class Interrupted(Wrapped):
    """A transport in which somebody presses Ctrl-C when the second message is read."""

    reads = 0

    async def receive(self) -> list[str | bytes]:
        self.reads += 1
        messages = await super().receive()
        if self.reads > 1:
            raise KeyboardInterrupt
        return messages


async def test_an_exception_that_is_gone_keeps_no_session() -> None:
    async with ScriptedServer() as server:
        gc.collect()
        gc.disable()
        try:
            reference = await leave_with_an_error(server)
            assert reference() is None
        finally:
            gc.enable()


class RefusedError(ConnectError):
    """One whose end can be watched."""


async def test_a_refusal_that_is_gone_keeps_nothing() -> None:
    references: list[weakref.ref[RefusedError]] = []

    async def refuse(_tasks: object) -> Transport:
        await anyio.lowlevel.checkpoint()
        error = RefusedError()
        references.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    async def enter() -> None:
        with suppress(RefusedError):
            async with Connecting(refuse):
                pytest.fail("the body may not begin")

    gc.collect()
    gc.disable()
    try:
        await enter()
        assert [reference() for reference in references] == [None]
    finally:
        gc.enable()
