"""A session over trio-websocket: a connection that you have, or a new one.

trio-websocket parses and makes the frames; the rest is as with the other transports: one task
writes, a cancelled write marks the connection broken, a peer that does not answer keeps nobody
waiting. Importing this needs the extra ``trio``.
"""

import contextlib
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NoReturn, final

import anyio
import anyio.abc
import anyio.lowlevel
from websockets.frames import Close, CloseCode, Frame, Opcode

from .._extras import needs
from .._secret import Secret
from ..errors import ConfigurationError
from ._close_codes import check_close_code, cut_reason
from ._connect import MAX_MESSAGE_BYTES, agree
from ._endpoint import Endpoint
from ._errors import ConnectionLost
from ._frames import Fault, utf8
from ._opening import Auth, Opening
from ._proxy import Proxy

with needs("trio"):
    import trio
    from trio_websocket import ConnectionClosed, WebSocketConnection

    from ._trio_live import live
    from ._trio_tap import Tap, TrioStream

__all__ = ("TrioWebSocketTransport", "connect_trio_websocket")

_WRITE_BYTES: Final = 128 * 1024  # a long message goes out in pieces: it is seen to get on
_READER_GRACE_S: Final = 1.0  # what trio-websocket's reader needs to see that its stream is closed
_TOO_BIG: Final = "Exceeded maximum message size"  # trio-websocket's own words for a 1009 of its
_LOSS: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


def _nobody() -> None:
    """Stand in for ``wake`` until a session sets its own."""


@final
class TrioWebSocketTransport:
    """Carry messages over a trio-websocket connection; see :class:`~meshrt.transports.Transport`.

    Until its first use the connection is left as it is. From then on it belongs to this object:
    use no method of its any more, and end with :meth:`abort`, which closes the socket. Its
    ``aclose()``, which ``open_websocket`` calls at the end of its block, then does nothing.

    It takes the place of the connection's stream (``_stream``, which trio-websocket does not
    promise), since that alone shows every byte that comes, and closes the socket in any state.

    What it does not keep of the contract: a read is one message; a CLOSE of the peer, or that it
    broke the rules, is noticed when what came before it has been received; a peer that floods us
    with control frames is not cut off.

    Args:
        connection: A connection after its handshake, of a client or of a server. Its reader runs
            in the nursery that it was opened in, and that has to live on as long.

    Raises:
        ConfigurationError: This is no connection of trio-websocket's.
    """

    def __init__(self, connection: WebSocketConnection) -> None:
        self._tap = _tap_of(connection)
        self._connection = connection
        self.wake: Callable[[], None] = _nobody
        self.last_byte_at: float = anyio.current_time()
        self.last_write_at: float = self.last_byte_at
        self.close_code: int | None = None
        self.close_reason: str = ""
        self.subprotocol: str | None = connection.subprotocol
        self._reading = anyio.ResourceGuard("receiving from")
        self._writing = anyio.ResourceGuard("sending to")
        self._is_taken_over = False
        self._is_deaf = False
        self._fault: Fault | None = None
        self._has_ended = False
        self._close_sent = False
        self._is_answered = False  # the peer's CLOSE, by trio-websocket, which has read it
        self._torn = False
        self._aborted = False
        self._tap.heard = self._note_bytes

    async def receive(self) -> list[str | bytes]:
        """Return the next message, alone in a list.

        Cancelling is safe: a message is returned by this call or by the next one.

        Raises:
            anyio.EndOfStream: The peer sent CLOSE; ``close_code`` and ``close_reason`` say why,
                1005 if it gave no code (RFC 6455, 7.1.5).
            ConnectionLost: The connection ended without CLOSE (RFC 6455 calls it 1006).
            RemoteProtocolError: The peer broke the rules of RFC 6455 or sent a message that is
                too large; the answering CLOSE waits to be sent.
            anyio.ClosedResourceError: :meth:`abort` was called.
            anyio.BusyResourceError: Another task is receiving.
        """
        with self._reading:
            self._take_over()
            message = await self._next()
            if message is None or self._aborted:
                self._end()
            if self._is_deaf:
                self.last_byte_at = anyio.current_time()
            return [message]

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
            await anyio.lowlevel.checkpoint_if_cancelled()
            self._check_alive()
            self._take_over()
            for message in batch:
                if isinstance(message, str):
                    utf8(message)
            if batch and not self._is_open():
                await self._refuse()
            self._torn = True  # until it is known to be whole: a cancelled write leaves it so
            for message in batch:
                await self._frame(message)
            await self._flush()

    def outgoing(self) -> int:
        """Return how many bytes of control frames wait for the writer."""
        return len(self._tap.control)

    def ping(self) -> None:
        """Queue a ping and call ``wake``; any byte that comes back is the answer."""
        self._take_over()
        if self._is_open():
            self._queue(Opcode.PING, b"")

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
            self._take_over()
            self._shut(code, reason)
            await self._flush()

    async def abort(self) -> None:
        """Close the socket at once, without CLOSE or TLS's farewell.

        Idempotent, never raises, and works in a cancelled scope too. It waits until
        trio-websocket's reader has seen it, a second at the most.
        """
        self._aborted = True
        # A shield of no duration: an outer cancellation is not raised here, and nothing waits.
        with anyio.move_on_after(0, shield=True):
            with contextlib.suppress(*_LOSS):
                await self._tap.cut()
            await anyio.lowlevel.checkpoint()
        # Its reader may wait for room in its queue, and would for ever.
        with anyio.move_on_after(_READER_GRACE_S, shield=True):
            while await self._next() is not None:
                pass

    def _take_over(self) -> None:
        if self._is_taken_over:
            return
        self._is_taken_over = True
        self._tap.due = self._call_writer
        self._is_answered = self._tap.has_closed
        self._is_deaf = not self._tap.has_read
        if self._is_deaf and self._is_open():
            # A read is under way that passes the tap by; this brings something that ends it.
            self._queue(Opcode.PING, b"")

    def _note_bytes(self) -> None:
        self._is_deaf = False
        self.last_byte_at = anyio.current_time()

    def _call_writer(self) -> None:
        self.wake()

    async def _next(self) -> str | bytes | None:
        try:
            return await self._connection.get_message()
        except ConnectionClosed:
            if not (self._has_ended or self._aborted):
                self._judge()
            await anyio.lowlevel.checkpoint()
            return None

    def _judge(self) -> None:
        """Say why trio-websocket has no more messages: it tells a CLOSE from nothing else."""
        closed = self._connection.closed
        if closed is None or closed.code == CloseCode.ABNORMAL_CLOSURE:
            pass
        elif not self._tap.has_closed:  # it answers every CLOSE of a peer, and no broken rule
            self._fault = _fault("broke the WebSocket protocol", closed.code)
            self._shut(closed.code, "the WebSocket protocol was broken")
        elif (closed.reason or "").startswith(_TOO_BIG):
            self._fault = _fault("sent a message larger than the limit", closed.code)
        else:
            self.close_code, self.close_reason = int(closed.code), closed.reason or ""
        self._has_ended = True

    def _end(self) -> NoReturn:
        if self._aborted:
            raise anyio.ClosedResourceError
        if self._fault is not None:
            raise self._fault.error()
        if self.close_code is not None:
            raise anyio.EndOfStream
        raise self._loss() from self._tap.lost

    def _loss(self) -> ConnectionLost:
        closed = self._connection.closed
        if closed is None or closed.code == CloseCode.ABNORMAL_CLOSURE:
            return ConnectionLost(
                "the connection ended without a CLOSE frame (1006): what was under way is "
                "unknown; open a new one",
            )
        reason = closed.reason or ""
        return ConnectionLost(
            f"the peer closed the connection with {closed.code:d} {reason}".rstrip(),
            code=int(closed.code),
            reason=reason,
        )

    def _is_open(self) -> bool:
        return not (self._close_sent or self._aborted) and self._connection.closed is None

    def _check_alive(self) -> None:
        if self._aborted:
            raise anyio.ClosedResourceError
        if self._torn:
            raise ConnectionLost(
                "an earlier send was cancelled or failed half-way, so the stream is torn: "
                "nothing more can be sent; open a new connection",
            )
        if self._has_ended and self._fault is None and self.close_code is None:
            raise self._loss() from self._tap.lost

    async def _refuse(self) -> NoReturn:
        await self._flush()
        if self._aborted or (self._close_sent and self._fault is None):
            raise anyio.ClosedResourceError
        if self._fault is not None:
            raise ConnectionLost(f"nothing was sent, since {self._fault.message}")
        raise self._loss()

    async def _frame(self, message: str | bytes) -> None:
        try:
            await self._connection.send_message(message)
        except ConnectionClosed:  # while the frames before this one were made
            self._tap.drop_messages()
        else:
            return
        await self._refuse()

    async def _flush(self) -> None:
        data = self._tap.take()
        self._is_answered = self._tap.has_closed
        if not data:
            self._torn = False
            await anyio.lowlevel.checkpoint()
            return
        self._torn = True
        try:
            for start in range(0, len(data), _WRITE_BYTES):
                await self._tap.write(data[start : start + _WRITE_BYTES])
                self.last_write_at = anyio.current_time()
        except _LOSS as error:
            if self._aborted:
                raise anyio.ClosedResourceError from error
            raise self._loss() from error
        self._torn = False

    def _queue(self, opcode: Opcode, payload: bytes) -> None:
        frame = Frame(opcode, payload).serialize(mask=self._connection.is_client)
        self._tap.control.add([frame])
        self._call_writer()

    def _shut(self, code: int, reason: str) -> None:
        if not (self._close_sent or self._is_answered or self._has_ended):
            # Of a CLOSE that came and was not received yet nobody knows: this is the answer.
            self._queue(Opcode.CLOSE, Close(code, cut_reason(reason)).serialize())
        # What trio-websocket does not know of, it does not wait for, and answers in vain.
        self._tap.is_shut = True
        self._close_sent = True


def _fault(deed: str, code: int) -> Fault:
    return Fault(f"the peer {deed}, so the connection can't go on ({code:d})", code)


def _tap_of(connection: WebSocketConnection) -> Tap:
    if not isinstance(connection, WebSocketConnection):
        raise ConfigurationError(
            "TrioWebSocketTransport takes a trio_websocket.WebSocketConnection, such as "
            "open_websocket() gives"
        )
    stream = connection._stream
    if isinstance(stream, Tap):
        return stream
    tap = Tap(TrioStream(stream))
    # A CLOSE of the peer's that came before was answered on the stream below.
    tap.has_closed = connection.closed is not None
    connection._stream = tap
    return tap


async def connect_trio_websocket(
    nursery: trio.Nursery | anyio.abc.TaskGroup,
    endpoint: Endpoint,
    *,
    key: Secret | None = None,
    auth: Auth = "query",
    subprotocols: Sequence[str] = ("openai-realtime",),
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> TrioWebSocketTransport:
    """Open a connection as :func:`~meshrt.transports.connect_websocket` does, for trio-websocket.

    TCP, the proxy, TLS and the handshake are the same code with the same errors; trio-websocket
    gets the stream when the server has agreed, and so never sees the key.

    Its reader lives in ``nursery``, whose block does not end before ``abort()`` was called, or
    before it is cancelled, which closes the socket too. There is no timeout here: put one
    deadline around the call. Cancelling is safe: nothing stays open.

    Args:
        nursery: Where the connection lives: Trio's, or a task group of AnyIO's.
        endpoint: Where to.
        key: The API key, or ``None`` to send none.
        auth: How the key is sent; see :func:`~meshrt.transports.connect_websocket`.
        subprotocols: What to offer, in order of preference.
        headers: Further headers; ``User-Agent`` and ``X-MeshAPI-SDK`` replace ours.
        ssl_context: Whom to trust; ``None`` builds
            :func:`~meshrt.transports.default_ssl_context`.
        proxy: Through whom; ``None`` connects directly.
        max_message_bytes: The largest message to accept; a larger one is answered with a close
            1009. trio-websocket counts the characters of a text.

    Returns:
        The transport; close it with ``aclose()`` and always with ``abort()``.

    Raises:
        ConfigurationError: An argument can't be used, or this is not Trio; nothing was opened.
        HandshakeRejected: The server answered with a status other than 101.
        ProxyError: The proxy could not be reached, or let us through to no server.
        ConnectError: No name, no connection, no TLS, or no WebSocket at the other end.
    """
    opening = Opening(
        endpoint=endpoint, key=key, auth=auth, subprotocols=subprotocols, headers=headers
    )
    del headers  # they may hold a key, and a traceback shows our locals
    if not trio.lowlevel.in_trio_run():
        raise ConfigurationError(
            "trio-websocket runs on Trio alone, and this is asyncio: leave out "
            'transport="trio-websocket", or run your program with '
            'anyio.run(main, backend="trio")'
        )
    agreeing = partial(agree, opening, proxy, ssl_context, max_message_bytes)
    opened = partial(live, agreeing, max_message_bytes, opening.redact)
    return TrioWebSocketTransport(await nursery.start(opened, name="trio-websocket"))
