"""A WebSocket over any AnyIO byte stream; the same for both sides of a connection."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NoReturn, final

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.server import ServerProtocol

from ..errors import LocalProtocolError
from ._close_codes import check_close_code
from ._errors import ConnectionLost
from ._frames import FrameCodec

# AnyIO's asyncio backend splits what the event loop read if asked for less.
_READ_BYTES: Final = 256 * 1024

# What a stream raises when it is at its end or broken; ssl.SSLError is an OSError.
_LOSS: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


def _nobody() -> None:
    """Stand in for ``wake`` until a session sets its own."""


@final
class WebSocketTransport:
    """Carry messages over a WebSocket; see :class:`Transport` for the contract.

    :func:`connect_websocket` makes one for a client. A server that has answered an upgrade
    makes its own: the stream, the codec that made the answer, and what was read after it.

    Args:
        stream: The connection; this object owns it from now on and closes it in :meth:`abort`.
        protocol: websockets' sans-IO object after its handshake (state ``OPEN``). Give it a
            logger that logs nothing: it would log the request line, and maybe a key in it.
        received: Bytes that were read after the end of the handshake.

    Raises:
        LocalProtocolError: The handshake of ``protocol`` is not done.
    """

    def __init__(
        self,
        stream: ByteStream,
        protocol: ClientProtocol | ServerProtocol,
        *,
        received: bytes = b"",
    ) -> None:
        if protocol.state is not State.OPEN:
            raise LocalProtocolError(
                f"the WebSocket is {protocol.state.name}: finish its handshake before making "
                "a transport of it",
            )
        self.wake: Callable[[], None] = _nobody
        self.last_byte_at: float = anyio.current_time()
        self.last_write_at: float = self.last_byte_at
        self.close_code: int | None = None
        self.close_reason: str = ""
        self.subprotocol: str | None = protocol.subprotocol
        self._stream = stream
        self._codec = FrameCodec(protocol)
        self._reading = anyio.ResourceGuard("receiving from")
        self._writing = anyio.ResourceGuard("sending to")
        self._lost: BaseException | None = None
        self._torn = False
        self._aborted = False
        self._received = received  # fed by the reader, when there is somebody to be woken

    async def receive(self) -> list[str | bytes]:
        """Return the whole messages of one read, at least one, in order.

        Cancelling is safe: a message is returned by this call or by the next one.

        Raises:
            anyio.EndOfStream: The peer sent CLOSE; ``close_code`` and ``close_reason`` say why,
                1005 if it gave no code (RFC 6455, 7.1.5).
            ConnectionLost: The connection ended without CLOSE (RFC 6455 calls it 1006).
            RemoteProtocolError: The peer broke the rules of RFC 6455, sent a message that is
                too large, or flooded us; the answering CLOSE waits to be sent.
            anyio.ClosedResourceError: :meth:`abort` was called.
            anyio.BusyResourceError: Another task is receiving.
        """
        with self._reading:
            if self._codec.has_messages or self._is_over():
                await anyio.lowlevel.checkpoint()
            else:
                await self._read()
            while not (self._codec.has_messages or self._is_over()):
                await self._read()
            # From the bytes' arrival to the return there is no await, so nothing is lost.
            if self._aborted or not self._codec.has_messages:
                self._end()
            return self._codec.take()

    async def send(self, batch: Sequence[str | bytes]) -> None:
        """Write the waiting control frames and then the messages, in one write.

        An empty batch writes the control frames alone. Cancelling is not safe: how much left is
        then unknown, and the connection counts as broken.

        Raises:
            LocalProtocolError: A text holds a lone surrogate; nothing was sent.
            ConnectionLost: The connection is gone, or the peer closed it.
            anyio.ClosedResourceError: We closed it.
            anyio.BusyResourceError: Another task is sending.
        """
        with self._writing:
            self._check_alive()
            if batch and not self._codec.is_open:
                await self._refuse()
            await self._write(self._codec.encode(batch))

    def outgoing(self) -> int:
        """Return how many bytes of control frames wait for the writer."""
        return len(self._codec.control)

    def ping(self) -> None:
        """Queue a ping and call ``wake``; any byte that comes back is the answer."""
        self._codec.ping()
        self._call_writer()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Send what waits and a CLOSE frame; do not wait for the peer's answer.

        Idempotent. The connection stays open for the answer; :meth:`abort` ends it. Cancelling
        is not safe: the connection then counts as broken.

        Args:
            code: 1000 to 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455, 7.4).
            reason: For people; cut to 123 bytes of UTF-8.

        Raises:
            LocalProtocolError: The code may not be sent; nothing happened.
            ConnectionLost: The connection was gone already.
            anyio.BusyResourceError: Another task is sending.
        """
        check_close_code(code)
        if self._aborted:
            await anyio.lowlevel.checkpoint()
            return
        with self._writing:
            self._check_alive()
            self._codec.shut(code, reason)
            await self._write(self._codec.encode(()))

    async def abort(self) -> None:
        """Close the connection at once, without CLOSE or TLS's farewell.

        Idempotent, never raises, and works in a cancelled scope too.
        """
        self._aborted = True
        # A shield of no duration: an outer cancellation is not raised here, and nothing waits.
        with anyio.move_on_after(0, shield=True):
            with contextlib.suppress(*_LOSS):
                await self._stream.aclose()
            await anyio.lowlevel.checkpoint()

    def _is_over(self) -> bool:
        return self._aborted or self._codec.has_ended or self._lost is not None

    def _end(self) -> NoReturn:
        if self._aborted:
            raise anyio.ClosedResourceError
        if self._codec.fault is not None:
            raise self._codec.fault.error()
        if self._codec.close is not None:
            raise anyio.EndOfStream
        raise self._loss() from self._lost

    def _loss(self) -> ConnectionLost:
        if self._codec.close is None:
            return ConnectionLost(
                "the connection ended without a CLOSE frame (1006): what was under way is "
                "unknown; open a new one",
            )
        return ConnectionLost(
            f"the peer closed the connection with {self.close_code} {self.close_reason}".rstrip(),
            code=self.close_code,
            reason=self.close_reason,
        )

    async def _read(self) -> None:
        if self._received:
            await anyio.lowlevel.checkpoint()
            data, self._received = self._received, b""
            self._feed(data)
            return
        try:
            data = await self._stream.receive(_READ_BYTES)
        except _LOSS as error:
            # Its frames hold this object, and this object would hold them.
            self._lost = error.with_traceback(None)
            await anyio.lowlevel.checkpoint()
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        if not data:
            return
        self.last_byte_at = now = anyio.current_time()
        self._codec.feed(data, now)
        if (close := self._codec.close) is not None:
            self.close_code, self.close_reason = int(close.code), close.reason
        self._call_writer()

    def _call_writer(self) -> None:
        if self._codec.control:
            self.wake()

    def _check_alive(self) -> None:
        if self._aborted:
            raise anyio.ClosedResourceError
        if self._torn:
            raise ConnectionLost(
                "an earlier send was cancelled or failed half-way, so the stream is torn: "
                "nothing more can be sent; open a new connection",
            )
        if self._lost is not None:
            raise self._loss() from self._lost

    async def _refuse(self) -> NoReturn:
        await self._write(self._codec.encode(()))
        if self._codec.close_sent:
            raise anyio.ClosedResourceError
        if self._codec.fault is not None:
            raise ConnectionLost(f"nothing was sent, since {self._codec.fault.message}")
        raise self._loss()

    async def _write(self, pieces: Iterable[bytes]) -> None:
        try:
            for piece in filter(None, pieces):
                self._torn = True  # until it is known to be whole: a cancelled write leaves it so
                await self._stream.send(piece)
                self.last_write_at = anyio.current_time()
        except _LOSS as error:
            if self._aborted:
                raise anyio.ClosedResourceError from error
            raise self._loss() from error
        if not self._torn:
            await anyio.lowlevel.checkpoint()
        self._torn = False
