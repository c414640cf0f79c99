"""One connection of the way: to the server, or to the proxy before it."""

import os
import ssl
from socket import gaierror
from typing import Self

import anyio
import attrs
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSStream

from ._endpoint import Endpoint
from ._errors import ConnectError, ProxyError
from ._proxy import Proxy
from ._tcp import keep_alive


@attrs.frozen(kw_only=True)
class Hop:
    """Where a connection goes, and how its failures are told.

    Attributes:
        host: Whom the network is asked for.
        port: The port.
        whose: Before the host, in messages.
        setting: What the user is to check.
        advice: What the user is to check where there is no TLS.
        error: What is raised.
    """

    host: str
    port: int
    whose: str
    setting: str
    advice: str
    error: type[ConnectError]

    @classmethod
    def to_server(cls, endpoint: Endpoint) -> Self:
        """Go to the server."""
        return cls(
            host=endpoint.host,
            port=endpoint.port,
            whose="",
            setting="base_url",
            advice="does this port speak TLS?",
            error=ConnectError,
        )

    @classmethod
    def to_proxy(cls, proxy: Proxy) -> Self:
        """Go to the proxy."""
        return cls(
            host=proxy.host,
            port=proxy.port,
            whose="the proxy ",
            setting="the proxy's address",
            advice="most proxies are an http:// one, which carries TLS as well",
            error=ProxyError,
        )

    @property
    def place(self) -> str:
        """Who it is, with host and port, for messages."""
        return f"{self.whose}{self.host} port {self.port}"


async def open_tcp(hop: Hop) -> SocketStream:
    """Connect to the first of the host's addresses that answers.

    Raises:
        ConnectError: There is no such name, or nobody answers.
    """
    try:
        stream = await anyio.connect_tcp(hop.host, hop.port)
    except gaierror as error:
        raise hop.error(
            f"the host {hop.host} was not found ({why(error)}): check {hop.setting} and the "
            f"network; the port would have been {hop.port}",
        ) from None
    except OSError as error:
        raise hop.error(
            f"no connection to {hop.place} ({why(error.__cause__ or error)}): is it running, and "
            "does a firewall let you through?",
        ) from None
    keep_alive(stream)
    return stream


async def open_tls(stream: ByteStream, hop: Hop, context: ssl.SSLContext) -> TLSStream:
    """Speak TLS on a stream, whatever carries it.

    Raises:
        ConnectError: The other side speaks none, or one that is not trusted.
    """
    try:
        return await TLSStream.wrap(
            stream,
            hostname=hop.host,
            ssl_context=context,
            standard_compatible=False,
        )
    except ssl.SSLCertVerificationError as error:
        fault = f"its certificate is not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        fault = f"{error.reason or 'unknown reason'}; {hop.advice}"
    except (anyio.EndOfStream, anyio.BrokenResourceError, OSError):
        fault = f"it hung up; {hop.advice}"
    raise hop.error(f"no TLS connection to {hop.place}: {fault}")


def why(error: BaseException) -> str:
    """Name a system error in a few words."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(why(part) for part in error.exceptions))
    if isinstance(error, ssl.SSLError):
        return error.reason or "TLS failed"  # its number is OpenSSL's, and none of the system's
    if isinstance(error, OSError) and error.errno:
        # asyncio puts addresses where the system's words belong; a resolver's numbers are its own.
        its_own = isinstance(error, gaierror) and error.strerror
        return its_own or os.strerror(error.errno)
    cause = error.__cause__
    return type(error).__name__ if cause is None else why(cause)
