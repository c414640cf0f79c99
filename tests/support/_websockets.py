"""websockets' own server in a thread, so that it serves clients on every loop."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import anyio.from_thread
from websockets.asyncio.server import ServerConnection, serve

Script: TypeAlias = Callable[[ServerConnection], Awaitable[None]]
"""What the server does with a connection; it runs on asyncio, in a thread of its own."""


@contextmanager
def websockets_server(script: Script, **options: Any) -> Iterator[int]:
    """Serve on the loopback; yield the port.

    It answers with the subprotocol that a client of the realtime wire offers first.
    """
    options.setdefault("subprotocols", ["openai-realtime"])
    with anyio.from_thread.start_blocking_portal("asyncio") as portal:

        async def start() -> Any:
            return await serve(script, "127.0.0.1", 0, **options)

        server = portal.call(start)
        yield server.sockets[0].getsockname()[1]
        portal.call(server.close)
        portal.call(server.wait_closed)
