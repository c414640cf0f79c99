"""Against servers that others wrote: websockets' on asyncio, trio-websocket's on Trio, TLS."""

import math
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterator

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
import trio_websocket
import trustme
from anyio.streams.tls import TLSStream
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from meshrt.transports import (
    ConnectError,
    ConnectionLost,
    Endpoint,
    Transport,
    WebSocketTransport,
    connect_websocket,
    default_ssl_context,
)

pytestmark = pytest.mark.anyio

Pump = Callable[[Transport, list[str | bytes]], Coroutine[None, None, None]]
Drain = Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]
Until = Callable[[Callable[[], bool]], Awaitable[None]]
MEGABYTE = "€" * 2**20


async def echo(connection: ServerConnection) -> None:
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        pass


@pytest.fixture
def trio_server() -> Iterator[Callable[..., Awaitable[int]]]:
    """Start trio-websocket's server in a thread; return its port."""
    with anyio.from_thread.start_blocking_portal("trio") as portal:
        scope = portal.call(trio.CancelScope)

        async def start(handler: Callable[..., Awaitable[None]]) -> int:
            async def serve(*, task_status: anyio.abc.TaskStatus[int]) -> None:
                async def accept(request: trio_websocket.WebSocketRequest) -> None:
                    offered = request.proposed_subprotocols
                    await handler(await request.accept(subprotocol=next(iter(offered), None)))

                async with trio.open_nursery() as nursery:
                    server = await nursery.start(
                        trio_websocket.serve_websocket, accept, "127.0.0.1", 0, None
                    )
                    task_status.started(server.port)
                    with scope:
                        await trio.sleep_forever()
                    nursery.cancel_scope.cancel()

            # From a thread: Trio's own does not block for another Trio.
            _, port = await anyio.to_thread.run_sync(portal.start_task, serve)
            return int(port)

        yield start
        portal.call(scope.cancel)


async def exchange(port: int, *, scheme: str = "http", **options: object) -> None:
    transport = await connect_websocket(
        Endpoint.parse(f"{scheme}://localhost:{port}"),
        **options,  # type: ignore[arg-type]
    )
    await transport.send(["one", b"two", MEGABYTE])
    got: list[str | bytes] = []
    while len(got) < 3:
        got += await transport.receive()
    assert got == ["one", b"two", MEGABYTE]
    await transport.aclose(1000, "done")
    with pytest.raises(anyio.EndOfStream):
        await transport.receive()
    assert transport.close_code == 1000
    await transport.abort()


async def test_we_get_on_with_websockets(websockets_server: Callable[..., int]) -> None:
    port = websockets_server(echo, subprotocols=["openai-realtime"], max_size=2**24)
    await exchange(port)


async def test_we_get_on_with_trio_websocket(trio_server: Callable[..., Awaitable[int]]) -> None:
    async def echo_back(connection: trio_websocket.WebSocketConnection) -> None:
        try:
            while True:
                await connection.send_message(await connection.get_message())
        except trio_websocket.ConnectionClosed:
            pass

    await exchange(await trio_server(echo_back), subprotocols=["openai-realtime"])


async def test_their_ping_is_answered_while_messages_lie_unread(
    websockets_server: Callable[..., int], pump: Pump
) -> None:
    async def ask(connection: ServerConnection) -> None:
        for number in range(64):
            await connection.send(f"{number} " + "x" * 4096)
        pong = await connection.ping()
        await pong
        await connection.close(4001, "answered")

    transport = await connect_websocket(
        Endpoint.parse(f"http://127.0.0.1:{websockets_server(ask)}"), subprotocols=()
    )
    messages: list[str | bytes] = []
    await pump(transport, messages)
    assert len(messages) == 64
    assert (transport.close_code, transport.close_reason) == (4001, "answered")
    await transport.abort()


async def test_our_ping_brings_a_byte(
    websockets_server: Callable[..., int], pump: Pump, until: Until
) -> None:
    transport = await connect_websocket(
        Endpoint.parse(f"http://127.0.0.1:{websockets_server(echo)}"), subprotocols=()
    )
    transport.last_byte_at = -math.inf
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pump, transport, [])
        await anyio.wait_all_tasks_blocked()
        transport.ping()
        await until(lambda: transport.last_byte_at > -math.inf)
        tasks.cancel_scope.cancel()
    await transport.abort()


async def read_into(messages: list[str | bytes], transport: Transport) -> None:
    messages += await transport.receive()


async def test_a_server_that_dies_is_a_loss(
    websockets_server: Callable[..., int], drain: Drain
) -> None:
    async def die(connection: ServerConnection) -> None:
        await connection.send("last words")
        connection.transport.abort()

    transport = await connect_websocket(
        Endpoint.parse(f"http://127.0.0.1:{websockets_server(die)}"), subprotocols=()
    )
    messages: list[str | bytes] = []
    with pytest.raises(ConnectionLost):
        await drain(lambda: read_into(messages, transport))
    assert messages in ([], ["last words"])  # a reset may overtake them
    await transport.abort()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    def make(name: str = "localhost") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return make


async def test_messages_go_over_tls(
    websockets_server: Callable[..., int],
    server_tls: Callable[..., ssl.SSLContext],
    trusting: ssl.SSLContext,
) -> None:
    port = websockets_server(echo, ssl=server_tls(), max_size=2**24)
    await exchange(port, scheme="https", ssl_context=trusting, subprotocols=())


async def test_a_certificate_that_nobody_signed_is_refused(
    websockets_server: Callable[..., int], server_tls: Callable[..., ssl.SSLContext]
) -> None:
    port = websockets_server(echo, ssl=server_tls())
    with pytest.raises(ConnectError, match=f"localhost port {port}.*certificate") as caught:
        await connect_websocket(Endpoint.parse(f"https://localhost:{port}"))
    assert caught.value.__context__ is caught.value.__cause__ is None


async def test_a_certificate_for_another_name_is_refused(
    websockets_server: Callable[..., int],
    server_tls: Callable[..., ssl.SSLContext],
    trusting: ssl.SSLContext,
) -> None:
    port = websockets_server(echo, ssl=server_tls("example.org"))
    with pytest.raises(ConnectError, match="mismatch"):
        await connect_websocket(Endpoint.parse(f"https://localhost:{port}"), ssl_context=trusting)


async def test_tls_to_a_server_without_it_says_so(
    websockets_server: Callable[..., int], trusting: ssl.SSLContext
) -> None:
    port = websockets_server(echo)
    with pytest.raises(ConnectError, match="does this port speak TLS"):
        await connect_websocket(Endpoint.parse(f"https://localhost:{port}"), ssl_context=trusting)


async def test_no_tls_to_a_server_with_it_says_so(
    websockets_server: Callable[..., int], server_tls: Callable[..., ssl.SSLContext]
) -> None:
    port = websockets_server(echo, ssl=server_tls())
    with pytest.raises(ConnectError, match=f"port {port}"):
        await connect_websocket(Endpoint.parse(f"http://localhost:{port}"))


@pytest.fixture
async def tls_peer(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
    server_tls: Callable[..., ssl.SSLContext],
    trusting: ssl.SSLContext,
) -> tuple[TLSStream, TLSStream, anyio.abc.SocketStream]:
    """Both ends of one connection under TLS, and the far end's socket."""
    near, far = tcp_pair
    ends: dict[str, TLSStream] = {}

    async def serve() -> None:
        ends["far"] = await TLSStream.wrap(
            far, ssl_context=server_tls(), server_side=True, standard_compatible=False
        )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        ends["near"] = await TLSStream.wrap(
            near, hostname="localhost", ssl_context=trusting, standard_compatible=False
        )
    return ends["near"], ends["far"], far


async def test_an_end_under_tls_is_a_loss_and_an_abort_waits_for_nobody(
    tls_peer: tuple[TLSStream, TLSStream, anyio.abc.SocketStream],
    client_codec: Callable[..., object],
) -> None:
    near, far, raw = tls_peer
    transport = WebSocketTransport(near, client_codec())  # type: ignore[arg-type]
    await far.send(Frame(Opcode.TEXT, b"x").serialize(mask=False))
    assert await transport.receive() == ["x"]
    await raw.aclose()
    with pytest.raises(ConnectionLost):
        await transport.receive()
    await transport.abort()


async def test_a_record_that_is_no_tls_is_a_loss(
    tls_peer: tuple[TLSStream, TLSStream, anyio.abc.SocketStream],
    client_codec: Callable[..., object],
) -> None:
    near, _, raw = tls_peer
    transport = WebSocketTransport(near, client_codec())  # type: ignore[arg-type]
    await raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ConnectionLost) as caught:
        await transport.receive()
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    with pytest.raises(ConnectionLost):
        await transport.send(["x"])
    await transport.abort()


async def test_an_abort_under_tls_with_a_deaf_peer_is_immediate(
    tls_peer: tuple[TLSStream, TLSStream, anyio.abc.SocketStream],
    client_codec: Callable[..., object],
    drain: Drain,
) -> None:
    near, _, raw = tls_peer
    transport = WebSocketTransport(near, client_codec())  # type: ignore[arg-type]

    async def send() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await transport.send(["x" * 2**26])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await transport.abort()
        assert not scope.cancelled_caught
    with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        await drain(raw.receive)


def test_the_default_context_checks_names_and_certificates() -> None:
    context = default_ssl_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509_ca"] > 100
    assert default_ssl_context() is not context


async def test_the_second_address_is_tried_when_the_first_is_dead(
    websockets_server: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = websockets_server(echo)

    async def resolve(*_args: object, **_options: object) -> list[object]:
        await anyio.lowlevel.checkpoint()
        v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port))
        v4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        return [v6, v4]

    monkeypatch.setattr("anyio._core._sockets.getaddrinfo", resolve)
    transport = await connect_websocket(
        Endpoint.parse(f"http://localhost:{port}"), subprotocols=()
    )
    assert transport.last_byte_at < math.inf
    await transport.abort()
