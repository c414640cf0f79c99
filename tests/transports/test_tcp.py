"""What is asked of TCP is set on the connection that a session uses."""

import socket
import struct

import anyio.abc
import pytest
from anyio.abc import SocketAttribute

from meshrt.transports._tcp import keep_alive

pytestmark = pytest.mark.anyio


async def test_a_silent_connection_is_probed(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
) -> None:
    near, _ = tcp_pair
    raw = near.extra(SocketAttribute.raw_socket)
    assert not raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    keep_alive(near)
    assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 5


async def test_a_connection_that_is_gone_already_is_no_error(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
) -> None:
    near, far = tcp_pair
    await far.aclose()
    keep_alive(near)


async def test_a_connection_that_the_peer_has_reset_is_no_error(
    tcp_pair: tuple[anyio.abc.SocketStream, anyio.abc.SocketStream],
) -> None:
    near, far = tcp_pair
    at_once = struct.pack("ii", 1, 0)
    far.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    await anyio.aclose_forcefully(far)
    with pytest.raises(anyio.BrokenResourceError):
        await near.receive()
    await anyio.wait_all_tasks_blocked()
    keep_alive(near)
