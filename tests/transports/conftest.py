"""Real sockets on the loopback, and peers that do exactly what a test tells them."""

import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
import pytest
import trio
import trio_websocket
import trustme
from anyio.streams.stapled import MultiListener
from websockets.asyncio.server import ServerConnection, serve
from websockets.client import ClientProtocol
from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from meshrt.transports import (
    Endpoint,
    Transport,
    WebSocketTransport,
    accept_websocket,
    memory_transports,
)
from meshrt.transports._handshake import Agreed
from meshrt.transports._trio_live import live
from meshrt.transports.trio_websocket import TrioWebSocketTransport, connect_trio_websocket

Pair = tuple[Transport, Transport]
Script = Callable[[anyio.abc.SocketStream], Awaitable[None]]


async def tcp_listener() -> MultiListener[anyio.abc.SocketStream]:
    return await anyio.create_tcp_listener(local_host="127.0.0.1")


def port_of(listener: MultiListener[anyio.abc.SocketStream]) -> int:
    return listener.extra(anyio.abc.SocketAttribute.local_port)


@pytest.fixture
async def tcp_pair() -> AsyncIterator[tuple[anyio.abc.SocketStream, anyio.abc.SocketStream]]:
    """Two ends of one TCP connection: what connected, and what accepted."""
    async with await tcp_listener() as listener:
        near = await anyio.connect_tcp("127.0.0.1", port_of(listener))
        acceptor = listener.listeners[0]
        assert isinstance(acceptor, anyio.abc.SocketListener)
        far = await acceptor.accept()
        async with near, far:
            yield near, far


@pytest.fixture
def client_codec() -> Callable[..., ClientProtocol]:
    def make(max_size: int = 2**24) -> ClientProtocol:
        return ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=max_size)

    return make


@pytest.fixture
def server_codec() -> Callable[..., ServerProtocol]:
    def make(max_size: int = 2**24) -> ServerProtocol:
        return ServerProtocol(state=State.OPEN, max_size=max_size)

    return make


@pytest.fixture(params=["websocket", "trio_websocket"])
def raw_peer(request: pytest.FixtureRequest) -> tuple[Transport, anyio.abc.SocketStream]:
    """Our client after its handshake, and the bare socket at the other end."""
    peer: tuple[Transport, anyio.abc.SocketStream]
    peer = request.getfixturevalue(f"{request.param}_peer")
    return peer


@pytest.fixture
async def websocket_peer(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
    client_codec: Callable[..., ClientProtocol],
) -> AsyncIterator[tuple[Transport, anyio.abc.SocketStream]]:
    near, far = tcp_pair
    transport = WebSocketTransport(near, client_codec(max_size=100_000))
    # On asyncio AnyIO reads ahead, without a limit, until somebody receives for the first time.
    if hasattr(far, "_transport"):
        far._transport.pause_reading()
    yield transport, far
    await transport.abort()


# What TrioWebSocketTransport does otherwise; each has a test there that shows how.
DIFFERENCES = {
    "test_one_read_gives_all_its_messages": "trio-websocket hands out one message at a time",
    "test_a_ping_is_answered_though_nothing_was_taken": "its reader waits while one lies unread",
    "test_the_close_is_known_as_soon_as_it_came": "it is known when what came before is taken",
}


@pytest.fixture
def differences(request: pytest.FixtureRequest) -> None:
    if reason := DIFFERENCES.get(request.node.originalname):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    if f"-{CloseCode.POLICY_VIOLATION:d}]" in request.node.name:
        pytest.skip("trio-websocket's reader is not told what floods it")


@pytest.fixture
async def trio_websocket_peer(
    on_trio: None,
    differences: None,
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
    client_codec: Callable[..., ClientProtocol],
) -> AsyncIterator[tuple[Transport, anyio.abc.SocketStream]]:
    near, far = tcp_pair

    async def agree() -> Agreed:
        await anyio.lowlevel.checkpoint()
        return Agreed(stream=near, protocol=client_codec(), received=b"")

    async with anyio.create_task_group() as tasks:
        transport = TrioWebSocketTransport(await tasks.start(live, agree, 100_000, str))
        yield transport, far
        await transport.abort()


@pytest.fixture
async def websocket_pair(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
    client_codec: Callable[..., ClientProtocol],
    server_codec: Callable[..., ServerProtocol],
) -> AsyncIterator[Pair]:
    near, far = tcp_pair
    client = WebSocketTransport(near, client_codec())
    server = WebSocketTransport(far, server_codec())
    yield client, server
    await client.abort()
    await server.abort()


@pytest.fixture
def on_trio(anyio_backend: tuple[str, dict[str, object]]) -> None:
    if anyio_backend[0] != "trio":
        pytest.skip("trio-websocket runs on Trio alone")


@pytest.fixture
async def trio_websocket_pair(on_trio: None) -> AsyncIterator[Pair]:
    """Both ends of a connection that somebody opened with trio-websocket."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    near = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    far = await listener.accept()
    await listener.aclose()
    options = {"max_message_size": 2**24}
    async with trio.open_nursery() as nursery:
        requests: list[trio_websocket.WebSocketRequest] = []
        async with trio.open_nursery() as both:

            async def serve() -> None:
                requests.append(await trio_websocket.wrap_server_stream(nursery, far, **options))
                await requests[0].accept()

            both.start_soon(serve)
            client = await trio_websocket.wrap_client_stream(
                nursery, near, "localhost", "/", **options
            )
        transports = (
            TrioWebSocketTransport(client),
            TrioWebSocketTransport(requests[0]._connection),
        )
        yield transports
        for transport in transports:
            await transport.abort()


async def upgraded(stream: anyio.abc.SocketStream) -> Transport:
    """Answer a client's request, as our gateway does."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += await stream.receive()
    first, *lines = request.decode().split("\r\n")
    fields = [line.split(": ", 1) for line in lines if line]
    headers = [(name.lower(), value) for name, value in fields]
    transport = await accept_websocket(stream, target=first.split()[1], headers=headers)
    assert transport is not None
    return transport


@pytest.fixture
async def new_trio_websocket_pair(on_trio: None) -> AsyncIterator[Pair]:
    """A new connection over trio-websocket, and our server at its other end."""
    async with await tcp_listener() as listener, anyio.create_task_group() as tasks:
        far: list[Transport] = []

        async def serve() -> None:
            acceptor = listener.listeners[0]
            assert isinstance(acceptor, anyio.abc.SocketListener)
            far.append(await upgraded(await acceptor.accept()))

        endpoint = Endpoint.parse(f"http://127.0.0.1:{port_of(listener)}", path="/v1/realtime")
        async with anyio.create_task_group() as both:
            both.start_soon(serve)
            near = await connect_trio_websocket(tasks, endpoint)
        yield near, far[0]
        await near.abort()
        await far[0].abort()


@pytest.fixture
async def memory_pair() -> AsyncIterator[Pair]:
    here, there = memory_transports()
    yield here, there
    await here.abort()
    await there.abort()


@pytest.fixture
def canned_server() -> Callable[[bytes | Script], AbstractAsyncContextManager[Endpoint]]:
    """Serve every connection with the same script, or with the same answer to its request."""

    @asynccontextmanager
    async def run(answer: bytes | Script) -> AsyncIterator[Endpoint]:
        async def reply(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += await stream.receive()
                assert isinstance(answer, bytes)
                await stream.send(answer.replace(b"<REQUEST>", request))

        script = reply if isinstance(answer, bytes) else answer
        async with await tcp_listener() as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, script, tasks)
            yield Endpoint.parse(f"http://127.0.0.1:{port_of(listener)}", path="/v1/realtime")
            tasks.cancel_scope.cancel()

    return run


@pytest.fixture
def pump() -> Callable[[Transport, list[str | bytes]], Awaitable[None]]:
    """Do what a session does: read everything, and write control frames when asked to."""

    async def run(transport: Transport, messages: list[str | bytes]) -> None:
        asked_send, asked = anyio.create_memory_object_stream[None](math.inf)
        transport.wake = lambda: asked_send.send_nowait(None)

        async def read() -> None:
            with asked_send:
                try:
                    while True:
                        messages.extend(await transport.receive())
                except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return

        async def write() -> None:
            with asked:
                async for _ in asked:
                    await transport.send([])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(write)

    return run


@pytest.fixture
def drain() -> Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]:
    """Receive until that raises."""

    async def run(receive: Callable[[], Awaitable[object]]) -> None:
        while True:
            await receive()

    return run


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Give way until something holds that has no event of its own."""

    async def wait(holds: Callable[[], bool]) -> None:
        while True:
            if holds():
                return
            await anyio.lowlevel.checkpoint()

    return wait


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def websockets_server() -> Iterator[Callable[..., int]]:
    """Start websockets' own asyncio server in a thread; return its port."""
    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        opened = []

        def start(
            handler: Callable[[ServerConnection], Awaitable[None]], **options: object
        ) -> int:
            async def open_server() -> int:
                server = await serve(handler, "127.0.0.1", 0, **options)  # type: ignore[arg-type]
                opened.append(server)
                return int(server.sockets[0].getsockname()[1])

            return portal.call(open_server)

        yield start
        for server in opened:
            portal.call(server.close)
            portal.call(server.wait_closed)
