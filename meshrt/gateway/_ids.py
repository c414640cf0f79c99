"""Ids that look like the real server's: a word and 21 characters that nobody guesses."""

import secrets
import string
from typing import Final

_SIGNS: Final = string.ascii_letters + string.digits
_LENGTH: Final = 21


def new_id(word: str) -> str:
    """Return a new id, such as ``sess_4hZ…``."""
    return f"{word}_{''.join(secrets.choice(_SIGNS) for _ in range(_LENGTH))}"


def new_event_id() -> str:
    """Return a new id for an event."""
    return new_id("event")
