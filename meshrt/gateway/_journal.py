"""What is logged of the gateway's clients: who was let in, who was not, and how it ended."""

import logging
from typing import Final

from .._journal import Journal

_journal: Final = Journal("meshrt.gateway")


def note_accepted(session_id: str, kind: str, model: str | None) -> None:
    """Log that a client has a session; one that transcribes has no model."""
    _journal.write(
        logging.INFO,
        "gateway.accepted",
        "session %(session_id)s began: %(kind)s, model %(model)s",
        session_id=session_id,
        kind=kind,
        model=model,
    )


def note_refused(status: int, code: str | None) -> None:
    """Log that a client was not let in: by an HTTP status, or by an event after 101."""
    _journal.write(
        logging.INFO,
        "gateway.refused",
        "a client was refused: HTTP %(status)d, code %(code)s",
        status=status,
        code=code,
    )


def note_forbidden(what: str, value: str) -> None:
    """Log that a request came from where none may: from a strange page, or under a strange name.

    Args:
        what: ``"origin"`` or ``"host"``.
        value: What the request says of it.
    """
    _journal.write(
        logging.INFO,
        "gateway.forbidden",
        "a client was refused: its %(header)s is %(value)s, which is not on the list",
        header=what,
        value=value,
    )


def note_closed(session_id: str, code: int | None, reason: str) -> None:
    """Log that a client's session is over; the code is that of its CLOSE, if it sent one."""
    _journal.write(
        logging.INFO,
        "gateway.closed",
        "session %(session_id)s ended: code %(code)s, reason %(reason)s",
        session_id=session_id,
        code=code,
        reason=reason,
    )


def note_violation(error: Exception) -> None:
    """Log that a client broke the rules of the WebSocket."""
    _journal.write(
        logging.INFO,
        "gateway.violated",
        "a client broke the rules of the WebSocket: %(reason)s",
        reason=str(error),
    )


def note_lost() -> None:
    """Log that a client went without a CLOSE before it had a session."""
    _journal.write(logging.DEBUG, "gateway.lost", "a client went without a CLOSE")


def note_not_taken(error: Exception) -> None:
    """Log that a client could not be taken from the port, such as for want of file descriptors."""
    _journal.write(
        logging.WARNING,
        "gateway.not_taken",
        "no client can be taken at the moment: %(reason)s; the gateway goes on trying",
        reason=str(error.__cause__ or error),
    )


def note_bug(sentence: str, error: Exception) -> None:
    """Log what should not have happened, here or in the model or the voice."""
    _journal.write(logging.ERROR, "gateway.bug", sentence, error)


def note_mute(program: str, problem: str) -> None:
    """Log that the voice can't speak."""
    _journal.write(
        logging.WARNING,
        "gateway.mute",
        "%(program)s can't speak (%(reason)s); the gateway plays the caller's speech back instead",
        program=program,
        reason=problem,
    )
