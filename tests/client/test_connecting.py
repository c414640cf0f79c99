# ruff: noqa: PT012  a session's block, all of it, is what raises
"""A client and a server that is not ours: each option, over a real socket."""

import asyncio
import http
import json
import ssl
from contextlib import suppress
from typing import Any

import anyio
import pytest
import trustme
import websockets.exceptions
from support import (
    PCM,
    Script,
    audio_delta,
    created,
    error,
    places_of,
    text_delta,
    texts_of,
    updated,
    websockets_server,
)
from websockets.asyncio.server import ServerConnection

from meshrt import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    HandshakeRejected,
    MeshAPI,
    RealtimeError,
    RemoteProtocolError,
    SlowConsumerError,
)
from meshrt.events import Error, RealtimeSessionConfig

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

KEY = "rsk_b7Q-sentinel.42"
MODEL = "openai/gpt-realtime-mini"


class Seen:
    """What a server saw, and how it ended; it greets, says its lines, and waits for the end."""

    def __init__(self, *lines: dict[str, Any]) -> None:
        self.lines = lines
        self.path = ""
        self.headers: dict[str, str] = {}
        self.heard: list[dict[str, Any]] = []
        self.close_code: int | None = None

    async def __call__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.path = connection.request.path
        self.headers = dict(connection.request.headers.raw_items())
        with suppress(websockets.exceptions.ConnectionClosed):
            for line in (created(), *self.lines):
                await connection.send(json.dumps(line))
            async for message in connection:
                self.heard.append(json.loads(message))
                if self.heard[-1]["type"] == "session.update":
                    await connection.send(json.dumps(updated(**self.heard[-1]["session"])))
        await self.until_closed(connection)

    async def until_closed(self, connection: ServerConnection) -> None:
        await connection.wait_closed()
        self.close_code = connection.close_code


def local(port: int, **options: Any) -> MeshAPI:
    return MeshAPI(base_url=f"http://127.0.0.1:{port}", **options)


async def mute(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def test_a_session_goes_there_and_back() -> None:
    seen = Seen(text_delta("hello"), audio_delta())
    with websockets_server(seen) as port:
        async with local(port, token=KEY).realtime.connect(model=MODEL) as session:
            await session.send_audio(PCM)
            messages = [await session.receive() for _ in range(3)]
    assert texts_of(messages) == ["hello"]
    assert messages[2].audio == PCM
    assert seen.heard[0]["type"] == "input_audio_buffer.append"
    assert seen.close_code == 1000


async def test_the_model_is_in_the_address() -> None:
    with websockets_server(seen := Seen()) as port:
        async with local(port).realtime.connect(model=MODEL):
            pass
    assert seen.path == "/v1/realtime?model=openai%2Fgpt-realtime-mini"


@pytest.mark.parametrize("auth", ["query", "header", "subprotocol"])
async def test_the_key_goes_the_way_that_was_chosen(auth: Any) -> None:
    with websockets_server(seen := Seen()) as port:
        async with local(port, token=KEY, auth=auth).realtime.connect(model=MODEL):
            pass
    headers = {name.lower(): value for name, value in seen.headers.items()}
    offered = headers["sec-websocket-protocol"].split(", ")
    found = {
        "query": seen.path.endswith(f"&api_key={KEY}"),
        "header": headers.get("authorization") == f"Bearer {KEY}",
        "subprotocol": f"openai-insecure-api-key.{KEY}" in offered,
    }
    assert found == {way: way == auth for way in found}


async def test_a_session_is_configured_before_the_body_begins() -> None:
    wanted = {"type": "realtime", "instructions": "Be brief."}
    with websockets_server(seen := Seen()) as port:
        async with local(port).realtime.connect(model=MODEL, session=wanted) as session:
            assert isinstance(session.config, RealtimeSessionConfig)
            assert session.config.instructions == "Be brief."
    assert seen.heard[0]["session"] == wanted


async def test_the_connect_timeout_ends_the_waiting_for_a_greeting() -> None:
    with websockets_server(mute) as port:
        with pytest.raises(ConnectTimeout, match=r"0\.05"):
            async with local(port).realtime.connect(model=MODEL, connect_timeout=0.05):
                pytest.fail("the body may not begin")


async def test_the_close_timeout_ends_the_waiting_for_an_answer() -> None:
    async def greet_and_sleep(connection: ServerConnection) -> None:
        await connection.send(json.dumps(created()))
        connection.transport.pause_reading()  # so it never sees our CLOSE
        await asyncio.sleep(0.5)
        connection.transport.resume_reading()

    with websockets_server(greet_and_sleep) as port:
        connecting = local(port).realtime.connect(model=MODEL, close_timeout=0.05)
        async with connecting as session:
            pass
        assert session.closed is not None


async def test_the_buffer_ends_a_session_whose_reader_does_not_keep_up() -> None:
    seen = Seen()

    async def flood_when_told(connection: ServerConnection) -> None:
        await connection.send(json.dumps(created()))
        await connection.recv()
        for _ in range(10):
            await connection.send(json.dumps(text_delta("x" * 5000)))
        await seen.until_closed(connection)

    ended = anyio.Event()
    with websockets_server(flood_when_told) as port:
        connecting = local(port).realtime.connect(model=MODEL, buffer_bytes=30_000)
        with pytest.raises(SlowConsumerError):
            async with connecting as session:
                session.on("close", lambda _code, _reason: ended.set())
                await session.receive()
                await session.send_audio(PCM)
                await ended.wait()
                async for _ in session:
                    pass
    assert seen.close_code == 1008


async def test_a_message_that_is_too_large_ends_the_session() -> None:
    seen = Seen(text_delta("x" * 5000))
    with websockets_server(seen) as port:
        connecting = local(port).realtime.connect(model=MODEL, max_message_bytes=4000)
        with pytest.raises(RemoteProtocolError) as caught:
            async with connecting as session:
                async for _ in session:
                    pass
    assert caught.value.close_code == 1009
    assert seen.close_code == 1009


async def test_errors_are_raised_or_delivered() -> None:
    with websockets_server(Seen(error("No."))) as port:
        async with local(port).realtime.connect(model=MODEL) as session:
            await session.receive()
            with pytest.raises(RealtimeError, match=r"No\."):
                await session.receive()
        async with local(port).realtime.connect(model=MODEL, errors="deliver") as session:
            await session.receive()
            assert isinstance((await session.receive()).event, Error)


async def test_the_raw_text_of_audio_is_kept_if_asked() -> None:
    with websockets_server(Seen(audio_delta())) as port:
        for keep in (False, True):
            connecting = local(port).realtime.connect(model=MODEL, keep_audio_text=keep)
            async with connecting as session:
                await session.receive()
                message = await session.receive()
            assert message.audio == PCM
            assert (message.text is not None) is keep


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def test_the_ssl_context_says_whom_to_trust(authority: trustme.CA) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)
    with websockets_server(seen := Seen(), ssl=serving) as port:
        base_url = f"https://localhost:{port}"
        stranger = MeshAPI(base_url=base_url, token=KEY)
        with pytest.raises(ConnectError, match="not trusted") as caught:
            async with stranger.realtime.connect(model=MODEL):
                pytest.fail("the body may not begin")
        assert places_of(KEY, caught.value) == []
        assert seen.path == ""
        friend = MeshAPI(base_url=base_url, token=KEY, ssl_context=trusting)
        async with friend.realtime.connect(model=MODEL) as session:
            await session.receive()
    assert seen.close_code == 1000


async def test_one_client_opens_many_sessions() -> None:
    with websockets_server(Seen(text_delta("hello"))) as port:
        client = local(port)
        async with (
            client.realtime.connect(model=MODEL) as first,
            client.realtime.connect(model=MODEL) as second,
        ):
            for session in (first, second):
                assert texts_of([await session.receive() for _ in range(2)]) == ["hello"]


async def test_pings_are_answered_while_nobody_reads() -> None:
    answered = []

    async def greet_talk_and_ping(connection: ServerConnection) -> None:
        await connection.send(json.dumps(created()))
        for number in range(64):
            await connection.send(json.dumps(text_delta(f"{number} {'x' * 4096}")))
        for _ in range(3):
            await asyncio.wait_for(await connection.ping(), 10)
            answered.append("pong")

    ended = anyio.Event()
    with websockets_server(greet_talk_and_ping, ping_interval=None) as port:
        connecting = local(port).realtime.connect(model=MODEL, buffer_bytes=50_000)
        async with connecting as session:
            session.on("close", lambda _code, _reason: ended.set())
            await ended.wait()
    assert answered == ["pong"] * 3


async def test_a_server_that_goes_away_is_a_loss() -> None:
    async def greet_and_abort(connection: ServerConnection) -> None:
        await connection.send(json.dumps(created()))
        await connection.send(json.dumps(text_delta("last words")))
        await connection.ping()
        connection.transport.abort()

    received = []
    with websockets_server(greet_and_abort) as port:
        with pytest.raises(ConnectionLost) as caught:
            async with local(port, token=KEY).realtime.connect(model=MODEL) as session:
                async for message in session:
                    received.append(message)  # noqa: PERF401  it ends with an error
    assert caught.value.code is None
    assert places_of(KEY, caught.value) == []


def refuse_by_status(connection: ServerConnection, _request: object) -> Any:
    return connection.respond(http.HTTPStatus.UNAUTHORIZED, f"not with {KEY}\n")


async def refuse_by_event(connection: ServerConnection) -> None:
    refusal = error("Incorrect API key.", code="invalid_api_key")
    await connection.send(json.dumps(refusal))
    await connection.close(3000, "invalid_request_error.invalid_api_key")


async def say_garbage(connection: ServerConnection) -> None:
    await connection.send("garbage")
    await connection.wait_closed()


async def hang_up(connection: ServerConnection) -> None:  # noqa: ASYNC124  a script
    connection.transport.abort()


@pytest.mark.parametrize("auth", ["query", "header", "subprotocol"])
@pytest.mark.parametrize(
    ("script", "options", "raised"),
    [
        (mute, {"process_request": refuse_by_status}, HandshakeRejected),
        (mute, {"process_request": None}, ConnectTimeout),
        (refuse_by_event, {}, HandshakeRejected),
        (say_garbage, {}, RemoteProtocolError),
        (hang_up, {}, ConnectError),
    ],
    ids=["401", "mute", "error event", "garbage", "hang up"],
)
async def test_no_failure_shows_the_key(
    auth: Any,
    script: Script,
    options: dict[str, Any],
    raised: type[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="meshrt")
    with websockets_server(script, **options) as port:
        with pytest.raises(raised) as caught:
            client = local(port, token=KEY, auth=auth)
            async with client.realtime.connect(model=MODEL, connect_timeout=0.5):
                pytest.fail("the body may not begin")
    assert places_of(KEY, caught.value) == []
    assert not [record for record in caplog.records if KEY in record.getMessage()]


async def test_nobody_there_does_not_show_the_key_either(free_tcp_port: int) -> None:
    with pytest.raises(ConnectError, match=str(free_tcp_port)) as caught:
        async with local(free_tcp_port, token=KEY).realtime.connect(model=MODEL):
            pytest.fail("the body may not begin")
    assert places_of(KEY, caught.value) == []


@pytest.mark.parametrize("auth", ["query", "header", "subprotocol"])
async def test_a_cancellation_does_not_show_the_key(auth: Any) -> None:
    outcomes: list[BaseException] = []
    with websockets_server(mute) as port, anyio.move_on_after(0.05):
        try:
            async with local(port, token=KEY, auth=auth).realtime.connect(model=MODEL):
                pytest.fail("the body may not begin")
        except anyio.get_cancelled_exc_class() as cancelled:
            outcomes.append(cancelled)
            raise
    (cancelled,) = outcomes
    assert places_of(KEY, cancelled) == []
    outcomes.clear()
