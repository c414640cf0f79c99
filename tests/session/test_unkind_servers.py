# ruff: noqa: PT012  a session's block, all of it, is what raises
"""What a session keeps when the server is unkind: the code of an error, and the key to itself."""

import anyio.lowlevel
import pytest
from support import ScriptedServer, created, error, text_delta

from meshrt import MeshAPI
from meshrt._secret import Secret
from meshrt.errors import ConfigurationError, LocalProtocolError, RealtimeError
from meshrt.transports import ConnectionLost, HandshakeRejected

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

KEY = "rsk_TOPSECRET"


class FalsyError(Exception):
    def __bool__(self) -> bool:
        return False


async def test_an_error_that_ends_the_session_while_it_is_configured_keeps_its_code() -> None:
    server = ScriptedServer(created(), error("No money.", code="insufficient_quota"))
    server.replies.clear()
    async with server:
        await server.close(4402, "quota")
        with pytest.raises(HandshakeRejected, match=r"No money\.") as caught:
            async with server.connect(session={"type": "realtime"}):
                pytest.fail("the body may not begin")
    assert caught.value.code == "insufficient_quota"


async def test_the_key_is_taken_out_of_what_a_server_repeats() -> None:
    said = (created(), error(f"The key {KEY} is wrong."))
    async with ScriptedServer(*said) as server:
        async with server.connect(redact=Secret(KEY).redact) as session:
            await session.receive()
            with pytest.raises(RealtimeError, match=r"The key \*\*\* is wrong") as caught:
                await session.receive()
            await server.close(1008, f"{KEY} expired")
            with pytest.raises(ConnectionLost) as lost:
                await session.receive()
            assert session.closed is not None
            assert KEY not in f"{caught.value!r} {lost.value!r} {session.closed!r}"


async def test_an_exception_of_the_body_that_is_false_is_raised_all_the_same() -> None:
    async with ScriptedServer() as server:
        with pytest.raises(FalsyError):
            async with server.connect():
                raise FalsyError


@pytest.mark.parametrize(
    ("code", "reason"), [(1000.0, ""), (True, ""), (1000, b"x"), (1000, "é" * 62), (1005, "")]
)
async def test_a_close_that_can_t_be_sent_is_refused_and_the_session_goes_on(
    code: int, reason: str
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError):
            await session.close(code, reason)
        assert session.closed is None


async def test_an_end_in_the_middle_of_a_response_says_so() -> None:
    begun = {"type": "response.created", "response": {"id": "r", "status": "in_progress"}}
    async with ScriptedServer(created(), begun, text_delta(1)) as server:
        async with server.connect() as session:
            await server.close(1000)
            with pytest.raises(ConnectionLost, match="in the middle of a response"):
                async for _ in session:
                    pass


async def test_only_a_cancel_that_came_too_late_is_forgiven_and_only_once() -> None:
    begun = {"type": "response.created", "response": {"id": "r", "status": "in_progress"}}
    done = {"type": "response.done", "response": {"id": "r", "status": "cancelled"}}
    async with ScriptedServer(created(), begun) as server, server.connect() as session:
        while not session.conversation.active_responses:
            await session.receive()
        server.replies["response.cancel"] = lambda _: done
        await session.cancel()
        await server.say(error("Nothing runs.", code="response_cancel_not_active"))
        with pytest.raises(RealtimeError, match="Nothing runs"):
            while True:
                await session.receive()


async def test_an_empty_url_is_not_the_vendors() -> None:
    await anyio.lowlevel.checkpoint()
    with pytest.raises(ConfigurationError, match="base_url"):
        MeshAPI(base_url="", token=KEY)
