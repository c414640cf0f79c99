"""Names and addresses: one that is a black hole costs a moment, a mute resolver the timeout."""

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import anyio
import anyio.to_thread
import pytest
from support import RawConnection, connecting, raw_server

from meshrt import ConnectTimeout, MeshAPI

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

MESH, KEY = "https://mesh.example", "rsk_1"
NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
Resolver = Callable[[list[tuple[socket.AddressFamily, str]]], None]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Let the resolver find these addresses for every name."""

    def find(addresses: list[tuple[socket.AddressFamily, str]]) -> None:
        async def look_up(_host: str, port: int, **_options: object) -> list[object]:
            await anyio.lowlevel.checkpoint()
            return [(family, socket.SOCK_STREAM, 6, "", (a, port)) for family, a in addresses]

        monkeypatch.setattr("anyio._core._sockets.getaddrinfo", look_up)

    return find


def free_on_both() -> tuple[socket.socket, int]:
    """Bind a socket to a port of ::1 that is free on 127.0.0.1 too; somebody may have one."""
    while True:
        hole = socket.socket(socket.AF_INET6)
        with socket.socket() as other:
            try:
                hole.bind(("::1", 0))
                other.bind(("127.0.0.1", hole.getsockname()[1]))
            except OSError:
                hole.close()
            else:
                return hole, hole.getsockname()[1]


@pytest.fixture
def black_hole() -> Iterator[int]:
    """Let a port of ::1 answer nothing: a full queue drops whoever knocks."""
    with ExitStack() as stack:
        hole, port = free_on_both()
        stack.enter_context(hole)
        hole.listen(0)
        for _ in range(4):
            knock = stack.enter_context(socket.socket(socket.AF_INET6))
            knock.setblocking(False)
            knock.connect_ex(hole.getsockname())
        yield port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue is another thing")
async def test_an_ipv6_address_that_is_a_black_hole_does_not_keep_us_from_ipv4(
    black_hole: int, resolver: Resolver
) -> None:
    resolver([(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")])
    with raw_server(RawConnection.greet_and_serve, port=black_hole) as server:
        with anyio.fail_after(6):
            async with connecting(black_hole, host="localhost"):
                pass
        await server.settled()


@pytest.fixture
def mute_resolver(
    anyio_backend: tuple[str, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> threading.Event:
    """Let the system's resolver not answer before this happens; asyncio's end waits for that."""
    over = threading.Event()

    def look_up(*arguments: object, flags: int = 0, **_: object) -> list[object]:
        if (
            arguments and (flags or arguments[-1]) == NUMERIC
        ):  # Trio first asks whether there is anything to ask
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        over.wait()
        return []

    async def look_up_in_thread(*_: object, **__: object) -> list[object]:
        return await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True)

    if anyio_backend[1].get("use_uvloop"):  # which asks the system without Python
        monkeypatch.setattr("anyio._core._sockets.getaddrinfo", look_up_in_thread)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return over


@pytest.mark.parametrize("proxy", [None, "http://proxy.example", "socks5://proxy.example"])
async def test_a_resolver_that_never_answers_costs_the_connect_timeout(
    proxy: str | None, mute_resolver: threading.Event
) -> None:
    # Made before: it takes as long as the timeout here.
    context = ssl.create_default_context()
    client = MeshAPI(base_url=MESH, token=KEY, proxy=proxy, ssl_context=context)
    connection = client.realtime.connect(model="m", connect_timeout=0.1)
    try:
        with anyio.fail_after(1), pytest.raises(ConnectTimeout):
            async with connection:
                pytest.fail("the body may not begin")
    finally:
        mute_resolver.set()
