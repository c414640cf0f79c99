"""The raw server does what its script says, records all of it, and leaves no thread behind."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import anyio
import pytest
from support import RawConnection, client_frame, created, nothing_left, raw_server, text_frame

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", port), 20)) as client:
        client.sendall(REQUEST)
        yield client


async def test_it_shakes_hands_and_greets() -> None:
    async with nothing_left():
        with raw_server(RawConnection.greet) as server:
            with connected(server.port) as client:
                data = b""
                while not data.endswith(text_frame(created())):
                    data += client.recv(1000)
            assert await (await server.connection()).received() == b""
            await server.settled()
    # The example of RFC 6455, 1.3.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in data


async def test_what_it_never_asked_for_is_recorded_to_the_last_byte() -> None:
    def deaf(connection: RawConnection) -> None:
        connection.greet()
        connection.wait()

    sent = client_frame(TEXT, b"x" * 50_000) + client_frame(TEXT, b"to")[:-1]
    with raw_server(deaf) as server:
        with connected(server.port) as client:
            client.sendall(sent)
        connection = await server.connection()
        connection.go()
        assert await connection.received() == sent
        assert (await connection.heard()).torn


async def test_it_serves_kindly_if_asked_to() -> None:
    def kind(connection: RawConnection) -> None:
        connection.shake_hands()
        connection.serve()

    with raw_server(kind) as server, connected(server.port) as client:
        client.sendall(client_frame(PING, b"1") + client_frame(PING, b"2"))
        connection = await server.connection()
        await connection.until(lambda heard: len(heard.pings) == 2)
        client.sendall(client_frame(CLOSE, b"\x0b\xb8"))
        data = b""
        while not data.endswith(b"\x88\x02\x0b\xb8"):
            data += client.recv(1000)
        assert data.count(b"\x8a\x01") == 2


async def test_pongs_are_counted() -> None:
    def pinging(connection: RawConnection) -> None:
        connection.shake_hands()
        connection.ping(b"?")

    with raw_server(pinging) as server, connected(server.port) as client:
        while not client.recv(1000).endswith(b"\x89\x01?"):
            pass
        client.sendall(client_frame(PONG, b"?"))
        heard = await (await server.connection()).until(lambda heard: heard.pongs)
    assert heard.pongs == (b"?",)


async def test_it_resets_half_closes_and_writes_in_crumbs() -> None:
    def rude(connection: RawConnection) -> None:
        connection.read_request()
        connection.write(b"abc", piece_bytes=1)
        connection.half_close()
        connection.wait()
        connection.reset()

    with raw_server(rude) as server, connected(server.port) as client:
        assert b"".join(iter(lambda: client.recv(9), b"")) == b"abc"
        client.sendall(b"still there?")
        (await server.connection()).go()
        await server.settled()
        with pytest.raises(ConnectionError):
            client.sendall(b"and now?")


async def test_a_script_that_fails_fails_the_test() -> None:
    def wrong(connection: RawConnection) -> None:
        raise AssertionError("what came was wrong")

    with pytest.raises(AssertionError, match="what came was wrong"):
        with raw_server(wrong) as server, connected(server.port):
            await server.settled()


async def test_a_client_that_breaks_the_rules_fails_the_test() -> None:
    with raw_server(RawConnection.greet) as server:
        with connected(server.port) as client:
            client.sendall(b"\x81\x00")
        with pytest.raises(AssertionError, match="byte 0: a client's frame is not masked"):
            await (await server.connection()).heard()


async def test_a_script_that_still_waits_is_ended() -> None:
    threads = threading.active_count()
    for _ in range(10):
        with raw_server(RawConnection.wait) as server, connected(server.port):
            await server.connection()
    with raw_server(RawConnection.wait):
        await anyio.lowlevel.checkpoint()
    assert not any("_record" in thread.name for thread in threading.enumerate()[threads:])
