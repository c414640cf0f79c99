"""TLS for a gateway on one's own machine, with a certificate that is made on the spot.

trustme makes it: what we would have to write over ``cryptography``, which trustme stands on, is an
authority, a leaf, their extensions and the dates of both. Of the authority, only the certificate
is written down, for clients that take a path; its key is gone with the gateway.
"""

import ssl
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, final

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from .._extras import needs

_CLOSE_SECONDS: Final = 1.0  # how long a client may take to say goodbye


@final
class LocalTLS:
    """An authority, a certificate of it for this machine, and the settings of both sides.

    Args:
        names: The names and addresses that the certificate is for.

    Attributes:
        client: Settings that trust the authority, and nobody else.
        authority: The authority's certificate, as PEM.

    Raises:
        MissingExtraError: trustme is not installed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        with needs("gateway"):
            import trustme
        authority = trustme.CA(organization_name="meshrt's local gateway")
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.minimum_version = ssl.TLSVersion.TLSv1_2
        authority.issue_cert(*names).configure_cert(self._server)
        self.authority = authority.cert_pem.bytes()
        self.client = ssl.create_default_context(cadata=self.authority.decode("ascii"))

    @contextmanager
    def file(self) -> Iterator[Path]:
        """Keep the authority's certificate in a file for as long as the block lasts.

        Not in a thread: it is a kilobyte, and has to go under cancellation too.
        """
        with TemporaryDirectory(prefix="meshrt-") as folder:
            path = Path(folder) / "ca.pem"
            path.write_bytes(self.authority)
            yield path

    @asynccontextmanager
    async def wrapped(self, stream: ByteStream) -> AsyncGenerator[ByteStream]:
        """Speak TLS over a stream for as long as the block lasts; the stream is closed then.

        Raises:
            ssl.SSLError: The client does not speak it, or does not trust us.
            anyio.BrokenResourceError: The client went.
        """
        spoken = await TLSStream.wrap(stream, server_side=True, ssl_context=self._server)
        try:
            yield spoken
        finally:
            with anyio.move_on_after(_CLOSE_SECONDS):
                await spoken.aclose()
