"""The WebSocket transport against bare sockets that misbehave on purpose."""

import asyncio
import math
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine

import anyio
import anyio.abc
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from meshrt.errors import LocalProtocolError, RemoteProtocolError
from meshrt.transports import ConnectionLost, Transport, WebSocketTransport

pytestmark = pytest.mark.anyio

Until = Callable[[Callable[[], bool]], Awaitable[None]]
RawPeer = tuple[Transport, anyio.abc.SocketStream]
HUGE = "x" * 2**26  # more than the kernel buffers on a loopback


def wire(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


def closing(code: int, reason: str = "") -> bytes:
    return wire(Opcode.CLOSE, Close(code, reason).serialize())


async def hear(stream: anyio.abc.SocketStream, count: int) -> list[tuple[Opcode, bytes]]:
    """Read as a server until so many frames have come."""
    codec = ServerProtocol(state=State.OPEN, max_size=None)
    frames: list[Frame] = []
    while len(frames) < count:
        codec.receive_data(await stream.receive())
        frames += [event for event in codec.events_received() if isinstance(event, Frame)]
    return [(frame.opcode, bytes(frame.data)) for frame in frames]


async def test_whole_messages_come_out_of_a_slow_trickle(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer
    data = wire(Opcode.TEXT, "grüß ".encode(), fin=False) + wire(Opcode.PING, b"?")
    data += wire(Opcode.CONT, b"dich") + wire(Opcode.BINARY, b"\0" * 300)

    async def trickle() -> None:
        for byte in data:
            await raw.send(bytes([byte]))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(trickle)
        assert await transport.receive() == ["grüß dich"]
        assert await transport.receive() == [b"\0" * 300]


async def test_one_read_gives_all_its_messages(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer
    await raw.send(b"".join(wire(Opcode.TEXT, str(n).encode()) for n in range(500)))
    assert await transport.receive() == [str(n) for n in range(500)]


async def test_a_ping_is_answered_though_nothing_was_taken(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer
    woken = anyio.Event()
    transport.wake = woken.set
    await raw.send(wire(Opcode.TEXT, b"unread") * 64 + wire(Opcode.PING, b"there?"))
    assert len(await transport.receive()) == 64
    assert woken.is_set()
    await transport.send([])
    assert await hear(raw, 1) == [(Opcode.PONG, b"there?")]


async def test_control_frames_overtake_what_is_sent_next(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer
    await raw.send(wire(Opcode.PING, b"1") + wire(Opcode.TEXT, b"x"))
    await transport.receive()
    transport.ping()
    assert transport.outgoing() == len(wire(Opcode.PING, b"1")) + len(wire(Opcode.PING, b"")) + 8
    await transport.send(["a", b"b"])
    assert await hear(raw, 4) == [
        (Opcode.PONG, b"1"),
        (Opcode.PING, b""),
        (Opcode.TEXT, b"a"),
        (Opcode.BINARY, b"b"),
    ]
    assert transport.outgoing() == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (wire(Opcode.TEXT, b"\xff\xfe"), 1007),
        (wire(Opcode.TEXT, b"x" * 100_001), 1009),
        pytest.param(Frame(Opcode.TEXT, b"masked").serialize(mask=True), 1002, id="masked"),
        (wire(Opcode.PING, b"") * 20_000, 1008),
        (wire(Opcode.TEXT, b"", fin=False) + wire(Opcode.CONT, b"", fin=False) * 20_000, 1008),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"?" * 99, 1002),
    ],
)
async def test_a_peer_that_breaks_the_rules_is_told_after_its_messages(
    raw_peer: RawPeer, data: bytes, code: int
) -> None:
    transport, raw = raw_peer
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(raw.send, wire(Opcode.TEXT, b"before") + data)
        assert await transport.receive() == ["before"]
        errors = []
        for _ in range(2):
            with pytest.raises(RemoteProtocolError) as caught:
                await transport.receive()
            assert caught.value.close_code == code
            errors.append(caught.value)
    assert errors[0] is not errors[1]
    with pytest.raises(ConnectionLost, match="nothing was sent"):
        await transport.send(["not any more"])
    await transport.aclose()
    opcode, payload = (await hear(raw, 1))[-1]
    assert (opcode, Close.parse(payload).code) == (Opcode.CLOSE, code)
    assert transport.close_code is None


async def test_a_close_without_a_code_is_1005_and_is_echoed_without_one(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer
    await raw.send(wire(Opcode.CLOSE, b""))
    with pytest.raises(anyio.EndOfStream):
        await transport.receive()
    assert (transport.close_code, transport.close_reason) == (1005, "")
    await transport.aclose(1011, "is not sent, since theirs came first")
    assert await hear(raw, 1) == [(Opcode.CLOSE, b"")]


async def test_the_close_is_known_as_soon_as_it_came(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer
    await raw.send(wire(Opcode.TEXT, b"last words") + closing(1001, "going away"))
    assert await transport.receive() == ["last words"]
    assert (transport.close_code, transport.close_reason) == (1001, "going away")
    with pytest.raises(anyio.EndOfStream):
        await transport.receive()


@pytest.mark.parametrize("middle", [b"", b"\x81", b"\x81\x7e\x01"])
async def test_an_end_without_a_close_is_a_loss(raw_peer: RawPeer, middle: bytes) -> None:
    transport, raw = raw_peer
    await raw.send(wire(Opcode.TEXT, b"whole") + middle)
    await raw.send_eof()
    assert await transport.receive() == ["whole"]
    with pytest.raises(ConnectionLost, match="without a CLOSE") as caught:
        await transport.receive()
    assert caught.value.code is None
    assert isinstance(caught.value.__cause__, anyio.EndOfStream)


async def test_a_reset_is_a_loss_with_its_cause(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer
    linger = struct.pack("ii", 1, 0)
    raw_socket = raw.extra(anyio.abc.SocketAttribute.raw_socket)
    raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    await raw.aclose()
    with pytest.raises(ConnectionLost) as caught:
        await transport.receive()
    assert isinstance(caught.value.__cause__, anyio.BrokenResourceError)
    for use in (lambda: transport.send(["x"]), lambda: transport.send([]), transport.aclose):
        with pytest.raises(ConnectionLost):
            await use()


async def test_a_reset_found_while_sending_is_a_loss_too(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer

    async def hang_up() -> None:
        await raw.receive()
        await raw.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hang_up)
        with pytest.raises(ConnectionLost) as caught:
            await transport.send([HUGE])
        assert caught.value.__cause__ is not None
    with pytest.raises(ConnectionLost):
        await transport.send(["x"])


@pytest.mark.parametrize("use", ["send", "aclose"])
async def test_a_cancelled_send_marks_the_connection_broken(raw_peer: RawPeer, use: str) -> None:
    transport, raw = raw_peer
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transport.send, [HUGE])
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    with pytest.raises(ConnectionLost, match="torn"):
        await (transport.send(["small"]) if use == "send" else transport.aclose())
    await transport.abort()
    received = b""
    with anyio.move_on_after(5):
        try:
            while True:
                received += await raw.receive(2**20)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass
    codec = ServerProtocol(state=State.OPEN, max_size=None)
    codec.receive_data(received)
    assert codec.events_received() == []


async def test_an_abort_frees_a_send_that_is_stuck(raw_peer: RawPeer) -> None:
    transport, _ = raw_peer

    async def send() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await transport.send([HUGE])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        await transport.abort()


async def test_two_senders_do_not_mix_their_frames(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transport.send, [HUGE])
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await transport.send(["second"])
        frames = await hear(raw, 1)
    assert frames == [(Opcode.TEXT, HUGE.encode())]


async def test_a_text_that_is_no_text_is_refused_and_the_connection_lives(
    raw_peer: RawPeer,
) -> None:
    transport, raw = raw_peer
    with pytest.raises(LocalProtocolError, match="surrogate"):
        await transport.send(["before", "\ud800"])
    await transport.send(["after"])
    assert await hear(raw, 1) == [(Opcode.TEXT, b"after")]


async def test_what_was_read_with_the_handshake_is_not_lost(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
    client_codec: Callable[[], ClientProtocol],
) -> None:
    near, far = tcp_pair
    data = wire(Opcode.TEXT, b"first") + wire(Opcode.TEXT, b"second")
    transport = WebSocketTransport(near, client_codec(), received=data[:-3])
    assert await transport.receive() == ["first"]
    await far.send(data[-3:])
    assert await transport.receive() == ["second"]
    await transport.abort()


async def test_a_ping_that_was_read_with_the_handshake_wakes_the_writer(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
    client_codec: Callable[[], ClientProtocol],
) -> None:
    near, far = tcp_pair
    transport = WebSocketTransport(near, client_codec(), received=wire(Opcode.PING, b"there?"))
    woken = anyio.Event()
    transport.wake = woken.set
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transport.receive)
        await woken.wait()
        await transport.send([])
        assert await hear(far, 1) == [(Opcode.PONG, b"there?")]
        tasks.cancel_scope.cancel()
    await transport.abort()


async def test_a_codec_before_its_handshake_is_refused(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
) -> None:
    near, far = tcp_pair
    with pytest.raises(LocalProtocolError, match="CONNECTING"):
        WebSocketTransport(near, ClientProtocol(parse_uri("ws://localhost/")))
    await near.send(b"still the caller's")
    assert await far.receive() == b"still the caller's"


async def test_last_byte_at_moves_with_every_read_that_brought_bytes(
    raw_peer: RawPeer, until: Until
) -> None:
    transport, raw = raw_peer
    transport.last_byte_at = -math.inf
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transport.receive)
        await raw.send(wire(Opcode.PONG, b"") + b"\x81")
        await until(lambda: transport.last_byte_at > -math.inf)
        tasks.cancel_scope.cancel()


async def test_pings_in_both_directions_do_not_disturb_a_busy_pair(
    websocket_pair: tuple[WebSocketTransport, WebSocketTransport],
    pump: Callable[..., Coroutine[None, None, None]],
    until: Until,
) -> None:
    near, far = websocket_pair
    got: list[str | bytes] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pump, far, got)
        for number in range(200):
            near.ping()
            await near.send([str(number)])
        await until(lambda: len(got) >= 200)
        tasks.cancel_scope.cancel()
    assert got == [str(number) for number in range(200)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_s_own_cancel_at_any_tick_loses_nothing(raw_peer: RawPeer) -> None:
    transport, raw = raw_peer
    seen: list[str | bytes] = []

    async def receive() -> None:
        seen.extend(await transport.receive())

    for number in range(80):
        task = asyncio.create_task(receive())
        if number % 2:
            await asyncio.sleep(0)
        await raw.send(wire(Opcode.TEXT, str(number).encode()))
        for _ in range(number % 9):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    while len(seen) < 80:
        seen += await transport.receive()
    assert seen == [str(number) for number in range(80)]
