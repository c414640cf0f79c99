"""Real proxies on the loopback, HTTP's and SOCKS5's, that do what a script says."""

import threading
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from ssl import SSLContext
from typing import Final, TypeAlias

import anyio
import anyio.abc
import anyio.from_thread
from anyio.streams.stapled import MultiListener
from anyio.streams.tls import TLSStream

from ._raw_server import HANG_S, in_thread

_LOST: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)

ProxyScript: TypeAlias = Callable[["ProxyConnection"], Awaitable[None]]
"""What the proxy does with a connection; it runs on asyncio, in a thread of its own."""


class ProxyConnection:
    """The proxy's end of a connection, for a script.

    Attributes:
        stream: The client, with TLS if the proxy has it.
        heard: What the client said to the proxy itself, and not to whom it leads.
    """

    def __init__(self, stream: anyio.abc.ByteStream, heard: bytearray, led_to: list[str]) -> None:
        self.stream = stream
        self.heard = heard
        self._led_to = led_to

    async def read(self, size: int) -> bytes:
        """Read so many bytes of the client's."""
        data = b""
        while len(data) < size:
            data += await self.stream.receive(size - len(data))
        self.heard += data
        return data

    async def read_head(self) -> str:
        """Read a request up to its blank line, and nothing after it."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self.read(1)
        return head.decode()

    async def say(self, data: bytes) -> None:
        """Send bytes to the letter."""
        await self.stream.send(data)

    async def stay_mute(self) -> None:
        """Read on to the client's end, and say nothing."""
        async for data in self.stream:
            self.heard += data

    async def lead_to(self, host: str, port: int, answer: bytes) -> None:
        """Connect to a server, say so, and carry bytes both ways until one side has ended.

        Every host is the loopback: to the proxy a test may call it what it likes.
        """
        self._led_to.append(f"{host} {port}")
        async with await anyio.connect_tcp("127.0.0.1", port) as server:
            if answer:
                await self.say(answer)
            async with anyio.create_task_group() as tasks:
                for ends in ((self.stream, server), (server, self.stream)):
                    tasks.start_soon(_carry, *ends, tasks.cancel_scope)


async def _carry(
    source: anyio.abc.ByteStream, sink: anyio.abc.ByteStream, both: anyio.CancelScope
) -> None:
    with suppress(*_LOST):
        async for data in source:
            await sink.send(data)
    both.cancel()


class ForwardProxy:
    """What a test holds of the proxy.

    Attributes:
        port: Where it listens.
        heard: What all its clients said to it, and not through it.
        led_to: The servers it was asked for, as ``host port``.
    """

    def __init__(self, script: ProxyScript, context: SSLContext | None) -> None:
        self.port = 0
        self.heard = bytearray()
        self.led_to: list[str] = []
        self._script = script
        self._context = context
        self._open = 0
        self._changed = threading.Condition()

    async def settled(self) -> None:
        """Wait until each connection that was begun so far is at its end and closed here too."""
        # Connections are accepted in their order: when ours is at its end, the others were begun.
        async with await anyio.connect_tcp("127.0.0.1", self.port) as last:
            await last.send_eof()
            with suppress(*_LOST):
                await last.receive()
        await in_thread(self._wait)

    def _wait(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: not self._open, HANG_S), "a client is left"

    def _count(self, more: int) -> None:
        with self._changed:
            self._open += more
            self._changed.notify_all()

    async def _serve(self, stream: anyio.abc.SocketStream) -> None:
        self._count(1)
        try:
            async with stream:
                with suppress(*_LOST):
                    await self._play(stream)
        finally:
            self._count(-1)

    async def _play(self, stream: anyio.abc.ByteStream) -> None:
        if self._context is not None:
            stream = await TLSStream.wrap(
                stream, server_side=True, ssl_context=self._context, standard_compatible=False
            )
        await self._script(ProxyConnection(stream, self.heard, self.led_to))


@contextmanager
def forward_proxy(script: ProxyScript, *, ssl: SSLContext | None = None) -> Iterator[ForwardProxy]:
    """Serve each connection with a script.

    Args:
        script: What is done with each connection, such as :func:`http_proxy`'s.
        ssl: Makes it a proxy that is itself reached by TLS.
    """
    proxy = ForwardProxy(script, ssl)
    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        listener = portal.call(_listen)
        proxy.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        serving = portal.start_task_soon(listener.serve, proxy._serve)
        try:
            yield proxy
        finally:
            serving.cancel()
            portal.call(listener.aclose)


async def _listen() -> MultiListener[anyio.abc.SocketStream]:
    return await anyio.create_tcp_listener(local_host="127.0.0.1")


def front(port: int) -> ProxyScript:
    """Be no proxy at all, but what stands before a server and, with ``ssl``, speaks its TLS."""

    async def run(connection: ProxyConnection) -> None:
        await connection.lead_to("localhost", port, b"")

    return run


def http_proxy(
    credentials: str | None = None, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
) -> ProxyScript:
    """Be a whole HTTP proxy for CONNECT, with Basic credentials (RFC 7617) if they are given."""
    wanted = f"Basic {b64encode(credentials.encode()).decode()}" if credentials else None

    async def run(connection: ProxyConnection) -> None:
        lines = (await connection.read_head()).split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        if wanted is not None and headers.get("Proxy-Authorization") != wanted:
            await connection.say(
                b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                b'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
            )
            return
        method, target, version = lines[0].split(" ")
        assert (method, version, headers["Host"]) == ("CONNECT", "HTTP/1.1", target)
        host, _, port = target.rpartition(":")
        await connection.lead_to(host.strip("[]"), int(port), answer)

    return run


def socks_proxy(credentials: tuple[str, str] | None = None, *, bound: bytes = b"") -> ProxyScript:
    """Be a whole SOCKS5 proxy (RFC 1928), with a user name and a password if they are given.

    Args:
        credentials: What it lets in (RFC 1929).
        bound: The address it says it connects from, with its type; 0.0.0.0 if not given.
    """
    wanted = b"\x02" if credentials else b"\x00"

    async def run(connection: ProxyConnection) -> None:
        version, count = await connection.read(2)
        assert version == 5
        if wanted not in await connection.read(count):
            await connection.say(b"\x05\xff")
            return
        await connection.say(b"\x05" + wanted)
        if credentials is not None and await _read_credentials(connection) != credentials:
            await connection.say(b"\x01\x01")
            return
        if credentials is not None:
            await connection.say(b"\x01\x00")
        host, port = await _read_address(connection)
        address = bound or b"\x01\x00\x00\x00\x00"
        await connection.lead_to(host, port, b"\x05\x00\x00" + address + b"\x00\x00")

    return run


async def _read_credentials(connection: ProxyConnection) -> tuple[str, str]:
    assert await connection.read(1) == b"\x01"
    user = await connection.read((await connection.read(1))[0])
    password = await connection.read((await connection.read(1))[0])
    return user.decode(), password.decode()


async def _read_address(connection: ProxyConnection) -> tuple[str, int]:
    version, command, _, kind = await connection.read(4)
    assert (version, command) == (5, 1)
    if kind == 3:
        host = (await connection.read((await connection.read(1))[0])).decode()
    else:
        host = str(ip_address(await connection.read({1: 4, 4: 16}[kind])))
    return host, int.from_bytes(await connection.read(2))
