"""Our client, asked by the suite's server.

``python -m conformance.client LOOP KIND URL AGENT`` prints how many cases there are, and how
much memory they took.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from benchmarks.loops import run
from meshrt.transports import Endpoint, Transport, connect_websocket

from .echo import Echo
from .memory import peak_bytes


@asynccontextmanager
async def connected(kind: str, endpoint: Endpoint) -> AsyncGenerator[Transport]:
    """Connect a transport of a kind: ``"meshrt"`` or ``"trio-websocket"``."""
    if kind == "meshrt":
        yield await connect_websocket(endpoint, subprotocols=())
        return
    from meshrt.transports.trio_websocket import connect_trio_websocket

    # Over one that is there it would ask for a byte by a ping, and the suite puts the answer
    # into the middle of a frame that it sends in pieces (6.4.3, 6.4.4).
    async with anyio.create_task_group() as tasks:
        yield await connect_trio_websocket(tasks, endpoint, subprotocols=())


async def ask(kind: str, url: str, path: str, **query: str) -> str:
    """Return the one message that the suite's server has to say."""
    async with connected(kind, Endpoint.parse(url, path=path, query=query)) as transport:
        try:
            return str((await transport.receive())[0])
        finally:
            await transport.abort()


async def run_cases(kind: str, url: str, agent: str) -> int:
    """Go through all cases, one connection each; return how many there are."""
    count = int(await ask("meshrt", url, "/getCaseCount"))
    for case in range(1, count + 1):
        query = {"case": str(case), "agent": agent}
        endpoint = Endpoint.parse(url, path="/runCase", query=query)
        async with connected(kind, endpoint) as transport:
            await Echo(transport).run()
    # The suite knows of a case when it has seen the connection's end, and may be behind.
    await ask("meshrt", url, "/getCaseStatus", case=str(count), agent=agent)
    async with connected("meshrt", _report(url, agent)) as transport:
        await Echo(transport).run()
    return count


def _report(url: str, agent: str) -> Endpoint:
    return Endpoint.parse(url, path="/updateReports", query={"agent": agent})


def main(loop: str, kind: str, url: str, agent: str) -> None:
    """Run the cases and print how many there are and how much memory it took."""
    count = run(loop, lambda: run_cases(kind, url, agent))
    print(count, peak_bytes(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
