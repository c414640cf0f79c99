"""What we ask of TCP, where the platform has it: to notice a peer that is gone."""

import contextlib
import socket
from typing import Final

from anyio.abc import SocketAttribute, SocketStream

_IDLE_S: Final = 15  # the first probe; then one every five seconds
_INTERVAL_S: Final = 5
_PROBES: Final = 3

# There is no TCP_USER_TIMEOUT: Linux counts a full window as unacknowledged, and would cut off a
# server that talks on and does not read for a while. macOS calls the first TCP_KEEPALIVE; where
# there is none of these, pings have to do.
_SETTINGS: Final[tuple[tuple[str, int], ...]] = (
    ("TCP_KEEPIDLE", _IDLE_S),
    ("TCP_KEEPALIVE", _IDLE_S),
    ("TCP_KEEPINTVL", _INTERVAL_S),
    ("TCP_KEEPCNT", _PROBES),
)


def keep_alive(stream: SocketStream) -> None:
    """Let the operating system probe a silent connection."""
    try:
        raw = stream.extra(SocketAttribute.raw_socket)
    except AttributeError:
        return  # uvloop has no socket any more once the peer has reset it; who reads hears of it
    settings = [(getattr(socket, name, None), value) for name, value in _SETTINGS]
    # What Python knows and this kernel does not, or a peer that has hung up already, is no error.
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in settings:
        if option is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.IPPROTO_TCP, option, value)
