"""What is logged of a connection: that it is there, in how long, or why it is not."""

import logging
from typing import Final, final

import anyio

from .._journal import Field, Journal
from ._errors import ConnectError, HandshakeRejected
from ._opening import Opening

_journal: Final = Journal("meshrt.transports")


@final
class Phases:
    """How long each step of connecting took, for the log."""

    def __init__(self) -> None:
        self._at = anyio.current_time()
        self._ms: dict[str, float] = {}

    def done(self, phase: str) -> None:
        """Note that a step is done, and that the next one begins."""
        now = anyio.current_time()
        self._ms[phase] = round((now - self._at) * 1000, 1)
        self._at = now

    def took(self, phase: str) -> float | None:
        """Return how long a step took, in milliseconds; ``None`` if there was none."""
        return self._ms.get(phase)


def note_opened(opening: Opening, subprotocol: str | None, phases: Phases) -> None:
    """Log that there is a WebSocket."""
    _journal.write(
        logging.DEBUG,
        "connection.opened",
        "connected to %(host)s port %(port)s, subprotocol %(subprotocol)s: TCP %(tcp_ms)s ms, "
        "TLS %(tls_ms)s ms, handshake %(handshake_ms)s ms",
        host=opening.endpoint.host,
        port=opening.endpoint.port,
        subprotocol=subprotocol,
        tcp_ms=phases.took("tcp"),
        tls_ms=phases.took("tls"),
        handshake_ms=phases.took("handshake"),
    )


def note_failed(opening: Opening, error: ConnectError) -> None:
    """Log that there is none: the server's answer, or what kept us from having one."""
    where: dict[str, Field] = {"host": opening.endpoint.host, "port": opening.endpoint.port}
    if isinstance(error, HandshakeRejected):
        _journal.write(
            logging.INFO,
            "connection.refused",
            "%(host)s port %(port)s refused the session: HTTP %(status)s, code %(code)s, "
            "request %(request_id)s",
            **where,
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        )
    else:
        _journal.write(
            logging.INFO,
            "connection.failed",
            "no connection to %(host)s port %(port)s: %(reason)s",
            **where,
            reason=str(error),
        )
