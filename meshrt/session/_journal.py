"""What is logged of a session: its beginning, its end, each event, and what is lost."""

import logging
from collections.abc import Callable, Mapping
from typing import Final, final

import anyio

from .._journal import Field, Journal
from ..errors import RealtimeError
from ..events import UnknownEvent
from ..protocol import AnyEvent, Prepared, RealtimeProtocol, decode
from ._end import End
from ._size import wire_bytes

_sessions: Final = Journal("meshrt.session")
_events: Final = Journal("meshrt.events")
_IN: Final = "in: %(type)s %(event_id)s, %(bytes)d bytes"
_OUT: Final = "out: %(type)s %(event_id)s, %(bytes)d bytes"


@final
class SessionJournal:
    """Tell the log of one session; never of what is said in it.

    Args:
        protocol: The session's, for its id.
        redact: Takes the key out of a text of the server's, which may repeat it.
    """

    def __init__(self, protocol: RealtimeProtocol, redact: Callable[[str], str]) -> None:
        self._protocol = protocol
        self._redact = redact
        self._began_at = anyio.current_time()
        # Asked once an event and direction: where nobody listens, nothing else is done.
        self._is_loud = _events.logger.isEnabledFor

    def greeted(self) -> None:
        """Say that there is a session."""
        session = self._protocol.session
        model = getattr(session, "model", None)
        self._say(
            logging.INFO,
            "session.greeted",
            "session %(session_id)s began, with %(model)s",
            model=model if isinstance(model, str) else None,
        )

    def refused(self, error: RealtimeError) -> None:
        """Say that the server let us in only to tell us that there is no session."""
        self._say(
            logging.INFO,
            "session.refused",
            "the server refused the session after 101: code %(code)s, request %(request_id)s",
            status=101,
            code=error.code,
            request_id=error.request_id,
        )

    def ended(self, end: End) -> None:
        """Say who ended the session, and how."""
        closed = end.closed
        self._say(
            logging.INFO,
            "session.ended",
            "session %(session_id)s ended (%(kind)s) by the %(initiator)s, after %(age_s).1f s: "
            "code %(code)s, reason %(reason)s, the last byte %(last_byte_age_s).1f s ago",
            kind=end.kind.value,
            initiator=closed.initiator,
            code=closed.code,
            reason=closed.reason,
            age_s=anyio.current_time() - self._began_at,
            last_byte_age_s=closed.last_byte_age,
        )

    def unsent(self, count: int, end: End) -> None:
        """Say that events were queued and will never be sent."""
        self._say(
            logging.WARNING,
            "events.unsent",
            "%(count)d queued events were not sent: %(reason)s",
            count=count,
            reason=end.message,
        )

    def unclaimed(self, error: RealtimeError) -> None:
        """Say that the server reported an error, to nobody."""
        self._say(
            logging.WARNING,
            "error.unclaimed",
            "the server reported an error: %(error)s",
            error=str(error),
            code=error.code,
            event_id=error.event_id,
            request_id=error.request_id,
        )

    def bug(self, error: Exception) -> None:
        """Say that something happened that should not."""
        self._say(logging.ERROR, "meshrt.bug", "a bug in meshrt; please report it", error)

    def came(self, event: AnyEvent, size: int) -> None:
        """Say that an event came, if anybody wants to know."""
        if self._is_loud(logging.DEBUG):
            self._event("event.in", _IN, event.type, _id_of(event), size)

    def goes(self, prepared: Prepared) -> None:
        """Say that an event is queued, if anybody wants to know."""
        if self._is_loud(logging.DEBUG):
            size = wire_bytes(prepared.text)
            self._event("event.out", _OUT, prepared.type, prepared.event_id, size)

    def goes_by_itself(self, text: str) -> None:
        """Say that an event is queued which had waited for its turn, if anybody wants to know."""
        if self._is_loud(logging.DEBUG):
            event = decode(text)
            self._event("event.out", _OUT, event.type, _id_of(event), wire_bytes(text))

    def _event(
        self, record: str, sentence: str, type_: str, event_id: str | None, size: int
    ) -> None:
        fields = {"session_id": self._protocol.session_id, "type": type_, "event_id": event_id}
        _events.write(logging.DEBUG, record, sentence, bytes=size, **self._clean(fields))

    def _say(
        self,
        level: int,
        record: str,
        sentence: str,
        error: Exception | None = None,
        /,
        **fields: Field,
    ) -> None:
        fields = {"session_id": self._protocol.session_id, **fields}
        _sessions.write(level, record, sentence, error, **self._clean(fields))

    def _clean(self, fields: Mapping[str, Field]) -> dict[str, Field]:
        """Take the key out, also where a server hides it in a name or an id."""
        return {
            name: self._redact(value) if isinstance(value, str) else value
            for name, value in fields.items()
        }


def _id_of(event: AnyEvent) -> str | None:
    if isinstance(event, UnknownEvent):
        event_id = event.data.get("event_id")
    else:
        event_id = getattr(event, "event_id", None)
    return event_id if isinstance(event_id, str) else None
