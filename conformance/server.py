"""Our server, asked by the suite's client: ``python -m conformance.server LOOP``.

It prints its port, and at the end of its standard input how much memory it took.
"""

import sys

import anyio
import anyio.to_thread
from anyio.abc import SocketAttribute, SocketStream

from benchmarks.loops import run
from meshrt.gateway import Limits
from meshrt.gateway._handshake import upgrade
from meshrt.gateway._http import read_request

from .echo import Echo
from .memory import peak_bytes

LIMITS = Limits()


async def echo_client(stream: SocketStream) -> None:
    """Answer a client as the gateway does, and send back what it says."""
    async with stream:
        try:
            upgraded = await upgrade(stream, await read_request(stream, LIMITS), LIMITS)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return
        if upgraded is not None:
            await Echo(upgraded.transport).run()


async def serve() -> None:
    """Serve until the end of the standard input."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, echo_client)
        print(listener.extra(SocketAttribute.local_port), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
        tasks.cancel_scope.cancel("the suite is done")


def main(loop: str) -> None:
    """Serve, and print how much memory it took."""
    run(loop, serve)
    print(peak_bytes(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
