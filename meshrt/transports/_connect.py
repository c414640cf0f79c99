"""From an endpoint to a transport: TCP, TLS, handshake; all or nothing."""

import os
import ssl
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from socket import gaierror
from typing import Final

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from .._secret import Secret
from ..errors import ConfigurationError
from ._endpoint import Endpoint
from ._errors import ConnectError
from ._handshake import shake_hands
from ._journal import Phases, note_failed, note_opened
from ._opening import Auth, Opening
from ._tcp import keep_alive
from ._tls import default_ssl_context
from ._websocket import WebSocketTransport

# A delta has some 20 kB, a response.done with every transcript some hundreds; 16 MiB of them is
# no event any more but an attack on the memory.
MAX_MESSAGE_BYTES: Final = 16 * 2**20


async def connect_websocket(
    endpoint: Endpoint,
    *,
    key: Secret | None = None,
    auth: Auth = "query",
    subprotocols: Sequence[str] = ("openai-realtime",),
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> WebSocketTransport:
    """Open a WebSocket: TCP to the first address that answers, TLS, handshake.

    There is no timeout here: put one deadline around the whole. Cancelling is safe: nothing
    stays open. Redirects are not followed, no compression is offered.

    ``auth`` says how the key travels. ``"query"`` (``?api_key=…``) is what Mesh API's gateway
    is known to accept. ``"header"`` (``Authorization: Bearer …``) is OpenAI's. ``"subprotocol"``
    offers ``openai-insecure-api-key.<key>`` beside ``subprotocols``, the form that OpenAI
    documents for browsers, since the vendor's own (``Bearer <key>``) has a space, which RFC
    6455, 4.1, forbids in a subprotocol and strict servers answer with 400.

    A server may leave the subprotocol out of its answer (several do); choosing one that was not
    offered, or the one with the key, is an error.

    Args:
        endpoint: Where to.
        key: The API key, or ``None`` to send none.
        auth: How the key is sent.
        subprotocols: What to offer, in order of preference.
        headers: Further headers; ``User-Agent`` and ``X-MeshAPI-SDK`` replace ours.
        ssl_context: Whom to trust; ``None`` builds :func:`default_ssl_context`, which reads
            from disk: hand one over where you connect more than once.
        max_message_bytes: The largest message to accept; a larger one is answered with a close
            1009.

    Returns:
        The transport; close it with ``aclose()`` and always with ``abort()``.

    Raises:
        ConfigurationError: An argument can't be used; nothing was opened.
        HandshakeRejected: The server answered with a status other than 101.
        ConnectError: No name, no connection, no TLS, or no WebSocket at the other end.
    """
    if max_message_bytes < 1:
        raise ConfigurationError("max_message_bytes must be a positive number of bytes")
    opening = Opening(
        endpoint=endpoint, key=key, auth=auth, subprotocols=subprotocols, headers=headers
    )
    del headers  # they may hold a key, and a traceback shows our locals
    failure: ConnectError
    try:
        return await _connect(opening, ssl_context, max_message_bytes)
    except ConnectError as error:
        failure = error
    note_failed(opening, failure)
    # Outside the except block: whatever is below has seen the request and may hold the key.
    try:
        raise _bare(failure)
    finally:
        del failure  # it holds this frame


def _bare(error: ConnectError) -> ConnectError:
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


async def _connect(
    opening: Opening, ssl_context: ssl.SSLContext | None, max_message_bytes: int
) -> WebSocketTransport:
    phases = Phases()
    async with AsyncExitStack() as stack:
        stream: ByteStream = await _open_tcp(opening)
        stack.push_async_callback(anyio.aclose_forcefully, stream)
        phases.done("tcp")
        if opening.endpoint.secure:
            stream = await _open_tls(stream, opening, ssl_context or default_ssl_context())
            phases.done("tls")
        try:
            transport = await shake_hands(stream, opening, max_message_bytes)
        except (anyio.BrokenResourceError, OSError) as error:
            raise ConnectError(
                f"{opening.place} broke the connection off during the handshake ({_why(error)})",
            ) from None
        stack.pop_all()
    phases.done("handshake")
    note_opened(opening, transport.subprotocol, phases)
    return transport


async def _open_tcp(opening: Opening) -> ByteStream:
    endpoint = opening.endpoint
    try:
        stream = await anyio.connect_tcp(endpoint.host, endpoint.port)
    except gaierror as error:
        raise ConnectError(
            f"the host {endpoint.host} was not found ({_why(error)}): check base_url and the "
            f"network; the port would have been {endpoint.port}",
        ) from None
    except OSError as error:
        raise ConnectError(
            f"no connection to {opening.place} ({_why(error.__cause__ or error)}): is the server "
            "running, and does a firewall let you through?",
        ) from None
    keep_alive(stream)
    return stream


async def _open_tls(stream: ByteStream, opening: Opening, context: ssl.SSLContext) -> TLSStream:
    try:
        return await TLSStream.wrap(
            stream,
            hostname=opening.endpoint.host,
            ssl_context=context,
            standard_compatible=False,
        )
    except ssl.SSLCertVerificationError as error:
        why = f"its certificate is not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        why = f"{error.reason or 'unknown reason'}; does this port speak TLS?"
    except (anyio.EndOfStream, anyio.BrokenResourceError, OSError):
        why = "it hung up; does this port speak TLS?"
    raise ConnectError(f"no TLS connection to {opening.place}: {why}")


def _why(error: BaseException) -> str:
    """Name a system error in a few words."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(_why(part) for part in error.exceptions))
    if isinstance(error, OSError) and error.errno:
        # asyncio puts addresses where the system's words belong; a resolver's numbers are its own.
        its_own = isinstance(error, gaierror) and error.strerror
        return its_own or os.strerror(error.errno)
    cause = error.__cause__
    return type(error).__name__ if cause is None else _why(cause)
