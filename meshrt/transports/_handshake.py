"""The opening handshake of a client, over a stream that somebody else owns."""

from functools import partial
from typing import Final

import attrs
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHeader, InvalidUpgrade, NegotiationError
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from ._errors import ConnectError
from ._exchange import ask, read_head
from ._frames import SILENT_LOGGER
from ._opening import Opening, request_bytes

_STATUS: Final = slice(len("HTTP/1.1 "), len("HTTP/1.1 101"))

# The codec's own words may repeat a header of the server, and a server may repeat the key.
_WRONG_ANSWERS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (InvalidUpgrade, "without upgrading to a WebSocket (RFC 6455, 4.1)"),
    (NegotiationError, "with an extension or a subprotocol that was not offered"),
    (InvalidHeader, "with a wrong or doubled Sec-WebSocket header"),
    (Exception, "with headers that can't be read"),
)


@attrs.frozen(kw_only=True)
class Agreed:
    """A connection on which both sides have agreed to speak WebSocket.

    Attributes:
        stream: The connection; whoever holds this owns it.
        protocol: The codec after its handshake.
        received: What was read after the handshake.
    """

    stream: ByteStream
    protocol: ClientProtocol
    received: bytes = attrs.field(repr=False)


async def shake_hands(stream: ByteStream, opening: Opening, max_message_bytes: int) -> Agreed:
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
    await ask(stream, partial(request_bytes, protocol.connect(), opening))
    blame = partial(_not_here, opening.place)
    head, rest = await read_head(stream, blame)
    if head[_STATUS] != b"101":
        raise await _refusal(stream, opening, head, rest) or blame("its answer is not HTTP")
    protocol.receive_data(head)
    if protocol.handshake_exc is not None:
        raise ConnectError(_wrong_answer(protocol.handshake_exc, opening.place))
    protocol.events_received()
    return Agreed(stream=stream, protocol=protocol, received=rest)


def _not_here(place: str, fault: str) -> ConnectError:
    return ConnectError(f"no WebSocket at {place}: {fault}. Check base_url")


def _wrong_answer(error: Exception, place: str) -> str:
    fault = next(words for kind, words in _WRONG_ANSWERS if isinstance(error, kind))
    return f"{place} is not a WebSocket server that we can use: it answered 101 {fault}"


async def _refusal(
    stream: ByteStream, opening: Opening, head: bytes, rest: bytes
) -> ConnectError | None:
    # http.client brings the email package, 15 ms that only the refused need.
    from ._refusal import read_refusal

    return await read_refusal(stream, head, rest, opening.redact)
