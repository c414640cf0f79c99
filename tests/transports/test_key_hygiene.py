"""The key, put in by all three doors, comes out of none."""

import logging
import traceback
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any
from urllib.parse import quote

import anyio
import anyio.abc
import pytest
from websockets.client import ClientProtocol

from meshrt._secret import Secret
from meshrt.transports import ConnectError, Endpoint, Proxy, connect_websocket
from meshrt.transports._handshake import shake_hands
from meshrt.transports._opening import Opening
from meshrt.transports._socks import open_socks
from meshrt.transports._tunnel import open_tunnel

pytestmark = pytest.mark.anyio

Canned = Callable[[object], AbstractAsyncContextManager[Endpoint]]

KEY = "rsk_sentinel.~k3y"
MARK = "sentinel"
BASIC = b64encode(f"user:{KEY}".encode()).decode()

auths = pytest.mark.parametrize("auth", ["query", "header", "subprotocol"])


def everything_about(error: BaseException) -> Iterator[str]:
    yield from (str(error), repr(error), repr(error.args), repr(error.__dict__))
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield "".join(told.format())
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from everything_about(other)


def assert_clean(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    for text in everything_about(error):
        assert MARK not in text
        assert quote(KEY, safe="") not in text
    for record in caplog.records:
        assert MARK not in f"{record.getMessage()} {record.__dict__}"


@pytest.fixture(autouse=True)
def loudest_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "anyio", "meshrt"):
        caplog.set_level(logging.DEBUG, logger=name)


ECHO = b"HTTP/1.1 401 Unauthorized\r\nX-Request-Id: <ECHO>\r\nConnection: close\r\n\r\n"
SCRIPTS = {
    "echo in a 401": ECHO + b'{"error": {"code": "<ECHO>", "message": "no <ECHO>"}}',
    "echo in a detail": ECHO + b'{"detail": [{"msg": "no <ECHO>"}], "request_id": "<ECHO>"}',
    "echo in a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://evil/<ECHO>\r\n\r\n",
    "echo instead of HTTP": b"<ECHO>",
    "echo in the status": b"HTTP/1.1 400 <ECHO>\r\n\r\n",
    "echo in a bad header": b"HTTP/1.1 101 x\r\n<ECHO>\r\n\r\n",
    "echo in Upgrade": b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: <ECHO>\r\n\r\n",
    "echo in Accept": b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: <ECHO>\r\n\r\n",
    "nothing": b"",
    "half": b"HTTP/1.1 401 <ECHO>",
    "500": b"HTTP/1.1 500 x\r\n\r\n<ECHO>",
}


def scripted(data: bytes) -> Callable[[anyio.abc.SocketStream], Any]:
    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            request = await stream.receive()
            assert MARK.encode() in request
            echo = KEY.encode() + b" " + quote(KEY, safe="").encode()
            await stream.send(data.replace(b"<ECHO>", echo))
            await stream.send_eof()

    return serve


@auths
@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_server_that_repeats_the_key_does_not_make_us_repeat_it(
    canned_server: Canned, caplog: pytest.LogCaptureFixture, auth: Any, script: str
) -> None:
    async with canned_server(scripted(SCRIPTS[script])) as endpoint:
        with pytest.raises(ConnectError) as caught:
            await connect_websocket(endpoint, key=Secret(KEY), auth=auth)
    assert_clean(caught.value, caplog)


@auths
async def test_the_chosen_subprotocol_does_not_show_it(
    canned_server: Canned, caplog: pytest.LogCaptureFixture, auth: Any
) -> None:
    data = b"HTTP/1.1 101 x\r\nSec-WebSocket-Protocol: openai-insecure-api-key.<ECHO>\r\n\r\n"
    async with canned_server(scripted(data)) as endpoint:
        with pytest.raises(ConnectError) as caught:
            await connect_websocket(endpoint, key=Secret(KEY), auth=auth)
    assert_clean(caught.value, caplog)


@auths
async def test_a_refused_connection_does_not_show_it(
    canned_server: Canned, caplog: pytest.LogCaptureFixture, auth: Any
) -> None:
    async with canned_server(b"") as endpoint:
        pass
    with pytest.raises(ConnectError) as caught:
        await connect_websocket(endpoint, key=Secret(KEY), auth=auth)
    assert_clean(caught.value, caplog)


@auths
async def test_a_reset_does_not_show_it(
    canned_server: Canned, caplog: pytest.LogCaptureFixture, auth: Any
) -> None:
    async def reset(stream: anyio.abc.SocketStream) -> None:
        await stream.aclose()  # with the request unread: the kernel sends RST

    async with canned_server(reset) as endpoint:
        with pytest.raises(ConnectError) as caught:
            await connect_websocket(endpoint, key=Secret(KEY), auth=auth)
    assert_clean(caught.value, caplog)


@auths
async def test_a_tls_failure_does_not_show_it(
    canned_server: Canned, caplog: pytest.LogCaptureFixture, auth: Any
) -> None:
    async def no_tls(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with canned_server(no_tls) as endpoint:
        secure = Endpoint.parse(f"https://127.0.0.1:{endpoint.port}")
        with pytest.raises(ConnectError) as caught:
            await connect_websocket(secure, key=Secret(KEY), auth=auth)
    assert_clean(caught.value, caplog)


@auths
async def test_a_bad_key_is_refused_without_showing_it(
    caplog: pytest.LogCaptureFixture, auth: Any
) -> None:
    endpoint = Endpoint.parse("https://example.org")
    with pytest.raises(ValueError, match="API key") as caught:
        await connect_websocket(endpoint, key=Secret(f"{KEY}\r\n"), auth=auth)
    assert_clean(caught.value, caplog)


async def test_headers_do_not_show_in_a_traceback(
    canned_server: Canned, caplog: pytest.LogCaptureFixture
) -> None:
    async with canned_server(b"HTTP/1.1 500 x\r\n\r\n") as endpoint:
        with pytest.raises(ConnectError) as caught:
            await connect_websocket(endpoint, headers={"X-Key": KEY})
    frames = caught.traceback[1:]  # the first is this test, which holds no key either
    assert frames
    assert_clean(caught.value, caplog)


class Stuck(anyio.abc.ByteStream):
    """A stream whose frames hold the request for as long as nobody cancels it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def send(self, item: bytes) -> None:
        if MARK.encode() not in item and BASIC.encode() not in item:
            return  # what SOCKS sends before it signs in
        if self.error is not None:
            raise self.error
        await anyio.sleep_forever()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return b"\x05\x02"  # SOCKS is told to sign in; nobody else gets so far

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


@auths
@pytest.mark.parametrize("error", [None, anyio.BrokenResourceError("x"), OSError("x")])
async def test_a_handshake_that_is_cut_while_sending_does_not_show_it(
    caplog: pytest.LogCaptureFixture, auth: Any, error: Exception | None
) -> None:
    endpoint = Endpoint.parse("https://example.org", query={"model": "x"})
    opening = Opening(
        endpoint=endpoint, key=Secret(KEY), auth=auth, subprotocols=("openai-realtime",)
    )
    caught: list[BaseException] = []
    with anyio.move_on_after(0.01), suppress(anyio.BrokenResourceError, OSError):
        try:
            await shake_hands(Stuck(error), opening, 100)
        except BaseException as seen:
            caught.append(seen)
            raise
    assert_clean(caught[0], caplog)


@pytest.mark.parametrize(("scheme", "open_way"), [("http", open_tunnel), ("socks5h", open_socks)])
@pytest.mark.parametrize("error", [None, anyio.BrokenResourceError("x"), OSError("x")])
async def test_a_password_does_not_show_when_telling_the_proxy_is_cut(
    caplog: pytest.LogCaptureFixture,
    scheme: str,
    open_way: Callable[..., Awaitable[None]],
    error: Exception | None,
) -> None:
    proxy = Proxy.parse(f"{scheme}://user:{quote(KEY)}@proxy.example")
    endpoint = Endpoint.parse("https://example.org")
    caught: list[BaseException] = []
    with anyio.move_on_after(0.01), suppress(anyio.BrokenResourceError, OSError):
        try:
            await open_way(Stuck(error), proxy, endpoint)
        except BaseException as seen:
            caught.append(seen)
            raise
    assert_clean(caught[0], caplog)
    assert not [text for text in everything_about(caught[0]) if BASIC in text]


async def test_a_timeout_does_not_show_it(
    canned_server: Canned, caplog: pytest.LogCaptureFixture
) -> None:
    async def mute(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    async with canned_server(mute) as endpoint:
        with pytest.raises(TimeoutError) as caught, anyio.fail_after(0.05):
            await connect_websocket(endpoint, key=Secret(KEY))
    assert_clean(caught.value, caplog)


async def test_the_key_is_in_no_object_that_lives_on(
    canned_server: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ClientProtocol] = []
    init = ClientProtocol.__init__

    def spy(self: ClientProtocol, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(ClientProtocol, "__init__", spy)
    async with canned_server(b"HTTP/1.1 401 x\r\n\r\n") as endpoint:
        for auth in ("query", "header", "subprotocol"):
            with pytest.raises(ConnectError):
                await connect_websocket(endpoint, key=Secret(KEY), auth=auth)
    assert len(made) == 3
    for protocol in made:
        assert MARK not in repr(vars(protocol))
