"""What an end is called, from what is known when it comes."""

from collections.abc import Callable
from typing import Final, Literal, final

import anyio

from ..errors import RealtimeError, RemoteProtocolError
from ..protocol import RealtimeProtocol
from ..transports import ConnectionLost, Transport
from ._end import Closed, End, EndKind, is_expiry
from ._expiry import Expiry
from ._journal import SessionJournal

_CLOSE_NORMAL: Final = 1000
_CLOSE_INTERNAL: Final = 1011
CLOSE_TOO_SLOW: Final = 1008  # RFC 6455, 7.4.1: "policy", where no other code fits


@final
class Verdict:
    """Say how a session ended, and so what its users are told.

    Args:
        transport: The session's.
        protocol: The session's; what it was doing counts.
        expiry: How long the session may last.
        redact: Takes the key out of a text of the server's.
        journal: Where bugs are logged.

    Attributes:
        last_error: The server's error, if it was the last thing that it said.
    """

    def __init__(
        self,
        transport: Transport,
        protocol: RealtimeProtocol,
        expiry: Expiry,
        redact: Callable[[str], str],
        journal: SessionJournal,
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._expiry = expiry
        self._redact = redact
        self._journal = journal
        self.last_error: RealtimeError | None = None

    def ours(self, code: int | None, reason: str) -> End:
        """Say that we ended it; without a code, that we cut it off."""
        return End(
            EndKind.OURS,
            self._picture("client", code, reason),
            "this session is closed, by close() or because its `async with` block was left; "
            "connect again for a new one",
        )

    def by_server(self) -> End:
        """Judge the server's CLOSE."""
        code = self._transport.close_code
        reason = self._redact(self._transport.close_reason)
        closed = self._picture("server", code, reason)
        kind = EndKind.LOST
        if is_expiry(code, reason, closed.error) or self._expiry.is_over:
            kind = EndKind.EXPIRED
        elif code == _CLOSE_NORMAL and not self._protocol.turn_in_flight:
            kind = EndKind.CLEAN
        said = f": {reason[:200]!a}" if reason else ""
        message = f"the server closed the session with code {code}{said}{self._aftermath(closed)}"
        return End(kind, closed, message)

    def lost(self, error: Exception) -> End:
        """Judge a connection that broke."""
        # Its frames are the transport's, and hold what came last.
        bare = error.with_traceback(None)
        return self._broken("the connection broke without a CLOSE frame", bare)

    def dead(self, silence: float) -> End:
        """Judge a peer that does not even answer pings.

        Args:
            silence: How long nothing came, in seconds.
        """
        return self._broken(f"no byte came for {silence:.0f} s, and no answer to our pings")

    def violated(self, error: RemoteProtocolError) -> End:
        """Judge a server that broke the rules of the wire."""
        closed = self._picture("client", error.close_code, "")
        return End(EndKind.VIOLATION, closed, str(error))

    def too_slow(self, who: str, budget_bytes: int) -> End:
        """Judge a reader that did not keep up."""
        closed = self._picture("client", CLOSE_TOO_SLOW, "slow consumer")
        message = (
            f"{who} did not keep up with the server: more than {budget_bytes} bytes were waiting. "
            "Read in a task of its own and do slow work elsewhere, or raise `buffer_bytes`"
        )
        return End(EndKind.SLOW, closed, message)

    def bug(self, error: Exception) -> End:
        """Judge what should not have happened."""
        self._journal.bug(error)
        closed = self._picture("client", _CLOSE_INTERNAL, "")
        message = f"a bug in meshrt; please report it: {type(error).__name__}: {error}"
        return End(EndKind.BUG, closed, message, error)

    def _broken(self, what: str, error: Exception | None = None) -> End:
        closed = self._picture("network", None, "")
        expired = is_expiry(None, "", closed.error) or self._expiry.is_over
        kind = EndKind.EXPIRED if expired else EndKind.LOST
        # The transport's own words say the same again.
        why = "" if error is None or isinstance(error, ConnectionLost) else f": {error}"
        return End(kind, closed, f"{what}{self._aftermath(closed)}{why}", error)

    def _picture(
        self, initiator: Literal["client", "server", "network"], code: int | None, reason: str
    ) -> Closed:
        return Closed(
            initiator=initiator,
            code=code,
            reason=reason,
            last_byte_age=anyio.current_time() - self._transport.last_byte_at,
            error=self.last_error if initiator != "client" else None,
        )

    def _aftermath(self, closed: Closed) -> str:
        """Say what was cut, what the server objected to, and what to do."""
        turn = ", in the middle of a response" if self._protocol.turn_in_flight else ""
        error = f", after the error {str(closed.error)[:200]!a}" if closed.error else ""
        return f"{turn}{error}; connect again for a new session"
