"""Take the key out of an error of the server's: some repeat what they were sent.

Errors are what we raise and log. All else is the user's own data, and stays as it came.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from ..events import Error
from ..protocol import AnyEvent, Settled, decode, encode

Redact: TypeAlias = Callable[[str], str]


def without_key(event: Error, text: str, redact: Redact) -> tuple[AnyEvent, str]:
    """Return an error and its text as they are, unless it repeats the key."""
    # By its values: in the text a letter of the key may be written as an escape.
    clean = _clean(event.data, redact)
    if clean == event.data:
        return event, text
    text = encode(clean)
    return decode(text), text


def settled_without_key(
    settled: list[Settled], before: AnyEvent, after: AnyEvent
) -> list[Settled]:
    """Let a command be answered by the error that has no key in it."""
    if before is after:
        return settled
    return [attrs.evolve(one, event=after) if one.event is before else one for one in settled]


def _clean(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(name): _clean(item, redact) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, redact) for item in value]
    return value
