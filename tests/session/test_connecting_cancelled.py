"""A name with three addresses, and a connect that is cancelled at each moment of the race."""

import functools
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack

import anyio
import anyio.lowlevel
import pytest
from support import CancelAt, RawConnection, Way, at_each, by_scope_at, connecting, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

# Only the last one listens.
ADDRESSES = ("127.0.0.3", "127.0.0.2", "127.0.0.1")


@pytest.fixture
def three_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(_host: str, port: int, **_options: object) -> list[object]:
        await anyio.lowlevel.checkpoint()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in ADDRESSES]

    monkeypatch.setattr("anyio._core._sockets.getaddrinfo", look_up)


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all addresses race from the start, not a quarter of a second one after the other."""
    at_once = functools.partial(anyio.connect_tcp, happy_eyeballs_delay=0)
    monkeypatch.setattr(anyio, "connect_tcp", at_once)


async def connect_at_each_moment(
    way: Way, port: int, settled: Callable[[], Awaitable[None]]
) -> None:
    async def live() -> None:
        async with connecting(port, host="localhost"):
            pass

    async def scene(cancel: CancelAt) -> None:
        await cancel(live)
        await settled()

    outcomes = await at_each(way, scene)
    assert [outcome.error for outcome in outcomes if outcome.error is not None] == []
    assert way is by_scope_at or all(outcome.cancelled for outcome in outcomes[:-1])
    assert sum(outcome.cancelled for outcome in outcomes) > 6


@pytest.mark.usefixtures("three_addresses")
async def test_two_addresses_refuse_and_no_cancellation_is_swallowed_or_leaked(way: Way) -> None:
    with raw_server(RawConnection.greet_and_serve) as server:
        await connect_at_each_moment(way, server.port, server.settled)


def bound_to_one_port() -> list[socket.socket]:
    """Bind a socket on each of two addresses to the same port, which the third has free as well.

    Somebody may have taken one of them, an earlier test's connection in TIME_WAIT included.
    """
    while True:
        holes = [socket.socket(), socket.socket()]
        try:
            holes[0].bind((ADDRESSES[0], 0))
            port = holes[0].getsockname()[1]
            holes[1].bind((ADDRESSES[1], port))
            with socket.socket() as listener_to_be:
                listener_to_be.bind((ADDRESSES[2], port))
        except OSError:
            for hole in holes:
                hole.close()
        else:
            return holes


@pytest.fixture
def holes() -> Iterator[int]:
    """Let two addresses answer nothing: a full queue drops whoever knocks; return their port."""
    with ExitStack() as stack:
        holes = [stack.enter_context(hole) for hole in bound_to_one_port()]
        port: int = holes[0].getsockname()[1]
        for hole in holes:
            hole.listen(0)
            for _ in range(4):
                knock = stack.enter_context(socket.socket())
                knock.setblocking(False)
                knock.connect_ex(hole.getsockname())
        yield port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue is another thing")
@pytest.mark.usefixtures("three_addresses", "no_delay")
async def test_two_addresses_are_silent_and_no_cancellation_is_swallowed_or_leaked(
    way: Way, holes: int
) -> None:
    with raw_server(RawConnection.greet_and_serve, port=holes) as server:
        await connect_at_each_moment(way, server.port, server.settled)
