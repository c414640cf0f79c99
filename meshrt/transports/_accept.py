"""The server's side of a WebSocket handshake, for a server that has read the request itself."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from anyio.abc import ByteStream
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from ._frames import SILENT_LOGGER
from ._websocket import WebSocketTransport

MAX_INBOUND_BYTES: Final = 21 * 2**20
"""The largest message that a server takes: 15 MiB of audio are 20 MiB of base64."""


async def accept_websocket(
    stream: ByteStream,
    *,
    target: str,
    headers: Sequence[tuple[str, str]],
    received: bytes = b"",
    subprotocols: Sequence[str] = ("openai-realtime", "realtime"),
    max_message_bytes: int = MAX_INBOUND_BYTES,
    response_headers: Mapping[str, str] | None = None,
) -> WebSocketTransport | None:
    """Answer a request to upgrade: with 101 and a transport, or with a 4xx and ``None``.

    Of the subprotocols that the client offers, those that we do not have are passed over in
    silence: some carry a key, some of those are no tokens, and none of them may be echoed.

    Cancelling leaves the stream in an unknown state: close it. It stays the caller's to close
    unless there is a transport.

    Args:
        stream: The connection, from which the request was read.
        target: The request's target, such as ``/v1/realtime?model=m``.
        headers: The request's headers, names in lower case.
        received: What was read after the request.
        subprotocols: Those that we have.
        max_message_bytes: The largest message to accept, in bytes.
        response_headers: What our answer says besides, whatever it is.

    Raises:
        anyio.BrokenResourceError: The client has gone.
    """
    handshake = ServerProtocol(
        select_subprotocol=lambda _, offered: offered[0] if offered else None,
        logger=SILENT_LOGGER,
    )
    response = handshake.accept(Request(target, _upgrade_headers(headers, subprotocols)))
    response.headers.update(response_headers or {})
    handshake.send_response(response)
    await stream.send(b"".join(handshake.data_to_send()))
    if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        return None
    # The codec that made the answer still waits for a request: another one reads the frames.
    frames = ServerProtocol(state=State.OPEN, max_size=max_message_bytes, logger=SILENT_LOGGER)
    frames.subprotocol = handshake.subprotocol
    return WebSocketTransport(stream, frames, received=received)


def offered_subprotocols(headers: Sequence[tuple[str, str]]) -> list[Subprotocol]:
    """Return what a client offers as subprotocols, a key among them included, in its order."""
    values = (value for name, value in headers if name == "sec-websocket-protocol")
    parts = (part.strip() for value in values for part in value.split(","))
    return [Subprotocol(part) for part in parts if part]


def _upgrade_headers(headers: Sequence[tuple[str, str]], subprotocols: Sequence[str]) -> Headers:
    kept = Headers(item for item in headers if item[0] != "sec-websocket-protocol")
    offered = [name for name in offered_subprotocols(headers) if name in subprotocols]
    if offered:
        kept["sec-websocket-protocol"] = ", ".join(offered)
    return kept
