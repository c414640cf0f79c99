# ruff: noqa: PT012  a session's block, all of it, is what raises
"""What a session keeps when the server is unkind: the code of an error, and the key to itself."""

import anyio
import anyio.lowlevel
import pytest
from support import PCM, ScriptedServer, audio_delta, created, error, text_delta, texts_of

from meshrt import MeshAPI
from meshrt._secret import Secret
from meshrt.errors import ConfigurationError, LocalProtocolError, RealtimeError
from meshrt.events import Event, InputAudioBufferClear
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


@pytest.mark.parametrize("key", ["x", "type", "1", "session", "test"])
async def test_a_short_key_changes_nothing_of_what_comes(key: str) -> None:
    said = (created(), text_delta("this is a test x1"), audio_delta())
    async with ScriptedServer(*said) as server:
        async with server.connect(redact=Secret(key).redact) as session:
            messages = [await session.receive() for _ in said]
    assert texts_of(messages) == ["this is a test x1"]
    assert messages[2].audio == PCM


async def test_the_key_stays_in_what_the_model_says() -> None:
    async with ScriptedServer(created(), text_delta(f"You said {KEY}.")) as server:
        async with server.connect(redact=Secret(KEY).redact) as session:
            messages = [await session.receive() for _ in range(2)]
    assert texts_of(messages) == [f"You said {KEY}."]


@pytest.mark.parametrize("awaited", [True, False])
async def test_the_key_is_found_behind_escapes_and_in_answers(
    awaited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = "".join(f"\\u{ord(letter):04x}" for letter in KEY)

    def refuse(event: Event) -> str:
        event_id = f'"{event.event_id}"' if awaited else "null"
        details = f'"message":"{hidden} is wrong","param":"{KEY}","event_id":{event_id}'
        return f'{{"type":"error","error":{{"type":"x","code":"c",{details}}},"{KEY}":1}}'

    async with ScriptedServer() as server:
        server.replies["input_audio_buffer.clear"] = refuse
        async with server.connect(redact=Secret(KEY).redact) as session:
            await session.receive()
            with pytest.raises(RealtimeError, match=r"\*\*\* is wrong") as caught:
                if awaited:
                    await session.clear()
                else:
                    await session.send(InputAudioBufferClear())
                    await session.send(InputAudioBufferClear())
                    await session.receive()
            assert KEY not in f"{caught.value} {vars(caught.value)} {caplog.text}"


async def test_a_loss_keeps_no_frames_in_which_the_last_message_stands() -> None:
    async with ScriptedServer(created(), text_delta(KEY)) as server:
        async with server.connect() as session:
            await anyio.wait_all_tasks_blocked()
            await server.vanish()
            with pytest.raises(ConnectionLost) as caught:
                async for _ in session:
                    pass
            cause = caught.value.__cause__
            assert cause is not None
            assert cause.__traceback__ is None
            assert str(caught.value).count("CLOSE") == 1
