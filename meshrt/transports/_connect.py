"""From an endpoint to a transport: TCP, a proxy, TLS, handshake; all or nothing."""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

import anyio
from anyio.abc import ByteStream

from .._secret import Secret
from ..errors import ConfigurationError
from ._endpoint import Endpoint
from ._errors import ConnectError, ProxyError
from ._handshake import Agreed, shake_hands
from ._hop import Hop, open_tcp, open_tls, why
from ._journal import Phases, note_failed, note_opened
from ._opening import Auth, Opening
from ._proxy import Proxy
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
    proxy: Proxy | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> WebSocketTransport:
    """Open a WebSocket: TCP to the first address that answers, TLS, handshake.

    With a proxy, TCP goes there, then TLS if it is an ``https`` one, then the proxy is asked for
    a connection to the server, on which all the rest happens: in the
    request to itself it never finds the key, and in TLS to the server it finds nothing.

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
            from disk: hand one over where you connect more than once. The proxy's
            certificate is judged by it too.
        proxy: Through whom; ``None`` connects directly, whatever the environment says: ask it
            by :meth:`Proxy.from_environment`.
        max_message_bytes: The largest message to accept; a larger one is answered with a close
            1009.

    Returns:
        The transport; close it with ``aclose()`` and always with ``abort()``.

    Raises:
        ConfigurationError: An argument can't be used, or the proxy needs the extra ``socks``;
            nothing was opened.
        HandshakeRejected: The server answered with a status other than 101.
        ProxyError: The proxy could not be reached, or let us through to no server.
        ConnectError: No name, no connection, no TLS, or no WebSocket at the other end.
    """
    opening = Opening(
        endpoint=endpoint, key=key, auth=auth, subprotocols=subprotocols, headers=headers
    )
    del headers  # they may hold a key, and a traceback shows our locals
    agreed = await agree(opening, proxy, ssl_context, max_message_bytes)
    return WebSocketTransport(agreed.stream, agreed.protocol, received=agreed.received)


async def agree(
    opening: Opening,
    proxy: Proxy | None,
    ssl_context: ssl.SSLContext | None,
    max_message_bytes: int,
) -> Agreed:
    """Open a connection and shake hands on it, whatever is to read its frames.

    Raises:
        ConfigurationError: No message could be accepted; nothing was opened.
        HandshakeRejected: The server answered with a status other than 101.
        ConnectError: No name, no connection, no TLS, or no WebSocket at the other end.
    """
    if max_message_bytes < 1:
        raise ConfigurationError("max_message_bytes must be a positive number of bytes")
    failure: ConnectError
    try:
        return await _connect(opening, proxy, ssl_context, max_message_bytes)
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
    opening: Opening,
    proxy: Proxy | None,
    ssl_context: ssl.SSLContext | None,
    max_message_bytes: int,
) -> Agreed:
    phases = Phases()
    async with AsyncExitStack() as stack:
        stream = await _reach(stack, opening.endpoint, proxy, ssl_context)
        phases.done("tcp")
        if opening.endpoint.secure:
            hop = Hop.to_server(opening.endpoint)
            stream = await open_tls(stream, hop, ssl_context or default_ssl_context())
            phases.done("tls")
        try:
            agreed = await shake_hands(stream, opening, max_message_bytes)
        except (anyio.BrokenResourceError, OSError) as error:
            raise ConnectError(
                f"{opening.place} broke the connection off during the handshake ({why(error)})",
            ) from None
        phases.done("handshake")
        note_opened(opening, agreed.protocol.subprotocol, phases)
        stack.pop_all()
    return agreed


async def _reach(
    stack: AsyncExitStack,
    endpoint: Endpoint,
    proxy: Proxy | None,
    ssl_context: ssl.SSLContext | None,
) -> ByteStream:
    """Open a stream of bytes to the server; the stack closes it."""
    if proxy is None:
        return await _open_tcp(stack, Hop.to_server(endpoint))
    open_way = _way_through(proxy)  # before there is a socket, for it may lack an extra
    hop = Hop.to_proxy(proxy)
    stream = await _open_tcp(stack, hop)
    if proxy.secure:
        stream = await open_tls(stream, hop, ssl_context or default_ssl_context())
    try:
        await open_way(stream, proxy, endpoint)
    except (anyio.BrokenResourceError, OSError) as error:
        raise ProxyError(f"{hop.place} broke the connection off ({why(error)})") from None
    return stream


async def _open_tcp(stack: AsyncExitStack, hop: Hop) -> ByteStream:
    stream = await open_tcp(hop)
    stack.push_async_callback(anyio.aclose_forcefully, stream)
    return stream


def _way_through(proxy: Proxy) -> Callable[[ByteStream, Proxy, Endpoint], Awaitable[None]]:
    if proxy.scheme in ("http", "https"):
        from ._tunnel import open_tunnel

        return open_tunnel
    from ._socks import open_socks

    return open_socks
