"""How a request's connection ends: its client hears the answer, whatever it was still saying."""

import socket
import struct
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio.testing
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from support._streams import Pieces

from meshrt.gateway import EchoVoice, Gateway, serve
from meshrt.gateway._http import hang_up

pytestmark = pytest.mark.anyio

Ask = Callable[..., Any]
USAGE = b"POST /v1/usage HTTP/1.1\r\nHost: localhost\r\n"
EXPECT = b"Expect: 100-continue\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
MIB = bytes(2**20)


@asynccontextmanager
async def line(gateway: Gateway) -> Any:
    port = int(gateway.url.rpartition(":")[2])
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        if gateway.ssl_context is None:
            yield stream
        else:
            yield await TLSStream.wrap(
                stream, hostname="localhost", ssl_context=gateway.ssl_context
            )


async def to_the_end(stream: Any) -> bytes:
    """Return what comes up to an end that is none by a reset."""
    answer = b""
    try:
        while True:
            answer += await stream.receive()
    except anyio.EndOfStream:
        return answer


@pytest.mark.parametrize("framing", [b"Content-Length: 2\r\n\r\n", CHUNKED + b"\r\n"])
async def test_who_waits_for_it_is_told_to_go_on(framing: bytes) -> None:
    body = b"{}" if b"Length" in framing else b"2\r\n{}\r\n0\r\n\r\n"
    async with serve(voice=EchoVoice()) as gateway, line(gateway) as stream:
        await stream.send(USAGE + EXPECT + framing)
        told = await stream.receive()
        await stream.send(body)
        answer = await to_the_end(stream)

    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (USAGE + EXPECT + b"Content-Length: 2\r\n\r\n{}", 200),  # it has gone on already
        (USAGE + EXPECT + b"Content-Length: 65537\r\n\r\n", 413),
        (USAGE.replace(b"/1.1", b"/1.0") + EXPECT + b"Content-Length: 2\r\n\r\n{}", 200),
    ],
)
async def test_nobody_is_told_to_go_on_for_nothing(ask: Ask, request_: bytes, status: int) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, request_)

    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (USAGE + b"Content-Length: 8388608\r\n\r\n", MIB, 413),
        (USAGE + CHUNKED + b"\r\n", b"100000\r\n" + MIB + b"\r\n", 413),
        (b"GET /v1/" + b"a" * 10_000, MIB, 414),
        (b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n", MIB, 403),
        (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", MIB, 200),
    ],
    ids=["length", "chunks", "line", "host", "more"],
)
async def test_an_answer_is_not_lost_to_whoever_says_too_much(
    head: bytes, body: bytes, status: int, *, tls: bool
) -> None:
    async with serve(voice=EchoVoice(), tls=tls) as gateway, line(gateway) as stream:
        await stream.send(head)
        for _ in range(8):
            await stream.send(body)
        await anyio.wait_all_tasks_blocked()
        answer = await stream.receive() if tls else await to_the_end(stream)

    assert answer.startswith(b"HTTP/1.1 %d " % status), answer


class Endless(Pieces):
    """A connection on which bytes come for ever, or none."""

    def __init__(self, piece: bytes) -> None:
        super().__init__([])
        self.given = 0
        self._piece = piece

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._piece:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        self.given += len(self._piece)
        return self._piece[:max_bytes]


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)
async def test_nobody_is_waited_for_longer_than_a_second_or_16_mib() -> None:
    began, endless = anyio.current_time(), Endless(MIB[:65_536])
    await hang_up(endless)
    assert endless.given == 16 * 2**20
    assert anyio.current_time() == began

    await hang_up(Endless(b""))
    assert anyio.current_time() - began == pytest.approx(1)


async def test_who_resets_the_connection_once_it_is_answered_is_no_bug() -> None:
    async def hear_nothing(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await was_reset.wait()
            await hang_up(stream)
        was_hung_up.set()

    was_reset, was_hung_up = anyio.Event(), anyio.Event()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, hear_nothing)
        client = socket.create_connection(listener.extra(SocketAttribute.local_address))
        client.sendall(b"GET")
        await anyio.wait_all_tasks_blocked()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        was_reset.set()
        with anyio.fail_after(5):
            await was_hung_up.wait()
        tasks.cancel_scope.cancel()


async def test_the_head_of_an_answer_is_all_that_head_is_told(ask: Ask) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        for path, status in (("models", 405), ("realtime", 426), ("nothing", 404)):
            request = f"HEAD /v1/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            head, _, body = (await ask(gateway, request)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert body == b""
