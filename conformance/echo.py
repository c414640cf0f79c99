"""Send back every message of a transport, by nothing but what the transport promises."""

import anyio
import anyio.abc

from meshrt.errors import RemoteProtocolError
from meshrt.transports import ConnectionLost, Transport

# As a session does it: what the other side breaks is told in a CLOSE, a loss in nothing.
_ENDS = (anyio.EndOfStream, anyio.ClosedResourceError, ConnectionLost, RemoteProtocolError)


class Echo:
    """The two tasks of a session, without the session.

    Args:
        transport: It is closed in the end.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting: list[str | bytes] = []
        self._asked = anyio.Event()
        self._is_over = False
        transport.wake = self._wake

    async def run(self) -> None:
        """Send back what comes until the other side's end, and answer that."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read)
                tasks.start_soon(self._write)
        finally:
            await self._transport.abort()

    async def _read(self) -> None:
        try:
            while True:
                self._waiting += await self._transport.receive()
                self._wake()
        except _ENDS:
            self._is_over = True
            self._wake()

    async def _write(self) -> None:
        try:
            while not self._is_over:
                await self._asked.wait()
                self._asked = anyio.Event()
                await self._transport.send(self._taken())
        except _ENDS:
            pass  # the reader has seen it too, or will
        try:
            await self._transport.aclose()
        except _ENDS:
            return

    def _taken(self) -> list[str | bytes]:
        taken, self._waiting = self._waiting, []
        return taken  # and kept by nobody: a message may have 16 MiB

    def _wake(self) -> None:
        self._asked.set()
