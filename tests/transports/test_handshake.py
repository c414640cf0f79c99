"""Connecting: what is asked, what is accepted, and how each refusal is told."""

import base64
import gc
import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import pytest
from hypothesis import given, strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode

from meshrt._secret import Secret
from meshrt._version import __version__
from meshrt.errors import ConfigurationError
from meshrt.transports import ConnectError, Endpoint, HandshakeRejected, connect_websocket
from meshrt.transports._refusal import MAX_BODY_BYTES

pytestmark = pytest.mark.anyio

Canned = Callable[[object], AbstractAsyncContextManager[Endpoint]]
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


def switching(request: bytes, *headers: str) -> bytes:
    match = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
    assert match is not None
    digest = hashlib.sha1(match[1] + GUID, usedforsecurity=False).digest()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Server:
    """Answer 101, remember the request, send what is before and after in the same write, stay."""

    def __init__(self, *headers: str, before: bytes = b"", rest: bytes = b"") -> None:
        self.headers, self.before, self.rest, self.request = headers, before, rest, b""
        self.hung_up = anyio.Event()

    async def __call__(self, stream: anyio.abc.SocketStream) -> None:
        self.request = b""
        async with stream:
            while b"\r\n\r\n" not in self.request:
                self.request += await stream.receive()
            await stream.send(self.before + switching(self.request, *self.headers) + self.rest)
            try:
                await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                self.hung_up.set()

    @property
    def target(self) -> str:
        return self.request.split(b" ")[1].decode()

    def header(self, name: str) -> list[str]:
        lines = self.request.decode().split("\r\n")[1:]
        pairs = [line.split(": ", 1) for line in lines if line]
        return [value for header, value in pairs if header.lower() == name.lower()]


async def test_the_key_goes_into_the_query_by_default(canned_server: Canned) -> None:
    server = Server("Sec-WebSocket-Protocol: openai-realtime")
    async with canned_server(server) as endpoint:
        transport = await connect_websocket(endpoint, key=Secret("rsk_&=/ß"[:-1]))
        assert transport.subprotocol == "openai-realtime"
        await transport.abort()
    assert server.target.startswith("/v1/realtime?api_key=")
    assert parse_qs(urlsplit(server.target).query) == {"api_key": ["rsk_&=/"]}
    assert server.header("Sec-WebSocket-Protocol") == ["openai-realtime"]
    assert server.header("X-MeshAPI-SDK") == [f"python-meshrt/{__version__}"]
    assert server.header("User-Agent") == [f"python-meshrt/{__version__}"]
    assert server.header("Host") == [endpoint.authority]
    assert server.header("Sec-WebSocket-Extensions") == []
    assert server.header("Authorization") == []


async def test_the_key_is_appended_to_the_query_that_is_there(canned_server: Canned) -> None:
    server = Server()
    async with canned_server(server) as endpoint:
        asked = Endpoint.parse(
            f"http://127.0.0.1:{endpoint.port}", path="/x", query={"model": "openai/gpt"}
        )
        await (await connect_websocket(asked, key=Secret("rsk_1"))).abort()
    assert server.target == "/x?model=openai%2Fgpt&api_key=rsk_1"


async def test_the_key_may_go_into_a_header(canned_server: Canned) -> None:
    server = Server()
    async with canned_server(server) as endpoint:
        await (await connect_websocket(endpoint, key=Secret("rsk_1"), auth="header")).abort()
    assert server.header("Authorization") == ["Bearer rsk_1"]
    assert server.target == "/v1/realtime"


@pytest.mark.parametrize("names", [(), ("openai-realtime",), ("realtime", "other")])
async def test_the_key_may_go_into_a_subprotocol(
    canned_server: Canned, names: tuple[str, ...]
) -> None:
    server = Server()
    async with canned_server(server) as endpoint:
        transport = await connect_websocket(
            endpoint, key=Secret("rsk_1"), auth="subprotocol", subprotocols=names
        )
        assert transport.subprotocol is None
        await transport.abort()
    offered = ", ".join([*names, "openai-insecure-api-key.rsk_1"])
    assert server.header("Sec-WebSocket-Protocol") == [offered]
    assert server.target == "/v1/realtime"


async def test_without_a_key_none_is_sent_and_no_subprotocol_is_needed(
    canned_server: Canned,
) -> None:
    server = Server()
    async with canned_server(server) as endpoint:
        transport = await connect_websocket(
            endpoint, subprotocols=(), headers={"user-agent": "mine", "X-Other": "1"}
        )
        await transport.abort()
    assert b"api" not in server.request.replace(b"X-MeshAPI-SDK", b"")
    assert server.header("Sec-WebSocket-Protocol") == []
    assert server.header("User-Agent") == ["mine"]
    assert server.header("X-Other") == ["1"]


async def test_frames_right_behind_the_answer_are_read(canned_server: Canned) -> None:
    rest = Frame(Opcode.TEXT, b"hello").serialize(mask=False) * 2 + b"\x81"
    async with canned_server(Server(rest=rest)) as endpoint:
        transport = await connect_websocket(endpoint)
        assert await transport.receive() == ["hello", "hello"]
        await transport.abort()


INTERIM = b"HTTP/1.1 100\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"


async def test_an_answer_may_be_announced_by_others(canned_server: Canned) -> None:
    server = Server(before=INTERIM, rest=Frame(Opcode.TEXT, b"hi").serialize(mask=False))
    async with canned_server(server) as endpoint:
        transport = await connect_websocket(endpoint)
        assert await transport.receive() == ["hi"]
        await transport.abort()
    error = await rejected(canned_server, INTERIM + answer("401 Unauthorized", b""))
    assert error.status == 401


async def test_a_trickled_answer_is_an_answer(canned_server: Canned) -> None:
    async def trickle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            answer = switching(await stream.receive())
            for byte in answer + Frame(Opcode.TEXT, b"x").serialize(mask=False):
                await stream.send(bytes([byte]))
                await anyio.lowlevel.checkpoint()
            await stream.receive()

    async with canned_server(trickle) as endpoint:
        transport = await connect_websocket(endpoint)
        assert await transport.receive() == ["x"]
        await transport.abort()


ENVELOPE = b'{"error": {"code": "%s", "message": "%s"}, "request_id": "req_1"}'


def answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def rejected(canned_server: Canned, data: object) -> HandshakeRejected:
    async with canned_server(data) as endpoint:
        with pytest.raises(HandshakeRejected) as caught:
            await connect_websocket(endpoint, key=Secret("rsk_1"))
    assert caught.value.__cause__ is caught.value.__context__ is None
    return caught.value


async def test_a_401_brings_the_vendor_s_code_and_sentence(canned_server: Canned) -> None:
    body = ENVELOPE % (b"invalid_api_key", b"Incorrect API key provided")
    error = await rejected(canned_server, answer("401 Unauthorized", body))
    assert (error.status, error.code, error.request_id) == (401, "invalid_api_key", "req_1")
    assert error.message == "Incorrect API key provided"
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("headers", "retry_after"),
    [
        (["Retry-After: 7"], 7.0),
        (["retry-after: 0.5"], 0.5),
        (
            ["Retry-After: Sun, 22 Nov 2026 10:00:09 GMT", "Date: Sun, 22 Nov 2026 10:00:00 GMT"],
            9.0,
        ),
        (
            ["Retry-After: Sun, 22 Nov 2026 09:00:09 GMT", "Date: Sun, 22 Nov 2026 10:00:00 GMT"],
            0.0,
        ),
        (["Retry-After: Sun, 22 Nov 2026 10:00:09 GMT"], None),
        (["Retry-After: nan"], None),
        (["Retry-After: -1"], None),
        (["Retry-After: soon"], None),
        ([], None),
    ],
)
async def test_a_429_says_how_long_to_wait(
    canned_server: Canned, headers: list[str], retry_after: float | None
) -> None:
    body = ENVELOPE % (b"rate_limit_exceeded", b"slow down")
    error = await rejected(
        canned_server, answer("429 Too Many Requests", body, "X-Request-Id: req_h", *headers)
    )
    assert (error.status, error.code, error.retry_after) == (
        429,
        "rate_limit_exceeded",
        retry_after,
    )
    assert error.request_id == "req_1"


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"detail": "no such model"}', "no such model", None),
        (b'{"detail": {"code": "x", "message": "y"}}', "y", "x"),
        (
            b'{"detail": [{"loc": ["model"], "msg": "missing"}, {"msg": "odd"}]}',
            "missing; odd",
            None,
        ),
        (b'{"error": "plain"}', "plain", None),
        (b'{"error": {"message": "a\\u001b[31m\\r\\nb"}}', "a [31m  b", None),
        (b'{"error": {"message": 5, "code": ["x"]}}', "check base_url", None),
        (b"[1]", "check base_url", None),
        (b"null", "check base_url", None),
        (b"<html>", "check base_url", None),
        (b"[" * 60_000, "check base_url", None),
        (b"\xff\xfe", "check base_url", None),
        (b"", "check base_url", None),
    ],
)
async def test_whatever_the_body_holds_the_refusal_has_a_sentence(
    canned_server: Canned, body: bytes, message: str, code: str | None
) -> None:
    error = await rejected(canned_server, answer("404 Not Found", body, "X-Request-Id: req_h"))
    assert (error.status, error.code, error.request_id) == (404, code, "req_h")
    assert message in error.message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(canned_server: Canned, status: int) -> None:
    connections = []

    async def redirect(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            connections.append(await stream.receive())
            await stream.send(answer(f"{status} Moved", b"", "Location: http://127.0.0.1:1/"))

    error = await rejected(canned_server, redirect)
    assert error.status == status
    assert "redirect" in error.message
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (answer("200 OK", b"<html>hello</html>"), "web page"),
        (answer("204 No Content", b""), "HTTP 204"),
        (answer("426 Upgrade Required", b""), "Upgrade header"),
        (answer("500 Oops", b""), "try again later"),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", "may not open"),
        (b"HTTP/1.1 402\r\n\r\n", "balance"),
    ],
)
async def test_other_answers_come_with_advice(
    canned_server: Canned, data: bytes, words: str
) -> None:
    assert words in (await rejected(canned_server, data)).message


@pytest.mark.parametrize(
    "body",
    [
        b'Transfer-Encoding: chunked\r\n\r\nb\r\n{"detail":"\r\n9\r\nchunked"}\r\n0\r\n\r\n',
        b'\r\n{"detail":"chunked"}',
        b'Content-Length: 9999\r\n\r\n{"detail":"chunked"}',
    ],
)
async def test_a_body_is_read_however_it_is_framed(canned_server: Canned, body: bytes) -> None:
    error = await rejected(canned_server, b"HTTP/1.1 400 Bad Request\r\n" + body)
    assert error.message == "chunked"


async def test_a_body_without_end_is_read_for_64_kib_and_no_more(canned_server: Canned) -> None:
    sent = 0

    async def pour(stream: anyio.abc.SocketStream) -> None:
        nonlocal sent
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
            try:
                while True:
                    await stream.send(b"x" * 1024)
                    sent += 1024
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    error = await rejected(canned_server, pour)
    assert error.status == 401
    assert sent >= MAX_BODY_BYTES


@pytest.mark.parametrize("headers", [b"", b"Content-Length: 100\r\n"])
async def test_a_body_that_does_not_come_does_not_hide_the_refusal(
    canned_server: Canned, headers: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshrt.transports._refusal.BODY_GRACE_S", 0.01)

    async def stall(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 401 Unauthorized\r\n" + headers + b"\r\n")
            await anyio.sleep_forever()

    assert (await rejected(canned_server, stall)).status == 401


def without_accept(request: bytes) -> bytes:
    return switching(request).replace(b"Sec-WebSocket-Accept", b"X-Nothing")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: b"SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"),
        (lambda _: b"\x00\x01\x02", "not HTTP"),
        (lambda _: b"HTTP/2 101\r\n\r\n", "not HTTP"),
        (lambda _: b"HTTP/1.1 abc def\r\n\r\n", "not HTTP"),
        (lambda _: b"HTTP/1.1\r\n\r\n", "not HTTP"),
        (lambda _: b"", "without an answer"),
        (lambda _: b"HTTP/1.1 101 Swit", "in the middle"),
        (lambda _: b"HTTP/1.1 200 OK\r\nX: y\r\n", "in the middle"),
        (lambda _: b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 4000, "headers"),
        (lambda _: b"HTTP/1.1 200 " + b"x" * 20_000, "headers"),
        (lambda _: b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "upgrading"),
        (lambda r: switching(r).replace(b"Upgrade: websocket", b"Upgrade: h2c"), "upgrading"),
        (
            lambda r: switching(r).replace(b"Connection: Upgrade", b"Connection: close"),
            "upgrading",
        ),
        (lambda r: re.sub(rb"Accept: .", b"Accept: _", switching(r)), "Sec-WebSocket"),
        (without_accept, "Sec-WebSocket"),
        (lambda r: switching(r, "Sec-WebSocket-Extensions: permessage-deflate"), "not offered"),
        (lambda r: switching(r, "Sec-WebSocket-Protocol: chat"), "not offered"),
        (
            lambda r: switching(r, "Sec-WebSocket-Protocol: openai-realtime, chat"),
            "Sec-WebSocket",
        ),
        (lambda r: switching(r, "bad header"), "can't be read"),
        (lambda r: switching(r).replace(b"HTTP/1.1", b"HTTP/1.0"), "can't be read"),
    ],
)
async def test_what_is_no_websocket_server_is_told_in_one_sentence(
    canned_server: Canned, make: Callable[[bytes], bytes], words: str
) -> None:
    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(make(await stream.receive()))
            await stream.send_eof()

    async with canned_server(serve) as endpoint:
        with pytest.raises(ConnectError, match=words) as caught:
            await connect_websocket(endpoint, key=Secret("rsk_1"))
    assert not isinstance(caught.value, HandshakeRejected)
    assert f"127.0.0.1 port {endpoint.port}" in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_a_server_that_chooses_the_subprotocol_with_the_key_is_refused(
    canned_server: Canned,
) -> None:
    server = Server("Sec-WebSocket-Protocol: openai-insecure-api-key.rsk_1")
    async with canned_server(server) as endpoint:
        with pytest.raises(ConnectError, match="not offered"):
            await connect_websocket(endpoint, key=Secret("rsk_1"), auth="subprotocol")
        await server.hung_up.wait()


async def test_a_message_larger_than_asked_for_is_refused_later(canned_server: Canned) -> None:
    rest = Frame(Opcode.TEXT, b"x" * 11).serialize(mask=False)
    async with canned_server(Server(rest=rest)) as endpoint:
        transport = await connect_websocket(endpoint, max_message_bytes=10)
        with pytest.raises(Exception, match="larger") as caught:
            await transport.receive()
        assert caught.value.close_code == 1009  # type: ignore[attr-defined]
        await transport.abort()


async def test_nobody_listening_is_told_with_host_and_port(canned_server: Canned) -> None:
    async with canned_server(b"") as endpoint:
        pass
    with pytest.raises(ConnectError, match=f"127.0.0.1 port {endpoint.port}.*refused"):
        await connect_websocket(endpoint)


async def test_a_name_that_nobody_knows_is_told() -> None:
    endpoint = Endpoint.parse("https://does-not-exist.invalid")
    with pytest.raises(ConnectError, match=r"does-not-exist\.invalid.*443") as caught:
        await connect_websocket(endpoint)
    assert caught.value.__context__ is None


async def test_a_reset_in_the_handshake_is_a_connect_error(canned_server: Canned) -> None:
    async def hang_up(stream: anyio.abc.SocketStream) -> None:
        await stream.aclose()  # with the request unread: the kernel sends RST

    async with canned_server(hang_up) as endpoint:
        with pytest.raises(ConnectError, match=f"port {endpoint.port}"):
            await connect_websocket(endpoint)


async def test_a_cancelled_handshake_closes_the_socket(canned_server: Canned) -> None:
    asked, hung_up = anyio.Event(), anyio.Event()

    async def listen(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            asked.set()
            try:
                await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                hung_up.set()

    async with canned_server(listen) as endpoint:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect_websocket, endpoint)
            await asked.wait()
            tasks.cancel_scope.cancel()
        await hung_up.wait()


async def test_a_cancellation_at_any_step_leaves_no_socket_open(
    websockets_server: Callable[..., int],
) -> None:
    """A socket that is left open would warn, and warnings are errors."""

    async def read_all(connection: ServerConnection) -> None:
        async for _ in connection:
            pass

    port = websockets_server(read_all)

    async def connect() -> None:
        transport = await connect_websocket(
            Endpoint.parse(f"http://localhost:{port}"), subprotocols=()
        )
        await transport.abort()

    for steps in range(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    gc.collect()


LOOPBACK = Endpoint.parse("http://127.0.0.1:9")


@pytest.mark.parametrize(
    "options",
    [
        {"key": "rsk_5ecret"},
        {"key": Secret("")},
        {"key": Secret("rsk 5ecret")},
        {"key": Secret("rsk_5ecret\r\nX: y")},
        {"key": Secret("rsk_5ecretß")},
        {"key": Secret("rsk/5ecret"), "auth": "subprotocol"},
        {"auth": "cookie"},
        {"subprotocols": "openai-realtime"},
        {"subprotocols": ["Bearer 5ecret"]},
        {"subprotocols": [5]},
        {"headers": {"X": "5ecret\r\nY: z"}},
        {"headers": {"X": "5ecret\0"}},
        {"headers": {"X": "5écret"}},
        {"headers": {"X": b"5ecret"}},
        {"headers": {"X 5ecret": "y"}},
        {"headers": {"": "y"}},
        {"headers": {"hOST": "5ecret"}},
        {"headers": {"Sec-WebSocket-Key": "5ecret"}},
        {"headers": {"Authorization": "5ecret"}, "key": Secret("rsk_1"), "auth": "header"},
        {"max_message_bytes": 0},
    ],
)
async def test_an_option_that_can_t_be_used_is_refused_before_a_socket_opens(
    options: dict[str, object],
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await connect_websocket(LOOPBACK, **options)  # type: ignore[arg-type]
    assert "5ecret" not in repr(caught.value)


@given(st.text(), st.sampled_from("\r\n\0\x7fé😀"), st.text())
async def test_no_value_smuggles_a_line(before: str, bad: str, after: str) -> None:
    value = f"{before}{bad}{after}"
    for options in (
        {"key": Secret(value)},
        {"headers": {value: "x"}},
        {"headers": {"X": value}},
        {"subprotocols": [value]},
    ):
        with pytest.raises(ConfigurationError):
            await connect_websocket(LOOPBACK, **options)
