"""Servers that mean no good: broken frames, floods, messages without measure, odd handshakes."""

import random
import time
from collections.abc import Awaitable, Callable

import anyio
from support import Pieces, RawConnection, connecting, corrupt, cuts, raw_server, some_bytes
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from meshrt import MeshError
from meshrt.errors import RemoteProtocolError
from meshrt.session import RealtimeSession
from meshrt.transports import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    HandshakeRejected,
    WebSocketTransport,
)

from .promises import Found, Setting
from .tools import CLEAR, MIB, Tally, Watch, peer, resident_bytes, unheard

_LIMIT = 16 * MIB
_DEADLINE_S = 3.0  # of the handshakes; the usual ten would take three times as long
_TRICKLE_S = 0.05
_URI = parse_uri("ws://localhost/")


async def corrupted(setting: Setting) -> Found:
    """Break valid streams of frames: what comes of them is messages, and one of three ends."""
    tally, chance, spent = Tally(), random.Random(31), 0.0
    reads = 0
    with unheard(tally):
        while tally.tried < setting.sizes["examples"]:
            pieces = cuts(corrupt(some_bytes(chance), chance), chance)
            watch = Watch()
            problem = await _problem_with(pieces)
            spent += watch.s
            reads += len(pieces)
            tally.expect(not problem, problem)
    return {"wrong": tally.found(), "mean": (spent / reads * 1e6, f"of {reads:,}")}


async def _problem_with(pieces: list[bytes]) -> str:
    transport = WebSocketTransport(Pieces(pieces), ClientProtocol(_URI, state=State.OPEN))
    try:
        while True:
            await transport.receive()
    except (anyio.EndOfStream, ConnectionLost, RemoteProtocolError):
        return ""
    except Exception as error:  # noqa: BLE001  it is what is looked for
        return repr(error)


async def floods(setting: Setting) -> Found:
    """Send a million frames that say nothing, then a message in a hundred thousand pieces."""
    found: Found = {}
    tally = Tally()
    thousands = setting.sizes["thousands"]
    grown = 0
    with unheard(tally):
        for script in ("empty", "pings"):
            took, more, end = await _under(script, thousands * 1000)
            is_cut = isinstance(end, RemoteProtocolError) and end.close_code == 1008
            tally.expect(is_cut, f"{script} ended with {end!r:.60}")
            found[script], grown = (took, ""), max(grown, more)
        took, more, end = await _under("crumbs", thousands * 100)
        tally.expect(end is None, f"crumbs ended with {end!r:.60}")
    return {
        **found,
        "crumbs": (took, ""),
        "rss": (max(grown, more) / MIB, ""),
        "wrong": tally.found(),
    }


async def limits(setting: Setting) -> Found:
    """Send a message of the limit, one of a byte more, and the header of an immense one."""
    tally = Tally()
    found: Found = {}
    grown = 0
    with unheard(tally):
        for script, size in (("sized", _LIMIT), ("sized", _LIMIT + 1), ("immense", 0)):
            for _ in range(setting.sizes["rounds"]):
                took, more, end = await _under(script, size)
                grown = max(grown, more)
                is_told = isinstance(end, RemoteProtocolError) and end.close_code == 1009
                tally.expect(is_told is (size != _LIMIT), f"{script} {size} gave {end!r:.60}")
        found["immense"] = (took, "")
        found["grown"] = (more / MIB, "")
    return {**found, "wrong": tally.found(), "rss": (grown / MIB, "")}


async def _under(script: str, size: int) -> tuple[float, int, MeshError | None]:
    """Return how long a server's bad deed took, by how much we grew, and what came of it."""
    with peer(script, size) as server:
        async with connecting(server.port) as session:
            before = most = resident_bytes()
            await session.send(CLEAR)
            watch, end = Watch(), _End()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(end.wait, session)
                while not end.has_come:
                    await anyio.sleep(0.0005)
                    most = max(most, resident_bytes())
            return watch.s, most - before, end.error


class _End:
    """The end of a session, or a message that says that all has come."""

    def __init__(self) -> None:
        self.has_come = False
        self.error: MeshError | None = None

    async def wait(self, session: RealtimeSession) -> None:
        try:
            async for message in session:
                if message.event.type == "response.output_text.delta":
                    break
        except MeshError as error:
            self.error = error
        self.has_come = True


async def handshakes(setting: Setting) -> Found:
    """Answer the handshake in the worst ways: each is told by type, within the one deadline."""
    tally = Tally()
    before = most = resident_bytes()
    with unheard(tally):
        for script, expected in _HANDSHAKES.items():
            for _ in range(setting.sizes["rounds"]):
                watch = Watch()
                with raw_server(script) as server:
                    error = await _failure(lambda port=server.port: _connect(port))
                    tally.took(watch.s, script.__name__)
                    most = max(most, resident_bytes())
                tally.expect(type(error) is expected, f"{script.__name__}: {error!r:.60}")
    return {
        "wrong": tally.found(),
        "worst": tally.worst(),
        "rss": ((most - before) / MIB, ""),
    }


async def _connect(port: int) -> None:
    async with connecting(port, connect_timeout=_DEADLINE_S):
        pass


async def _failure(act: Callable[[], Awaitable[None]]) -> Exception | None:
    try:
        await act()
    except Exception as error:  # noqa: BLE001  its type is looked at
        return error
    return None


def _until_gone(connection: RawConnection, piece: bytes, pause_s: float = 0.0) -> None:
    while True:
        connection.write(piece)
        time.sleep(pause_s)


def _trickled(connection: RawConnection) -> None:
    connection.read_request()
    for byte in connection.switching_protocols()[:-1]:
        connection.write(bytes([byte]))
        time.sleep(_TRICKLE_S)


def _endless_headers(connection: RawConnection) -> None:
    connection.read_request()
    connection.write(b"HTTP/1.1 101 Switching Protocols\r\n")
    _until_gone(connection, b"X-More: and more\r\n" * 500)


def _one_endless_header(connection: RawConnection) -> None:
    connection.read_request()
    connection.write(b"HTTP/1.1 101 Switching Protocols\r\nX-More: ")
    _until_gone(connection, b"x" * 8000)


def _endless_body(connection: RawConnection) -> None:
    connection.read_request()
    connection.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    _until_gone(connection, b"x" * 8000)


def _trickled_body(connection: RawConnection) -> None:
    connection.read_request()
    connection.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    _until_gone(connection, b"x", _TRICKLE_S)


def _wrong_accept(connection: RawConnection) -> None:
    connection.read_request()
    connection.write(connection.switching_protocols().replace(b"Accept: ", b"Accept: x"))


def _wrong_subprotocol(connection: RawConnection) -> None:
    connection.shake_hands(subprotocol="chat")


def _no_upgrade(connection: RawConnection) -> None:
    connection.read_request()
    connection.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")


def _extension(connection: RawConnection) -> None:
    connection.read_request()
    line = b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    connection.write(connection.switching_protocols().replace(b"\r\n\r\n", line))


_HANDSHAKES: dict[Callable[[RawConnection], None], type[Exception]] = {
    _trickled: ConnectTimeout,
    _endless_headers: ConnectError,
    _one_endless_header: ConnectError,
    _endless_body: HandshakeRejected,
    _trickled_body: HandshakeRejected,
    _wrong_accept: ConnectError,
    _wrong_subprotocol: ConnectError,
    _no_upgrade: ConnectError,
    _extension: ConnectError,
}
