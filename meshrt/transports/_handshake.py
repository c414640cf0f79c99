"""The opening handshake of a client, over a stream that somebody else owns."""

from typing import Final

import anyio
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHeader, InvalidUpgrade, NegotiationError
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from ._errors import ConnectError
from ._frames import SILENT_LOGGER
from ._opening import Opening, request_bytes
from ._websocket import WebSocketTransport

# Status line and headers together. websockets and h11 allow 8 KiB and 16 KiB for a line.
MAX_HEAD_BYTES: Final = 16 * 1024

_END_OF_HEAD: Final = b"\r\n\r\n"
_HTTP: Final = b"HTTP/1."
_STATUS: Final = slice(len("HTTP/1.1 "), len("HTTP/1.1 101"))

# The codec's own words may repeat a header of the server, and a server may repeat the key.
_WRONG_ANSWERS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (InvalidUpgrade, "without upgrading to a WebSocket (RFC 6455, 4.1)"),
    (NegotiationError, "with an extension or a subprotocol that was not offered"),
    (InvalidHeader, "with a wrong or doubled Sec-WebSocket header"),
    (Exception, "with headers that can't be read"),
)


async def shake_hands(
    stream: ByteStream, opening: Opening, max_message_bytes: int
) -> WebSocketTransport:
    """Ask for a WebSocket and judge the answer.

    Cancelling is safe: the stream is the caller's to close.

    Raises:
        HandshakeRejected: The server answered with another status than 101.
        ConnectError: It answered with something else, or not at all.
    """
    protocol = ClientProtocol(
        parse_uri(opening.endpoint.url),
        subprotocols=[Subprotocol(name) for name in opening.subprotocols] or None,
        max_size=max_message_bytes,
        logger=SILENT_LOGGER,
    )
    await _send_request(stream, opening, protocol)
    head, rest = await _read_head(stream, opening.place)
    if head[_STATUS] != b"101":
        raise await _refusal(stream, opening, head, rest)
    protocol.receive_data(head)
    if protocol.handshake_exc is not None:
        raise ConnectError(_wrong_answer(protocol.handshake_exc, opening.place))
    protocol.events_received()
    return WebSocketTransport(stream, protocol, received=rest)


async def _send_request(stream: ByteStream, opening: Opening, protocol: ClientProtocol) -> None:
    request = protocol.connect()
    try:
        await stream.send(request_bytes(request, opening))
    except BaseException as error:
        # The frames below have the request in their locals, and a cancellation carries them up
        # to whoever looks at it.
        error.__traceback__ = None
        raise


async def _read_head(stream: ByteStream, place: str) -> tuple[bytes, bytes]:
    """Read up to the blank line; return the head with it, and what came after it."""
    data = b""
    while True:
        try:
            data += await stream.receive(MAX_HEAD_BYTES)
        except anyio.EndOfStream:
            raise ConnectError(_hung_up(place, data)) from None
        head, blank, rest = data.partition(_END_OF_HEAD)
        if not _HTTP.startswith(head[: len(_HTTP)]):
            raise ConnectError(f"{place} is not a WebSocket server: its answer is not HTTP")
        if len(head) > MAX_HEAD_BYTES:
            raise ConnectError(
                f"{place} is not a WebSocket server: it sent more than {MAX_HEAD_BYTES} bytes "
                "of headers",
            )
        if blank:
            return head + blank, rest


def _hung_up(place: str, data: bytes) -> str:
    when = "in the middle of its answer" if data else "without an answer"
    return f"{place} closed the connection {when}: is it a WebSocket server? Check base_url"


def _wrong_answer(error: Exception, place: str) -> str:
    fault = next(words for kind, words in _WRONG_ANSWERS if isinstance(error, kind))
    return f"{place} is not a WebSocket server that we can use: it answered 101 {fault}"


async def _refusal(stream: ByteStream, opening: Opening, head: bytes, rest: bytes) -> ConnectError:
    # http.client brings the email package, 15 ms that only the refused need.
    from ._refusal import read_refusal

    rejection = await read_refusal(stream, head, rest, opening.redact)
    if rejection is not None:
        return rejection
    return ConnectError(f"{opening.place} is not a WebSocket server: its answer is not HTTP")
