"""A way through a SOCKS5 proxy (RFC 1928); socksio knows its bytes, and does no I/O."""

from functools import partial
from socket import AF_INET, SOCK_STREAM, gaierror
from typing import Any, Final

import anyio
from anyio.abc import ByteStream

from .._extras import needs
from .._secret import Secret
from ._endpoint import Endpoint
from ._errors import ConnectError, ProxyError
from ._exchange import Blame, ask, read_exactly
from ._hop import Hop, why
from ._host import ip_of
from ._proxy import Proxy

with needs("socks"):
    from socksio import (
        ProtocolError,
        SOCKS5AType,
        SOCKS5AuthMethod,
        SOCKS5AuthMethodsRequest,
        SOCKS5Command,
        SOCKS5CommandRequest,
        SOCKS5Connection,
        SOCKS5ReplyCode,
        SOCKS5UsernamePasswordRequest,
    )

_VERSION: Final = b"\x05"
_PORT_BYTES: Final = 2
_ADDRESS_BYTES: Final = {SOCKS5AType.IPV4_ADDRESS.value: 4, SOCKS5AType.IPV6_ADDRESS.value: 16}
_NAME: Final = SOCKS5AType.DOMAIN_NAME.value

_Method: Final = SOCKS5AuthMethod

# RFC 1928, 6.
_REPLIES: Final[dict[bytes, str]] = {
    SOCKS5ReplyCode.GENERAL_SERVER_FAILURE.value: "general failure",
    SOCKS5ReplyCode.CONNECTION_NOT_ALLOWED_BY_RULESET.value: "not allowed by its rules",
    SOCKS5ReplyCode.NETWORK_UNREACHABLE.value: "network unreachable",
    SOCKS5ReplyCode.HOST_UNREACHABLE.value: "host unreachable",
    SOCKS5ReplyCode.CONNECTION_REFUSED.value: "connection refused by the server",
    SOCKS5ReplyCode.TTL_EXPIRED.value: "TTL expired",
    SOCKS5ReplyCode.COMMAND_NOT_SUPPORTED.value: "command not supported",
    SOCKS5ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED.value: "address type not supported",
}


async def open_socks(stream: ByteStream, proxy: Proxy, endpoint: Endpoint) -> None:
    """Have the proxy connect to the server; from then on the stream is the server's.

    Cancelling is safe: the stream is the caller's to close.

    Raises:
        ProxyError: It refused, or is not a SOCKS5 proxy.
        ConnectError: The server's name is to be looked up here, and was not found.
    """
    blame = partial(_no_way, Hop.to_proxy(proxy).place)
    host = await _look_up(endpoint) if proxy.scheme == "socks5" else endpoint.host
    connection = SOCKS5Connection()
    try:
        method = await _agree_on_method(stream, connection, proxy, blame)
        if proxy.credentials is not None and method is _Method.USERNAME_PASSWORD:
            await _sign_in(stream, connection, proxy.credentials, blame)
        await _ask_for(stream, connection, (host, endpoint.port), blame)
    except ProtocolError:
        fault = "its answer is not SOCKS5"
    else:
        return
    raise blame(fault)


def _no_way(place: str, fault: str) -> ProxyError:
    return ProxyError(f"no way through {place}: {fault}")


async def _look_up(endpoint: Endpoint) -> str:
    """Return an address of the server: of IPv4 if it has one, for more proxies know of that."""
    if ip_of(endpoint.host) is not None:
        return endpoint.host
    try:
        found = await anyio.getaddrinfo(endpoint.host, endpoint.port, type=SOCK_STREAM)
    except gaierror as error:
        raise ConnectError(
            f"the host {endpoint.host} was not found ({why(error)}): socks5:// looks it up here; "
            "with socks5h:// the proxy does",
        ) from None
    old = [address for family, *_, address in found if family == AF_INET]
    return str([*old, *(address for *_, address in found)][0][0])


def _queued(connection: Any, request: object) -> bytes:
    # Any: its send() is overloaded at run time, which type checkers read as something else.
    connection.send(request)
    data: bytes = connection.data_to_send()
    return data


async def _agree_on_method(
    stream: ByteStream, connection: SOCKS5Connection, proxy: Proxy, blame: Blame
) -> SOCKS5AuthMethod:
    methods = [_Method.NO_AUTH_REQUIRED]
    if proxy.credentials is not None:
        methods.append(_Method.USERNAME_PASSWORD)
    await stream.send(_queued(connection, SOCKS5AuthMethodsRequest(methods)))
    answer = await read_exactly(stream, 2, blame)
    if answer[:1] != _VERSION:
        raise blame("its answer is not SOCKS5")
    method = connection.receive_data(answer).method  # type: ignore[union-attr]
    if method in methods:
        return _Method(method)
    if proxy.credentials is None:
        raise blame("it asks who you are: write proxy='socks5://user:password@host:port'")
    raise blame("it takes no user name with a password, and wants more than nothing")


async def _sign_in(
    stream: ByteStream, connection: SOCKS5Connection, credentials: Secret, blame: Blame
) -> None:
    def compose() -> bytes:
        user, _, password = credentials.reveal().encode().partition(b":")
        return _queued(connection, SOCKS5UsernamePasswordRequest(user, password))

    await ask(stream, compose)
    answer = await read_exactly(stream, 2, blame)
    if not connection.receive_data(answer).success:  # type: ignore[union-attr]
        raise blame("it does not know this user name with this password")


async def _ask_for(
    stream: ByteStream, connection: SOCKS5Connection, address: tuple[str, int], blame: Blame
) -> None:
    request = SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, address)
    await stream.send(_queued(connection, request))
    # A proxy that refuses often says no more than that.
    answer = await read_exactly(stream, 2, blame)
    if answer[:1] != _VERSION:
        raise blame("its answer is not SOCKS5")
    reply = answer[1:]
    if reply != SOCKS5ReplyCode.SUCCEEDED.value:
        host, port = address
        words = _REPLIES.get(reply, f"reply {reply[0]}, which RFC 1928 does not have")
        raise blame(f"it refused to connect to {host} port {port}: {words}")
    answer += await read_exactly(stream, 2, blame)
    connection.receive_data(answer + await _read_bound(stream, answer[3:], blame))


async def _read_bound(stream: ByteStream, kind: bytes, blame: Blame) -> bytes:
    """Read where the proxy connects from, which it has to say and nobody needs."""
    if kind == _NAME:
        size = await read_exactly(stream, 1, blame)
        return size + await read_exactly(stream, size[0] + _PORT_BYTES, blame)
    if kind not in _ADDRESS_BYTES:
        raise blame("its answer is not SOCKS5")
    return await read_exactly(stream, _ADDRESS_BYTES[kind] + _PORT_BYTES, blame)
