"""A tunnel through an HTTP proxy, by CONNECT (RFC 9110, 9.3.6)."""

import re
from base64 import b64encode
from functools import partial
from typing import Final

from anyio.abc import ByteStream

from ._endpoint import Endpoint
from ._errors import ProxyError
from ._exchange import ask, read_head
from ._hop import Hop
from ._host import bracketed
from ._opening import PRODUCT
from ._proxy import Proxy

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]")
_TAKES_BASIC: Final = re.compile(rb"^proxy-authenticate:.*\bbasic\b", re.IGNORECASE | re.MULTILINE)
_SUCCESS: Final = range(200, 300)  # any of them is one, and whatever length it names is void

_ADVICE: Final = {
    400: "it did not understand the request: is it an HTTP proxy?",
    403: "its rules forbid this host or this port",
    404: "is it an HTTP proxy?",
    405: "it makes no tunnels: is it an HTTP proxy?",
    429: "it has too much to do: wait, then try again",
    501: "it makes no tunnels: is it an HTTP proxy?",
    502: "it could not reach the server",
    503: "it could not reach the server, or has too much to do",
    504: "the server did not answer it in time",
}
_OTHER_ADVICE: Final = "ask whoever runs it"


async def open_tunnel(stream: ByteStream, proxy: Proxy, endpoint: Endpoint) -> None:
    """Have the proxy connect to the server; from then on the stream is the server's.

    The request holds the server's host and port and the proxy's credentials, and nothing else
    of ours. A refusal is not read beyond its head: proxies repeat what they were sent.

    Cancelling is safe: the stream is the caller's to close.

    Raises:
        ProxyError: It refused, or is not an HTTP proxy.
    """
    place = Hop.to_proxy(proxy).place
    blame = partial(_no_tunnel, place)
    await ask(stream, partial(_request, proxy, endpoint))
    head, rest = await read_head(stream, blame)
    found = _STATUS.match(head)
    if found is None:
        raise blame("its answer is not HTTP")
    status = int(found[1])
    if status not in _SUCCESS:
        advice = _advice(proxy, status, head)
        raise ProxyError(
            f"{place} refused a tunnel to {endpoint.host} port {endpoint.port} with HTTP "
            f"{status}: {advice}",
            status=status,
        )
    if rest:
        # Our side speaks first, with TLS and without: these bytes can't be the server's.
        raise blame("it sent more than its answer")


def _no_tunnel(place: str, fault: str) -> ProxyError:
    return ProxyError(f"no tunnel through {place}: {fault}. Is it an HTTP proxy?")


def _request(proxy: Proxy, endpoint: Endpoint) -> bytes:
    """Write the request; all parts have been checked, so no traceback shows this frame."""
    target = f"{bracketed(endpoint.host)}:{endpoint.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: {PRODUCT}"]
    if proxy.credentials is not None:
        basic = b64encode(proxy.credentials.reveal().encode()).decode()  # RFC 7617, as UTF-8
        lines.append(f"Proxy-Authorization: Basic {basic}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _advice(proxy: Proxy, status: int, head: bytes) -> str:
    if status != 407:  # noqa: PLR2004  as the table's
        return _ADVICE.get(status, _OTHER_ADVICE)
    if _TAKES_BASIC.search(head) is None:
        return "it asks for another way to sign in than Basic (RFC 7617), and there is no other"
    if proxy.credentials is None:
        return "it asks who you are: write proxy='http://user:password@host:port'"
    return "it does not know this user name with this password"
