"""The short way for the one event that is most of all traffic: audio from the server.

A parser that looks at every character of the base64, to find where the string ends and whether it
has escapes, costs more than decoding it. Here the base64 is cut out first, decoded where it lies,
and the short rest is parsed. Where anything is unusual, the general way decides; a property test
holds the two equal on every input.
"""

from typing import Final

import msgspec
import pybase64

from ..events import BETA_NAMES, ResponseOutputAudioDelta
from ._checks import depth_problem

_KEY: Final = '"delta"'
_NAMES: Final = frozenset(
    {ResponseOutputAudioDelta.type}
    | {beta for beta, name in BETA_NAMES.items() if name == ResponseOutputAudioDelta.type}
)
_SIGN: Final = 'audio.delta"'
_HEAD: Final = 160  # where the type stands, if it stands first, with room for an id before it
_PLACEHOLDER: Final = "AAAA"


class _Head(msgspec.Struct):
    type: str


_head = msgspec.json.Decoder(_Head)
_event = msgspec.json.Decoder(ResponseOutputAudioDelta)


def read_audio_delta(text: str) -> ResponseOutputAudioDelta | None:
    """Return the event if the text is an ordinary audio delta; ``None`` leaves it to others."""
    if text.find(_SIGN, 0, _HEAD) < 0:
        return None
    key = text.find(_KEY)
    start = text.find('"', key + len(_KEY)) + 1
    end = text.find('"', start)
    if min(key, start, end) < 1 or text[key + len(_KEY) : start - 1].strip() != ":":
        return None
    rest = f"{text[:start]}{_PLACEHOLDER}{text[end:]}"
    # One such key and no escapes: the string that was cut out is the event's own, or another
    # object's, and then the event has none and does not fit its class.
    if rest.count(_KEY) != 1 or "\\" in rest or depth_problem(rest):
        return None
    return _read(rest, text[start:end])


def _read(rest: str, encoded: str) -> ResponseOutputAudioDelta | None:
    try:
        if _head.decode(rest).type not in _NAMES:
            return None
        event = _event.decode(rest)
        audio = pybase64.b64decode(encoded, validate=True)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    object.__setattr__(event, "delta", audio)
    return event
