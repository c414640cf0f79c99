"""What a transport over trio-websocket does by itself, and what it does otherwise than ours."""

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.abc
import pytest
import trio
import trio_websocket
from support import RawConnection, forward_proxy, http_proxy, parse_frames, raw_server
from websockets.asyncio.server import ServerConnection
from websockets.frames import Close, Frame, Opcode

from meshrt._secret import Secret
from meshrt.errors import ConfigurationError, RemoteProtocolError
from meshrt.transports import (
    ConnectError,
    ConnectionLost,
    Endpoint,
    Proxy,
    Transport,
    connect_websocket,
)
from meshrt.transports._handshake import Agreed
from meshrt.transports._reader import SLICE_BYTES
from meshrt.transports._refusal import MAX_BODY_BYTES
from meshrt.transports._trio_live import live
from meshrt.transports.trio_websocket import TrioWebSocketTransport, connect_trio_websocket

pytestmark = pytest.mark.anyio

Canned = Callable[[object], AbstractAsyncContextManager[Endpoint]]
Peer = tuple[TrioWebSocketTransport, anyio.abc.SocketStream]
KEY = "rsk_sentinel.~k3y"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {}


@pytest.fixture
def peer(trio_websocket_peer: Peer) -> Peer:
    return trio_websocket_peer


def wire(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


TEXT = wire(Opcode.TEXT, b"text")
PING = wire(Opcode.PING, b"there?")


# What it does otherwise.


async def test_a_read_is_one_message(peer: Peer) -> None:
    transport, raw = peer
    await raw.send(TEXT * 3)
    assert [await transport.receive() for _ in range(3)] == [["text"]] * 3


async def test_a_ping_behind_messages_that_nobody_takes_is_answered_when_they_are(
    peer: Peer,
) -> None:
    transport, raw = peer
    await transport.send([])  # from here on it is ours
    await raw.send(TEXT * 5 + PING)
    await anyio.wait_all_tasks_blocked()
    assert not transport.outgoing()
    for _ in range(5):
        await transport.receive()
    await anyio.wait_all_tasks_blocked()
    assert transport.outgoing()


async def test_a_close_is_noticed_behind_what_came_before_it(peer: Peer) -> None:
    transport, raw = peer
    await raw.send(TEXT + wire(Opcode.CLOSE, Close(1001, "going").serialize()))
    assert await transport.receive() == ["text"]
    assert transport.close_code is None
    with pytest.raises(anyio.EndOfStream):
        await transport.receive()
    assert (transport.close_code, transport.close_reason) == (1001, "going")


async def test_a_close_that_nobody_has_received_refuses_what_is_sent_all_the_same(
    peer: Peer,
) -> None:
    transport, raw = peer
    await transport.send([])
    await raw.send(wire(Opcode.CLOSE, Close(1001, "going").serialize()))
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(ConnectionLost, match="1001 going"):
        await transport.send(["late"])


async def test_a_flood_of_pings_is_borne_and_fills_no_memory(peer: Peer) -> None:
    transport, raw = peer
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(raw.send, PING * 20_000 + TEXT)
        assert await transport.receive() == ["text"]
    assert transport.outgoing() < 3_000


async def test_empty_fragments_are_kept_until_their_message_ends(peer: Peer) -> None:
    transport, raw = peer
    await raw.send(wire(Opcode.TEXT, b"te", fin=False) + wire(Opcode.CONT, b"", fin=False) * 5_000)
    await anyio.wait_all_tasks_blocked()
    assert len(transport._connection._message_parts) == 5_001
    await raw.send(wire(Opcode.CONT, b"xt"))
    assert await transport.receive() == ["text"]
    assert transport._connection._message_parts == []


async def test_the_limit_of_a_text_counts_characters(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream], client_codec: Any
) -> None:
    near, raw = tcp_pair

    async def agree() -> Agreed:
        await anyio.lowlevel.checkpoint()
        return Agreed(stream=near, protocol=client_codec(), received=b"")

    async with trio.open_nursery() as nursery:
        transport = TrioWebSocketTransport(await nursery.start(live, agree, 4, str))
        await raw.send(wire(Opcode.TEXT, "€€€€".encode()) + wire(Opcode.BINARY, b"12345"))
        assert await transport.receive() == ["€€€€"]
        with pytest.raises(RemoteProtocolError) as caught:
            await transport.receive()
        assert caught.value.close_code == 1009
        await transport.abort()


async def test_what_lay_unread_is_lost_behind_a_message_that_is_too_large(peer: Peer) -> None:
    transport, raw = peer
    await transport.send([])
    await raw.send(TEXT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(raw.send, wire(Opcode.BINARY, bytes(100_001)))
        await anyio.wait_all_tasks_blocked()
    with pytest.raises(RemoteProtocolError):
        await transport.receive()


# What it keeps although trio-websocket would not.


async def test_a_goodbye_is_written_though_its_reader_is_done(peer: Peer) -> None:
    transport, raw = peer
    await raw.send(wire(Opcode.CLOSE, Close(1001, "going").serialize()))
    await raw.send_eof()
    with pytest.raises(anyio.EndOfStream):
        await transport.receive()
    await anyio.wait_all_tasks_blocked()
    await transport.send([])
    assert (await raw.receive())[0] & 0x0F == Opcode.CLOSE


async def test_nothing_follows_our_close_though_trio_websocket_answers_theirs(peer: Peer) -> None:
    transport, raw = peer
    await transport.aclose()
    await raw.send(PING + wire(Opcode.CLOSE, Close(1001, "going").serialize()))
    with pytest.raises(anyio.EndOfStream):
        await transport.receive()
    assert not transport.outgoing()


async def test_a_close_that_came_before_the_first_use_is_one_and_was_answered(peer: Peer) -> None:
    transport, raw = peer
    await raw.send(wire(Opcode.CLOSE, b""))
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(anyio.EndOfStream):
        await transport.receive()
    assert transport.close_code == 1005
    await transport.aclose()
    await transport.abort()
    assert len(await raw.receive()) == len(Frame(Opcode.CLOSE, b"").serialize(mask=True))


async def test_a_close_is_answered_once(peer: Peer) -> None:
    transport, raw = peer
    await transport.send([])
    await raw.send(TEXT + wire(Opcode.CLOSE, Close(1001, "going").serialize()))
    await anyio.wait_all_tasks_blocked()
    await transport.send([])
    await transport.aclose(1011, "is too late")
    await transport.abort()
    answer = await raw.receive()
    assert len(answer) == len(Frame(Opcode.CLOSE, b"..going").serialize(mask=True))
    with pytest.raises(anyio.EndOfStream):
        await raw.receive()


@asynccontextmanager
async def being_framed(
    transport: TrioWebSocketTransport, batch: list[str]
) -> AsyncIterator[list[Exception]]:
    """Hold up a send at trio-websocket's lock, and give what it raises after the block."""
    raised: list[Exception] = []

    async def send() -> None:
        try:
            await transport.send(batch)
        except Exception as error:  # noqa: BLE001  that is what is asked
            raised.append(error)

    async with anyio.create_task_group() as tasks:
        async with transport._connection._stream_lock:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            yield raised


async def test_our_close_is_the_last_word_though_it_falls_due_while_a_message_is_framed(
    peer: Peer,
) -> None:
    transport, raw = peer
    async with being_framed(transport, ["before"]):
        await raw.send(wire(Opcode.TEXT, b"\xff"))  # not UTF-8
        with pytest.raises(RemoteProtocolError):
            await transport.receive()
    await transport.abort()
    heard = parse_frames(await raw.receive())
    assert heard.messages == ("before",)
    assert heard.close is not None
    assert heard.close[0] == 1007


async def test_a_close_that_comes_while_a_batch_is_framed_is_answered_and_nothing_is_sent(
    peer: Peer,
) -> None:
    transport, raw = peer
    async with being_framed(transport, ["first", "second"]) as raised:
        await raw.send(wire(Opcode.CLOSE, Close(1001, "going").serialize()))
        await anyio.wait_all_tasks_blocked()
    (error,) = raised
    assert isinstance(error, ConnectionLost)
    assert error.code == 1001
    await transport.send([])  # which a torn stream would refuse
    await transport.abort()
    heard = parse_frames(await raw.receive())
    assert not heard.messages
    assert heard.close == (1001, "going")


async def test_an_abort_while_a_message_is_framed_is_told_as_one(peer: Peer) -> None:
    transport, _ = peer
    async with being_framed(transport, ["late"]) as raised:
        await transport.abort()
    assert [type(error) for error in raised] == [anyio.ClosedResourceError]


async def test_what_is_parsed_in_one_step_of_the_loop_is_bounded(peer: Peer) -> None:
    transport, raw = peer
    sizes: list[int] = []
    parse = transport._connection._wsproto.receive_data

    def receive_data(data: bytes | None) -> None:
        sizes.append(len(data or b""))
        parse(data)

    transport._connection._wsproto.receive_data = receive_data
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(raw.send, wire(Opcode.PONG, b"") * 100_000 + TEXT)
        assert await transport.receive() == ["text"]
    assert max(sizes) <= SLICE_BYTES


async def test_a_server_that_speaks_before_the_first_use_is_heard(peer: Peer) -> None:
    transport, raw = peer
    before = transport.last_byte_at = float("-inf")
    await raw.send(TEXT)
    await anyio.wait_all_tasks_blocked()
    assert transport.last_byte_at > before


async def test_a_send_that_is_cancelled_before_it_began_breaks_nothing(peer: Peer) -> None:
    transport, raw = peer
    with anyio.CancelScope() as scope:
        scope.cancel()
        await transport.send(["not sent"])
    await transport.send(["sent"])
    assert len(await raw.receive()) == len(Frame(Opcode.TEXT, b"sent").serialize(mask=True))


async def test_a_frame_that_is_passed_on_is_finished_before_ours(peer: Peer) -> None:
    transport, raw = peer
    pings = wire(Opcode.PING, bytes(125)) * 80_000  # the answers fill all that the system buffers
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(raw.send, pings)
        await anyio.wait_all_tasks_blocked()
        transport.ping()
        tasks.start_soon(transport.send, [])
        await anyio.wait_all_tasks_blocked()
        received = 0
        while received < 1_000_000:
            received += len(await raw.receive())
        tasks.cancel_scope.cancel()


async def test_what_is_cut_takes_no_frame(peer: Peer) -> None:
    transport, _ = peer
    await transport.abort()
    with pytest.raises(trio.ClosedResourceError):
        await transport._tap.send_all(TEXT)


# Connections that somebody else opened.


@pytest.fixture
async def listening(on_trio: None) -> AsyncIterator[trio_websocket.WebSocketServer]:
    """trio-websocket's server, which says five things and then echoes."""

    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        server.connections = [connection]
        try:
            for number in range(5):
                await connection.send_message(str(number))
            while True:
                await connection.send_message(await connection.get_message())
        except trio_websocket.ConnectionClosed as closed:
            served.append(closed.reason)

    served: list[trio_websocket.CloseReason | None] = []
    async with trio.open_nursery() as nursery:
        server = await nursery.start(trio_websocket.serve_websocket, serve, "127.0.0.1", 0, None)
        server.served = served
        yield server
        nursery.cancel_scope.cancel()


def open_it(server: trio_websocket.WebSocketServer) -> Any:
    return trio_websocket.open_websocket("127.0.0.1", server.port, "/", use_ssl=False)


async def test_a_connection_is_left_as_it_is_until_the_first_use(listening: Any) -> None:
    async with open_it(listening) as connection:
        TrioWebSocketTransport(connection)
        assert await connection.get_message() == "0"
        for number in range(1, 5):
            assert await connection.get_message() == str(number)
        await connection.send_message("still theirs")
        assert await connection.get_message() == "still theirs"
        await connection.ping()
    await anyio.wait_all_tasks_blocked()
    assert listening.served[0].code == 1000


async def test_the_block_of_a_connection_with_unread_messages_ends_after_an_abort(
    listening: Any,
) -> None:
    async with open_it(listening) as connection:
        transport = TrioWebSocketTransport(connection)
        assert await transport.receive() == ["0"]
        await anyio.wait_all_tasks_blocked()
        await transport.abort()
    assert connection.closed is not None


async def test_the_first_byte_after_the_takeover_counts_though_it_passed_by(
    listening: Any,
) -> None:
    async with open_it(listening) as connection:
        for _ in range(5):
            await connection.get_message()
        await anyio.wait_all_tasks_blocked()  # its reader reads again
        transport = TrioWebSocketTransport(connection)
        before = transport.last_byte_at = float("-inf")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.receive)
            await anyio.wait_all_tasks_blocked()
            assert transport.outgoing()  # a ping, of which nobody asked
            await listening.connections[0].send_message("more")
        assert transport.last_byte_at > before
        await transport.abort()


@pytest.mark.parametrize(("payload", "code"), [(b"", 1005), (Close(1002, "x").serialize(), 1002)])
async def test_a_close_that_came_before_there_was_a_transport_is_one_too(
    payload: bytes, code: int
) -> None:
    def close_at_once(connection: RawConnection) -> None:
        connection.shake_hands(subprotocol=None)
        connection.write(wire(Opcode.CLOSE, payload))

    with raw_server(close_at_once) as server:
        opening = trio_websocket.open_websocket("127.0.0.1", server.port, "/", use_ssl=False)
        async with opening as connection:
            with pytest.raises(trio_websocket.ConnectionClosed):
                await connection.get_message()
            transport = TrioWebSocketTransport(connection)
            with pytest.raises(anyio.EndOfStream):
                await transport.receive()
            assert transport.close_code == code
            await transport.aclose()
            await transport.abort()
        heard = await (await server.connection()).heard()
    assert heard.close is not None


async def test_two_transports_over_one_connection_share_what_stands_in_its_stream(
    listening: Any,
) -> None:
    async with open_it(listening) as connection:
        first, second = TrioWebSocketTransport(connection), TrioWebSocketTransport(connection)
        assert first._tap is second._tap
        await second.abort()


async def test_what_is_no_connection_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="open_websocket"):
        TrioWebSocketTransport("wss://example.org")  # type: ignore[arg-type]


# New connections.


async def exchange(transport: Transport) -> None:
    await transport.send(["one", b"two", "€" * 2**20])
    got: list[str | bytes] = []
    while len(got) < 3:
        got += await transport.receive()
    assert got == ["one", b"two", "€" * 2**20]
    await transport.aclose(1000, "done")
    with pytest.raises(anyio.EndOfStream):
        await transport.receive()
    assert transport.close_code == 1000


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@pytest.mark.parametrize("secure", [False, True])
async def test_it_gets_on_with_websockets(
    websockets_server: Callable[..., int], authority: Any, trusting: ssl.SSLContext, secure: bool
) -> None:
    options: dict[str, Any] = {"subprotocols": ["openai-realtime"], "max_size": 2**24}
    if secure:
        options["ssl"] = context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
    port = websockets_server(echo, **options)
    endpoint = Endpoint.parse(f"{'https' if secure else 'http'}://localhost:{port}")
    async with anyio.create_task_group() as tasks:
        transport = await connect_trio_websocket(tasks, endpoint, ssl_context=trusting)
        assert transport.subprotocol == "openai-realtime"
        await exchange(transport)
        await transport.abort()


async def told(connect: Callable[..., Awaitable[Transport]], endpoint: Endpoint) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        await connect(endpoint)
    return caught.value


ANSWERS = {
    "a refusal": b"HTTP/1.1 429 x\r\nRetry-After: 7\r\nX-Request-Id: req_1\r\n\r\n"
    b'{"error": {"code": "rate_limit", "message": "slow"}}',
    "no upgrade": b"HTTP/1.1 101 x\r\n\r\n",
    "an extension": b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    "a long line": b"HTTP/1.1 101 x\r\nA: " + b"a" * 9000 + b"\r\n\r\n",
    "headers without end": b"HTTP/1.1 101 x\r\n" + b"A: a\r\n" * 3000,
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "nothing": b"",
    "a body without end": b"HTTP/1.1 401 x\r\n\r\n" + b"?" * (MAX_BODY_BYTES + 1),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_every_answer_is_the_same_error_as_without_trio_websocket(
    canned_server: Canned, answer: str
) -> None:
    async with canned_server(ANSWERS[answer]) as endpoint:
        ours = await told(connect_websocket, endpoint)
        async with trio.open_nursery() as nursery:
            theirs = await told(partial(connect_trio_websocket, nursery), endpoint)
    assert (type(theirs), str(theirs), vars(theirs)) == (type(ours), str(ours), vars(ours))
    assert (theirs.__cause__, theirs.__context__) == (None, None)


def repeat_the_key(connection: RawConnection) -> None:
    connection.shake_hands()
    connection.ping(KEY.encode())
    connection.say_close(1000, f"no {KEY}")


@pytest.mark.parametrize("auth", ["query", "header", "subprotocol"])
async def test_the_key_is_in_no_log_and_no_object_of_trio_websocket_s(
    caplog: pytest.LogCaptureFixture, auth: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="trio-websocket")
    with raw_server(repeat_the_key) as server:
        endpoint = Endpoint.parse(f"http://127.0.0.1:{server.port}")
        async with trio.open_nursery() as nursery:
            transport = await connect_trio_websocket(nursery, endpoint, key=Secret(KEY), auth=auth)
            with pytest.raises(anyio.EndOfStream):
                await transport.receive()
            await transport.abort()
        assert KEY in (await server.connection()).request.decode()
    assert transport.close_reason == f"no {KEY}"  # the session takes it out
    logged = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    assert any("websocket closed" in line and "no ***" in line for line in logged)
    assert [line for line in logged if "sentinel" in line] == []
    kept = {**vars(transport._connection), "_close_reason": None}
    assert "sentinel" not in repr(kept)
    assert logging.getLogger("trio-websocket").filters == []


async def test_the_nursery_waits_for_the_abort_and_a_cancelled_one_closes_the_socket() -> None:
    with raw_server(RawConnection.greet_and_serve) as server:
        endpoint = Endpoint.parse(f"http://127.0.0.1:{server.port}")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                transport = await connect_trio_websocket(nursery, endpoint)
                nursery.start_soon(cancel_when_all_wait, scope)
        assert scope.cancelled_caught
        with pytest.raises(ConnectionLost):
            await transport.send(["x"])
        await server.settled()


async def cancel_when_all_wait(scope: trio.CancelScope) -> None:
    await anyio.wait_all_tasks_blocked()
    scope.cancel()


async def test_it_connects_through_a_proxy() -> None:
    with raw_server(RawConnection.greet_and_serve) as server, forward_proxy(http_proxy()) as proxy:
        endpoint = Endpoint.parse(f"http://127.0.0.1:{server.port}")
        way = Proxy.parse(f"http://127.0.0.1:{proxy.port}")
        async with trio.open_nursery() as nursery:
            transport = await connect_trio_websocket(nursery, endpoint, proxy=way)
            (greeting,) = await transport.receive()
            assert "session.created" in str(greeting)
            await transport.abort()
        assert proxy.led_to == [f"127.0.0.1 {server.port}"]
