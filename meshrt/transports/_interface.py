"""What a session asks of a transport, and nothing more."""

from collections.abc import Callable, Sequence
from typing import Protocol


class Transport(Protocol):
    """One stream of whole messages, already connected.

    Two tasks use it at a time: the session's reader calls :meth:`receive`, its writer calls
    :meth:`send` and :meth:`aclose`. Control frames never leave the transport.

    Attributes:
        wake: Set by the session; the transport calls it, without arguments and from the reader's
            step, whenever control bytes are waiting, so that the writer comes and sends them.
        last_byte_at: When a byte last came, on the clock of ``anyio.current_time()``, in seconds.
        last_write_at: When the other side, or what is between, last took bytes of ours, those of
            a part of a long message included; on the same clock.
        close_code: The code of the peer's CLOSE frame; ``None`` until one came.
        close_reason: Its reason.
        subprotocol: What the two sides agreed on, or ``None``.
    """

    wake: Callable[[], None]
    last_byte_at: float
    last_write_at: float
    close_code: int | None
    close_reason: str
    subprotocol: str | None

    async def receive(self) -> list[str | bytes]:
        """Return the whole messages of one read, at least one, in order.

        Cancelling is safe: a message is returned by this call or by the next one.

        Raises:
            anyio.EndOfStream: The peer sent CLOSE; ``close_code`` and ``close_reason`` say why.
            ConnectionLost: The connection ended without CLOSE.
            RemoteProtocolError: The peer broke the rules of the transport.
            anyio.ClosedResourceError: We closed it.
        """
        ...

    async def send(self, batch: Sequence[str | bytes]) -> None:
        """Write the waiting control bytes and then the messages, in one write.

        Only the writer task calls this. Cancelled or failed, the connection is marked broken
        and every later call raises.

        Raises:
            LocalProtocolError: A text can't be encoded as UTF-8; nothing was sent.
            ConnectionLost: The connection is gone; how much of the batch left is unknown.
            anyio.ClosedResourceError: We closed it; nothing of the batch was sent.
        """
        ...

    def outgoing(self) -> int:
        """Return how many control bytes are waiting for the writer."""
        ...

    def ping(self) -> None:
        """Queue a ping and call ``wake``; any byte that comes back is the answer."""
        ...

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Send what is waiting and a CLOSE frame; the reader then sees the peer's answer.

        It does not wait for that answer and leaves the connection open for it: :meth:`abort`
        ends it. Idempotent. Only the writer task calls this.

        Raises:
            LocalProtocolError: The code is not one that may be sent; nothing happened.
            ConnectionLost: The connection was gone already.
        """
        ...

    async def abort(self) -> None:
        """Close the connection at once, without ceremony; idempotent, never raises.

        It does its work under cancellation too.
        """
        ...
