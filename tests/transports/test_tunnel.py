"""Through proxies of both kinds: what they are asked, and how each refusal is told."""

import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import anyio
import anyio.abc
import pytest
from anyio.abc import SocketAttribute
from support import (
    ForwardProxy,
    ProxyConnection,
    ProxyScript,
    RawConnection,
    RawServer,
    forward_proxy,
    http_proxy,
    nothing_left,
    raw_server,
    socks_proxy,
)

from meshrt._secret import Secret
from meshrt.errors import ConfigurationError
from meshrt.transports import (
    ConnectError,
    Endpoint,
    HandshakeRejected,
    Proxy,
    ProxyError,
    connect_websocket,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

Led: TypeAlias = tuple[Endpoint, Proxy, RawServer, ForwardProxy]
NOBODY = Endpoint.parse("http://localhost:9", path="/v1/realtime")


@pytest.fixture
async def no_leaks(anyio_backend: object) -> Any:
    async with nothing_left():
        yield


def answering(*answers: bytes) -> ProxyScript:
    """Answer an HTTP head, or each of SOCKS' questions, to the letter, and hang up."""

    async def run(connection: ProxyConnection) -> None:
        for answer in answers:
            connection.heard += await connection.stream.receive()
            await connection.say(answer)

    return run


async def refused(
    script: ProxyScript, scheme: str = "http", userinfo: str = "", endpoint: Endpoint = NOBODY
) -> ConnectError:
    with forward_proxy(script) as proxy:
        way = Proxy.parse(f"{scheme}://{userinfo}127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectError) as caught:
            await connect_websocket(endpoint, key=Secret("rsk_1"), proxy=way)
        assert b"rsk_1" not in proxy.heard
    assert not isinstance(caught.value, HandshakeRejected)
    assert caught.value.__cause__ is caught.value.__context__ is None
    return caught.value


@contextmanager
def led(script: ProxyScript, scheme: str, userinfo: str = "") -> Iterator[Led]:
    """Serve behind a proxy; yield the endpoint, the way to it and both of them."""
    with raw_server(RawConnection.shake_hands) as server, forward_proxy(script) as proxy:
        endpoint = Endpoint.parse(f"http://localhost:{server.port}", path="/v1/realtime")
        way = Proxy.parse(f"{scheme}://{userinfo}localhost:{proxy.port}")
        yield endpoint, way, server, proxy


async def go(endpoint: Endpoint, way: Proxy, proxy: ForwardProxy) -> None:
    transport = await connect_websocket(endpoint, key=Secret("rsk_1"), proxy=way)
    await transport.abort()
    await proxy.settled()


WAYS = [
    ("http", http_proxy(), "localhost"),
    ("socks5", socks_proxy(), "127.0.0.1"),
    ("socks5h", socks_proxy(), "localhost"),
]


@pytest.mark.parametrize(("scheme", "script", "asked_for"), WAYS)
async def test_a_way_leads_to_the_server_and_the_key_only_to_it(
    scheme: str, script: ProxyScript, asked_for: str
) -> None:
    with led(script, scheme) as (endpoint, way, server, proxy):
        await go(endpoint, way, proxy)
        connection = await server.connection()
        assert b"GET /v1/realtime?api_key=rsk_1 " in connection.request
        assert b"rsk_1" not in proxy.heard
        assert proxy.led_to == [f"{asked_for} {server.port}"]


@pytest.mark.parametrize(("scheme", "script", "_"), WAYS)
async def test_an_address_is_asked_for_as_one(scheme: str, script: ProxyScript, _: str) -> None:
    with led(script, scheme) as (_endpoint, way, server, proxy):
        for host in ("127.0.0.1", "[::1]"):
            await go(Endpoint.parse(f"http://{host}:{server.port}"), way, proxy)
        assert proxy.led_to == [f"127.0.0.1 {server.port}", f"::1 {server.port}"]


async def test_a_tunnel_is_asked_for_with_basic_credentials_in_utf_8() -> None:
    script = http_proxy("Aladdin:öpen sesame:x")
    with led(script, "http", "Aladdin:%C3%B6pen%20sesame:x@") as (endpoint, way, server, proxy):
        await go(endpoint, way, proxy)
        lines = proxy.heard.decode().split("\r\n")
        assert lines[0] == f"CONNECT localhost:{server.port} HTTP/1.1"
        names = [line.split(":")[0] for line in lines[1:-2]]
        assert names == ["Host", "User-Agent", "Proxy-Authorization"]


async def test_socks_is_told_who_we_are() -> None:
    script = socks_proxy(("user", "pässword"))
    with led(script, "socks5", "user:p%C3%A4ssword@") as (endpoint, way, server, proxy):
        await go(endpoint, way, proxy)
        assert proxy.led_to == [f"127.0.0.1 {server.port}"]


async def test_the_address_that_is_looked_up_here_is_of_ipv4_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look_up(_host: str, port: int, **_: object) -> list[object]:
        await anyio.lowlevel.checkpoint()
        found = [(socket.AF_INET6, "2001:db8::1"), (socket.AF_INET, "192.0.2.1")]
        return [(family, socket.SOCK_STREAM, 6, "", (each, port)) for family, each in found]

    with led(socks_proxy(), "socks5") as (endpoint, way, server, proxy):
        monkeypatch.setattr("meshrt.transports._socks.anyio.getaddrinfo", look_up)
        await go(endpoint, way, proxy)
        assert proxy.led_to == [f"192.0.2.1 {server.port}"]


@pytest.mark.parametrize("bound", [b"\x04" + bytes(16), b"\x03\x09localhost", b"\x03\x00"])
async def test_socks_may_say_where_it_connects_from_in_any_form(bound: bytes) -> None:
    with led(socks_proxy(bound=bound), "socks5h") as (endpoint, way, server, proxy):
        await go(endpoint, way, proxy)
        assert proxy.led_to == [f"localhost {server.port}"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200\r\n\r\n",
        b"HTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_any_2xx_is_a_tunnel_whatever_length_it_names(answer: bytes) -> None:
    with led(http_proxy(answer=answer), "http") as (endpoint, way, server, proxy):
        await go(endpoint, way, proxy)
        assert proxy.led_to == [f"localhost {server.port}"]


@pytest.mark.parametrize(("scheme", "script", "_"), WAYS)
async def test_a_silent_connection_to_a_proxy_is_probed(
    scheme: str, script: ProxyScript, _: str
) -> None:
    with led(script, scheme) as (endpoint, way, _server, proxy):
        transport = await connect_websocket(endpoint, proxy=way)
        raw = transport._stream.extra(SocketAttribute.raw_socket)
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await transport.abort()
        await proxy.settled()


BASIC = b'Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: BASIC realm="x"\r\n'


@pytest.mark.parametrize(
    ("answer", "userinfo", "status", "words"),
    [
        (b"407 No\r\n" + BASIC, "", 407, "who you are: write proxy='http://user:password"),
        (b"407 No\r\n" + BASIC, "user:password@", 407, "does not know this user name"),
        (b"407 No\r\nProxy-Authenticate: NTLM\r\n", "user:password@", 407, "another way"),
        (b"407 No\r\n", "", 407, "another way"),
        (b"403 No\r\n", "", 403, "rules"),
        (b"401 No\r\n", "", 401, "ask whoever runs it"),
        (b"302 Found\r\nLocation: http://login.example/\r\n", "", 302, "ask whoever"),
        (b"502 Bad\r\n", "", 502, "could not reach the server"),
        (b"503\r\n", "", 503, "could not reach the server"),
        (b"504 Late\r\n", "", 504, "in time"),
        (b"405 No\r\n", "", 405, "is it an HTTP proxy"),
        (b"101 Switching\r\n", "", 101, "ask whoever"),
    ],
)
async def test_a_refusal_is_a_proxy_error_with_its_status_and_advice(
    answer: bytes, userinfo: str, status: int, words: str
) -> None:
    body = b"\r\nan error page that says 5ecret and goes on"
    error = await refused(answering(b"HTTP/1.1 " + answer + body), userinfo=userinfo)
    assert isinstance(error, ProxyError)
    assert error.status == status
    assert words in str(error)
    assert "localhost port 9" in str(error)
    assert "5ecret" not in str(error)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 20", "in the middle"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "without an answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"),
        (b"\x05\xff", "not HTTP"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 2000 x\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 4000, "more than 16384 bytes"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000 + b"\r\n\r\n", "more than 8192 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n\x16", "more than its answer"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching", "more than its answer"),
    ],
)
async def test_what_is_no_http_proxy_is_told_in_one_sentence(answer: bytes, words: str) -> None:
    error = await refused(answering(answer))
    assert isinstance(error, ProxyError)
    assert error.status is None
    assert words in str(error)
    assert re.search(r"the proxy 127\.0\.0\.1 port \d+", str(error))


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_an_endless_answer_is_cut_off(scheme: str) -> None:
    sent = 0

    async def pour(connection: ProxyConnection) -> None:
        nonlocal sent
        await connection.stream.receive()
        while True:
            await connection.say(b"HTTP/1.1 200 OK\r\nX: y" if not sent else b"z" * 1024)
            sent += 1

    assert isinstance(await refused(pour, scheme), ProxyError)


REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused by the server",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
    9: "reply 9, which RFC 1928 does not have",
}


@pytest.mark.parametrize("rest", [b"", b"\x00\x01\x00\x00\x00\x00\x00\x00"])
@pytest.mark.parametrize("reply", REPLIES)
async def test_a_reply_of_socks_is_told_in_words_however_short_it_is(
    reply: int, rest: bytes
) -> None:
    script = answering(b"\x05\x00", b"\x05" + bytes([reply]) + rest)
    error = await refused(script, "socks5h")
    assert isinstance(error, ProxyError)
    assert str(error).endswith(f"refused to connect to localhost port 9: {REPLIES[reply]}")


@pytest.mark.parametrize(
    ("answers", "userinfo", "words"),
    [
        ([b""], "", "without an answer"),
        ([b"\x05"], "", "in the middle"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "", "not SOCKS5"),
        ([b"\x04\x00"], "", "not SOCKS5"),
        ([b"\x05\x77"], "", "not SOCKS5"),
        ([b"\x05\x01"], "", "who you are"),
        ([b"\x05\x02"], "", "who you are: write proxy='socks5://user:password"),
        ([b"\x05\xff"], "", "who you are"),
        ([b"\x05\xff"], "user:password@", "takes no user name with a password"),
        ([b"\x05\x02", b"\x01\x01"], "user:password@", "does not know this user name"),
        ([b"\x05\x02", b"\x05\x00"], "user:password@", "does not know this user name"),
        ([b"\x05\x02", b""], "user:password@", "without an answer"),
        ([b"\x05\x00", b""], "", "without an answer"),
        ([b"\x05\x00", b"\x04\x00"], "", "not SOCKS5"),
        ([b"\x05\x00", b"\x05\x00"], "", "without an answer"),
        ([b"\x05\x00", b"\x05\x00\x00\x01\x7f"], "", "in the middle"),
        ([b"\x05\x00", b"\x05\x00\x00\x09\x00\x00"], "", "not SOCKS5"),
        ([b"\x05\x00", b"\x05\x00\x00\x03\x01\xff\x00\x00"], "", "not SOCKS5"),
    ],
)
async def test_what_is_no_socks_proxy_is_told_in_one_sentence(
    answers: list[bytes], userinfo: str, words: str
) -> None:
    error = await refused(answering(*answers), "socks5h", userinfo)
    assert isinstance(error, ProxyError)
    assert words in str(error)


async def test_without_the_extra_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.delitem(sys.modules, "meshrt.transports._socks", raising=False)
    with forward_proxy(socks_proxy()) as proxy:
        way = Proxy.parse(f"socks5://127.0.0.1:{proxy.port}")
        with pytest.raises(ConfigurationError, match=r"pip install .meshrt\[socks\]."):
            await connect_websocket(NOBODY, proxy=way)
        await proxy.settled()
        assert not proxy.heard


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
async def test_a_proxy_that_is_not_there_is_told_with_host_and_port(
    scheme: str, free_tcp_port: int
) -> None:
    way = Proxy.parse(f"{scheme}://127.0.0.1:{free_tcp_port}")
    with pytest.raises(ProxyError, match=f"the proxy 127.0.0.1 port {free_tcp_port}.*refused"):
        await connect_websocket(NOBODY, proxy=way)


async def test_a_proxy_whose_name_nobody_knows_is_told() -> None:
    way = Proxy.parse("http://does-not-exist.invalid:3128")
    with pytest.raises(ProxyError, match=r"does-not-exist\.invalid.*the proxy's address.*3128"):
        await connect_websocket(NOBODY, proxy=way)


async def test_a_name_that_is_to_be_looked_up_here_and_is_not_known_is_not_the_proxys_fault() -> (
    None
):
    endpoint = Endpoint.parse("https://does-not-exist.invalid")
    error = await refused(answering(), "socks5", endpoint=endpoint)
    assert not isinstance(error, ProxyError)
    assert "socks5h://" in str(error)


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_a_proxy_that_resets_is_a_proxy_error(
    scheme: str, canned_server: Callable[..., Any]
) -> None:
    async def hang_up(stream: anyio.abc.SocketStream) -> None:
        await stream.aclose()  # with the request unread: the kernel sends RST

    async with canned_server(hang_up) as endpoint:
        way = Proxy.parse(f"{scheme}://127.0.0.1:{endpoint.port}")
        with pytest.raises(ProxyError, match=f"the proxy 127.0.0.1 port {endpoint.port}"):
            await connect_websocket(NOBODY, proxy=way)


async def test_a_proxy_without_tls_is_told_from_one_with() -> None:
    script = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    error = await refused(script, "https")
    assert isinstance(error, ProxyError)
    assert "http:// one" in str(error)


async def test_a_refusal_of_the_servers_stays_the_servers() -> None:
    def refuse(connection: RawConnection) -> None:
        connection.read_request()
        connection.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with raw_server(refuse) as server, forward_proxy(http_proxy()) as proxy:
        endpoint = Endpoint.parse(f"http://localhost:{server.port}")
        way = Proxy.parse(f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(HandshakeRejected) as caught:
            await connect_websocket(endpoint, proxy=way)
        assert caught.value.status == 401
        await proxy.settled()
