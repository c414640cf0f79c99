"""A session whose server is the test itself."""

import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Unpack

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from .._public import NoPublicConstructor
from ..events import SessionCreated
from ..protocol import AnyEvent, RealtimeProtocol, encode
from ..session import Connecting, RealtimeSession, SessionOptions
from ..transports import ConnectionLost, MemoryTransport, Transport, memory_transports
from ._options import SessionSettings

_GREETING = SessionCreated(session={"type": "realtime", "id": "sess_1"})
_GONE = (anyio.EndOfStream, anyio.ClosedResourceError, ConnectionLost)


class ServerEnd(metaclass=NoPublicConstructor):
    """call :func:`session_and_server`: the server's end of a session, for a test to play."""

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport
        self._protocol = RealtimeProtocol("server")
        self._put, self._take = anyio.create_memory_object_stream[AnyEvent](math.inf)
        self._writing = anyio.Lock()
        self._woken = anyio.Event()
        transport.wake = self._wake

    async def send(self, *events: AnyEvent | Mapping[str, Any] | str) -> None:
        """Send events, as the server: to the letter where they are text, and unchecked.

        Raises:
            ConnectionLost: The client has gone.
            anyio.ClosedResourceError: This end has closed.
        """
        texts = [event if isinstance(event, str) else encode(event) for event in events]
        async with self._writing:
            await self._transport.send(texts)

    async def receive(self) -> AnyEvent:
        """Return the next event that the client sent.

        Cancelling is safe: none is lost.

        Raises:
            anyio.EndOfStream: The client has gone.
        """
        return await self._take.receive()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a CLOSE.

        Raises:
            LocalProtocolError: The code may not be sent.
            ConnectionLost: The client has gone.
        """
        async with self._writing:
            await self._transport.aclose(code, reason)

    async def drop(self) -> None:
        """Cut the connection without a word."""
        await self._transport.abort()

    async def _read(self) -> None:  # noqa: ASYNC910  a task of its own
        with suppress(*_GONE):
            while True:
                for message in await self._transport.receive():
                    self._protocol.receive_text(message)
                for event in self._protocol.events():
                    self._put.send_nowait(event)
        self._put.close()

    async def _answer(self) -> None:
        """Send pongs, and the answer to a CLOSE, as every server has to."""
        with suppress(*_GONE):
            while True:
                await self._woken.wait()
                self._woken = anyio.Event()
                await self.send()

    def _wake(self) -> None:
        self._woken.set()

    def _release(self) -> None:
        self._put.close()
        self._take.close()


@asynccontextmanager
async def session_and_server(
    **settings: Unpack[SessionSettings],
) -> AsyncGenerator[tuple[RealtimeSession, ServerEnd]]:
    """Open a session, in memory, whose server is the test.

    ::

        async with session_and_server() as (session, server):
            await session.send({"type": "response.create"})
            assert (await server.receive()).type == "response.create"
            await server.send({"type": "response.created", "response": {"id": "resp_1"}})

    The session has been greeted; nothing else is answered but pings and a CLOSE.

    Args:
        **settings: Those of the client's ``connect``.
    """
    ours, theirs = memory_transports(subprotocol="openai-realtime")
    server = ServerEnd._create(theirs)
    opening = partial(_opened, ours)
    held: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server._read)
            tasks.start_soon(server._answer)
            try:
                await server.send(_GREETING)
                async with Connecting(opening, options=SessionOptions(**settings)) as session:
                    yield session, server
            except BaseException as error:  # noqa: ASYNC103, BLE001  held, and raised below
                held = error
            tasks.cancel_scope.cancel("the session's block is left")
    finally:
        server._release()
        await theirs.abort()  # noqa: ASYNC102  it works under cancellation
        try:
            if held is not None:
                raise held  # out here no group wraps it
        finally:
            del held


async def _opened(transport: Transport, _: anyio.abc.TaskGroup) -> Transport:
    await checkpoint()
    return transport
