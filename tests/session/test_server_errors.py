# ruff: noqa: PT012  a session's block, all of it, is what raises
"""The server's errors: each is heard once, in its place, by whoever listens."""

import anyio
import pytest
from support import ScriptedServer, created, error, text_delta, texts_of, warnings_of

from meshrt.errors import RealtimeError
from meshrt.events import Error
from meshrt.transports import ConnectionLost, SessionExpired

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

LOGGER = "meshrt.session"


async def test_an_error_is_raised_once_in_its_place_and_the_iteration_goes_on() -> None:
    refused = error("No.", code="invalid_value", param="session.x", event_id="mine_1")
    said = (created(), text_delta(1), refused, text_delta(2))
    received = []
    async with ScriptedServer(*said) as server, server.connect() as session:
        await server.close()
        with pytest.raises(RealtimeError, match=r"No\.") as caught:
            async for message in session:
                received.append(message)  # noqa: PERF401  it ends with an error
        assert texts_of(received) == ["1"]
        assert texts_of([message async for message in session]) == ["2"]
    assert caught.value.code == "invalid_value"
    assert caught.value.param == "session.x"
    assert caught.value.type == "invalid_request_error"
    assert caught.value.event_id == "mine_1"
    assert caught.value.request_id is None


async def test_an_error_with_nothing_in_it_is_an_error_all_the_same() -> None:
    said = {"type": "error", "error": {}}
    async with ScriptedServer(created(), said) as server, server.connect() as session:
        await session.receive()
        with pytest.raises(RealtimeError, match="did not say which") as caught:
            await session.receive()
    assert caught.value.code is None


async def test_errors_can_be_delivered_instead() -> None:
    said = (created(), error("No."), text_delta(2))
    async with ScriptedServer(*said) as server, server.connect(errors="deliver") as session:
        await server.close()
        _, second, third = [message async for message in session]
    assert isinstance(second.event, Error)
    assert second.event.error.message == "No."
    assert texts_of([third]) == ["2"]


async def test_an_error_that_answers_the_configuration_is_not_heard_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server:
        server.replies["session.update"] = lambda event: error(event_id=event.event_id)
        with pytest.raises(RealtimeError):
            async with server.connect(session={"type": "realtime"}):
                pytest.fail("the body may not begin")
    assert warnings_of(LOGGER, caplog) == []


async def test_an_error_that_nobody_would_hear_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server:
        async with server.connect():
            await server.say(error("It went wrong.", code="server_error"))
            await anyio.wait_all_tasks_blocked()
        (record,) = warnings_of(LOGGER, caplog)
    assert "It went wrong." in record
    assert "server_error" in record


async def test_an_error_that_somebody_hears_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.receive()
        await server.say(error("It went wrong."))
        with pytest.raises(RealtimeError):
            await session.receive()
    assert warnings_of(LOGGER, caplog) == []


async def test_what_a_server_says_cannot_forge_a_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer(created(), error("a\nERROR forged \x1b[31m" + "x" * 5000)) as server:
        async with server.connect():
            await server.close()
            await server.ended.wait()
    (record,) = warnings_of(LOGGER, caplog)
    assert "\n" not in record
    assert "\x1b" not in record
    assert len(record) < 400


async def test_a_terminating_error_is_raised_at_its_place_and_then_the_end() -> None:
    async with ScriptedServer(created(), text_delta(1)) as server, server.connect() as session:
        await server.say_and_close(error("Out of credit.", code="insufficient_quota"), code=4000)
        received = [await session.receive(), await session.receive()]
        assert texts_of(received) == ["1"]
        with pytest.raises(RealtimeError) as caught:
            await session.receive()
        assert caught.value.code == "insufficient_quota"
        for _ in range(2):
            with pytest.raises(ConnectionLost) as lost:
                await session.receive()
            assert lost.value.code == 4000
        assert session.closed is not None
        assert session.closed.error is not None
        assert session.closed.error.code == "insufficient_quota"


async def test_an_error_that_was_survived_is_not_the_cause_of_the_end() -> None:
    async with ScriptedServer(created(), error(), text_delta(1)) as server:
        async with server.connect(errors="deliver") as session:
            await server.close(1011)
            with pytest.raises(ConnectionLost):
                async for _ in session:
                    pass
            assert session.closed is not None
            assert session.closed.error is None


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1008, 4000])
async def test_an_error_of_expiry_makes_the_close_an_expiry(code: int) -> None:
    async with ScriptedServer() as server, server.connect(errors="deliver") as session:
        await server.say(error("60 minutes are over.", code="session_expired"))
        await server.close(code if code != 1005 else 1000)
        with pytest.raises(SessionExpired):
            async for _ in session:
                pass
        assert session.closed is not None
        assert session.closed.error is not None
        assert session.closed.error.code == "session_expired"


async def test_an_error_of_expiry_makes_a_loss_an_expiry() -> None:
    async with ScriptedServer() as server, server.connect(errors="deliver") as session:
        await server.say(error("60 minutes are over.", code="session_expired"))
        await server.vanish()
        with pytest.raises(SessionExpired) as caught:
            async for _ in session:
                pass
        assert caught.value.code is None
        assert session.closed is not None
        assert session.closed.initiator == "network"
