"""A new connection of trio-websocket's, as one task: open it, be its reader, close it."""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, final

import anyio
import anyio.lowlevel
import trio
from anyio.abc import ByteStream
from trio_websocket import WebSocketConnection, wrap_client_stream
from websockets.http11 import Request
from websockets.server import ServerProtocol

from ._errors import ConnectError
from ._frames import SILENT_LOGGER
from ._handshake import Agreed
from ._trio_tap import Tap

_READ_BYTES: Final = 64 * 1024


@final
class Introduced(ByteStream):
    """Answer trio-websocket's handshake, when the server's own is done; then pass all on.

    So trio-websocket never sees the key, the address, or a word of the server's headers, and has
    nothing to log of them. What it asks is answered by websockets' sans-IO server.

    Args:
        stream: The connection, whose handshake is done.
        subprotocol: What was agreed on, or ``None``.
        received: What was read after the handshake.
    """

    def __init__(self, stream: ByteStream, *, subprotocol: str | None, received: bytes) -> None:
        self._stream = stream
        self._received = received
        self._server: ServerProtocol | None = ServerProtocol(
            select_subprotocol=lambda _, offered: offered[0] if subprotocol else None,
            logger=SILENT_LOGGER,
        )

    async def receive(self, max_bytes: int = _READ_BYTES) -> bytes:
        """Read what is left of the handshake, and then from the stream."""
        if not self._received:
            return await self._stream.receive(max_bytes)
        data, self._received = self._received[:max_bytes], self._received[max_bytes:]
        await anyio.lowlevel.checkpoint()
        return data

    async def send(self, item: bytes) -> None:
        """Answer the request, and write everything after it to the stream."""
        if self._server is None:
            await self._stream.send(item)
            return
        server, self._server = self._server, None
        server.receive_data(item)
        (request,) = server.events_received()
        assert isinstance(request, Request)  # noqa: S101  the type checker's
        server.send_response(server.accept(request))
        self._received = b"".join(server.data_to_send()) + self._received
        await anyio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        """Refuse: a WebSocket's stream has no half."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


async def live(  # noqa: ASYNC114, ASYNC128  it is started by one, and passes the status on
    agreeing: Callable[[], Awaitable[Agreed]],
    max_message_bytes: int,
    redact: Callable[[str], str],
    *,
    task_status: trio.TaskStatus[WebSocketConnection],
) -> None:
    """Open a connection, hand it over, and run its reader until it is aborted.

    Args:
        agreeing: Opens it and shakes hands.
        max_message_bytes: The largest message to accept.
        redact: Removes the key from a text.
        task_status: Takes the connection.
    """
    agreed = await agreeing()
    try:
        with _redacted(redact):
            await _read(agreed, max_message_bytes, task_status)
    finally:
        await anyio.aclose_forcefully(agreed.stream)


async def _read(  # noqa: ASYNC114  nobody starts it
    agreed: Agreed,
    max_message_bytes: int,
    task_status: trio.TaskStatus[WebSocketConnection],
) -> None:
    subprotocol = agreed.protocol.subprotocol
    stream = Introduced(agreed.stream, subprotocol=subprotocol, received=agreed.received)
    tap = Tap(stream)
    connection: WebSocketConnection | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tap.gone.wait)  # when the reader is done, a goodbye may be due
            connection = await wrap_client_stream(
                nursery,
                tap,  # type: ignore[arg-type]  # its docs take any stream
                host="server",
                resource="/",
                subprotocols=None if subprotocol is None else [subprotocol],
                max_message_size=max_message_bytes,
                receive_buffer_size=None,
            )
            task_status.started(connection)
    except ExceptionGroup as group:
        tap.lost = group.with_traceback(None)
    if connection is None:
        raise ConnectError("trio-websocket could not read what came behind the handshake")


class _Redacting(logging.Filter):
    """Take the key out of what is logged."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redact(record.getMessage()), None
        return True


@contextlib.contextmanager
def _redacted(redact: Callable[[str], str]) -> Iterator[None]:
    """Keep the key out of trio-websocket's log: a server may repeat it in a CLOSE or a ping."""
    logger, redacting = logging.getLogger("trio-websocket"), _Redacting(redact)
    logger.addFilter(redacting)
    try:
        yield
    finally:
        logger.removeFilter(redacting)
