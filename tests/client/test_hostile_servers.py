"""A server that means no good is cut off: by type, in bounded time and memory."""

from collections.abc import Callable

import pytest
from support import RawConnection, connecting, raw_server, server_frame, texts_of
from support._frames import CONT, PING, TEXT

from meshrt import ConnectError, ConnectionLost, ConnectTimeout, RealtimeError
from meshrt.errors import RemoteProtocolError
from meshrt.session import RealtimeSession
from meshrt.transports import HandshakeRejected

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


async def texts(session: RealtimeSession) -> list[str]:
    return texts_of([message async for message in session])


BEGUN = server_frame(TEXT, b"", fin=False)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (server_frame(PING, b"") * 200_000, 1008),
        (BEGUN + server_frame(CONT, b"", fin=False) * 200_000, 1008),
        (BEGUN + server_frame(CONT, b"x", fin=False) * 250_000, 1008),
        (bytes([0x80 | TEXT, 127]) + (2**62).to_bytes(8), 1009),
        (server_frame(TEXT, b"\xff"), 1007),
    ],
    ids=["pings", "empty", "crumbs", "immense", "not-utf8"],
)
async def test_a_server_that_breaks_the_rules_or_floods_is_cut_off(data: bytes, code: int) -> None:
    def script(connection: RawConnection) -> None:
        connection.greet()
        connection.write(data)

    with raw_server(script) as server:
        with pytest.raises(RemoteProtocolError) as caught:
            async with connecting(server.port) as session:
                await texts(session)
        await server.settled()
    assert caught.value.close_code == code
    assert not isinstance(caught.value, ConnectionLost)


def trickle(connection: RawConnection) -> None:
    connection.read_request()
    for byte in connection.switching_protocols()[:-1]:
        connection.write(bytes([byte]))
    connection.wait()


def trickle_a_greeting(connection: RawConnection) -> None:
    connection.shake_hands()
    connection.write(server_frame(TEXT, b" ", fin=False))
    connection.wait()


def endless(head: bytes, piece: bytes) -> Callable[[RawConnection], None]:
    def script(connection: RawConnection) -> None:
        connection.read_request()
        connection.write(b"HTTP/1.1 " + head)
        while True:
            connection.write(piece)

    return script


def altered(before: bytes, after: bytes) -> Callable[[RawConnection], None]:
    def script(connection: RawConnection) -> None:
        connection.read_request()
        connection.write(connection.switching_protocols().replace(before, after))

    return script


EXTENSION = b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (trickle, ConnectTimeout),
        (trickle_a_greeting, ConnectTimeout),
        (endless(b"101 Switching Protocols\r\n", b"X-More: and more\r\n" * 99), ConnectError),
        (endless(b"101 Switching Protocols\r\nX-More: ", b"x" * 9000), ConnectError),
        (endless(b"403 Forbidden\r\n\r\n", b"x" * 9000), HandshakeRejected),
        (
            endless(b"403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 999),
            HandshakeRejected,
        ),
        (altered(b"Accept: ", b"Accept: x"), ConnectError),
        (altered(b"openai-realtime", b"chat"), ConnectError),
        (altered(b"Upgrade: websocket\r\n", b""), ConnectError),
        (altered(b"\r\n\r\n", EXTENSION), ConnectError),
    ],
    ids=[
        "trickle",
        "greeting",
        "headers",
        "header",
        "body",
        "chunks",
        "accept",
        "subprotocol",
        "upgrade",
        "extension",
    ],
)
async def test_a_hostile_handshake_is_told_by_its_type_within_the_deadline(
    script: Callable[[RawConnection], None], expected: type[Exception]
) -> None:
    deadline = 0.2 if expected is ConnectTimeout else 20
    with raw_server(script) as server:
        with pytest.raises(ConnectError) as caught:
            async with connecting(server.port, connect_timeout=deadline):
                pytest.fail("the body may not begin")
        for connection in server.connections:
            connection.go()
        await server.settled()
    assert caught.type is expected
    if expected is HandshakeRejected:
        assert isinstance(caught.value, RealtimeError)
        assert len(str(caught.value)) < 1000


async def test_compression_is_not_offered() -> None:
    with raw_server(RawConnection.greet_and_serve) as server:
        async with connecting(server.port):
            pass
        await server.settled()
    assert b"sec-websocket-extensions" not in server.connections[0].request.lower()
