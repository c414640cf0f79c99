"""What we refuse to send, and what we only warn of: strict where certain, mild where it grows."""

import math
import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from ..errors import LocalProtocolError

MAX_APPEND_BYTES: Final = 15 * 2**20
"""Audio in one append, in bytes: the documented limit of the server."""
MAX_EVENT_ID: Final = 512
"""Characters of an ``event_id``: the one constraint that the specification puts on it."""
MAX_DEPTH: Final = 100
"""Objects and lists inside one another, in both directions: deeper than any object of this wire,
and far from Python's own limit, which depends on who calls."""
_SMALL_INT_BITS: Final = 1000  # Python writes these, whatever its limit is set to
_NO_BRACKETS: Final = re.compile(r"""[^][{}"]+|"[^"\\]*(?:\\.[^"\\]*)*"|\"""", re.DOTALL)
_STEPS: Final = {"{": 1, "[": 1, "}": -1, "]": -1}

_GA_TWINS: Final = {
    "session.update": {
        "modalities": "output_modalities",
        "voice": "audio.output.voice",
        "speed": "audio.output.speed",
        "input_audio_format": "audio.input.format",
        "output_audio_format": "audio.output.format",
        "input_audio_transcription": "audio.input.transcription",
        "input_audio_noise_reduction": "audio.input.noise_reduction",
        "turn_detection": "audio.input.turn_detection",
        "max_response_output_tokens": "max_output_tokens",
        "temperature": None,
    },
    "response.create": {
        "modalities": "output_modalities",
        "voice": "audio.output.voice",
        "output_audio_format": "audio.output.format",
        "max_response_output_tokens": "max_output_tokens",
        "temperature": None,
    },
}
BETA_FIELDS: Final = frozenset(_GA_TWINS["session.update"])
"""Fields that a session had at its top on the beta wire, and has no longer."""
_BODY: Final = {"session.update": "session", "response.create": "response"}


def json_problem(value: object) -> str | None:
    """Say what in a value is not JSON, with its path; ``None`` if all of it is."""
    return next(_json_problems(value, "$", 0), None)


def depth_problem(text: str) -> str | None:
    """Say that a JSON text is nested too deep; ``None`` if it is not."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return None
    brackets = _NO_BRACKETS.sub("", text)
    deepest = max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
    return None if deepest <= MAX_DEPTH else f"it is nested deeper than {MAX_DEPTH} levels"


def beta_problem(mapping: Mapping[str, Any]) -> str | None:
    """Name the GA field of each beta field in a ``session.update`` or ``response.create``."""
    wire_name = mapping["type"]
    if wire_name == "transcription_session.update":
        return f'{wire_name} is now `session.update`, with a session whose type is "transcription"'
    body = mapping.get(_BODY.get(wire_name, ""))
    twins = _GA_TWINS.get(wire_name, {})
    old = [name for name in body if name in twins] if isinstance(body, Mapping) else []
    if not old:
        return None
    advice = "; ".join(_advice(name, twins[name]) for name in old)
    return f"{wire_name} has the shape of the beta wire, which the server refuses: {advice}"


def missing_session_type(mapping: Mapping[str, Any]) -> str | None:
    """Say that a ``session.update`` lacks the ``type`` that its session needs."""
    session = mapping.get("session")
    if mapping["type"] != "session.update" or not isinstance(session, Mapping):
        return None
    if isinstance(session.get("type"), str):
        return None
    return 'the session of a session.update needs a `type`: "realtime" or "transcription"'


def unknown_fields(given: object, known: object, path: str = "$") -> Iterator[str]:
    """Yield the paths in a mapping as given that the typed reading of it does not have."""
    if isinstance(given, Mapping) and isinstance(known, Mapping):
        for name, value in given.items():
            if name in known:
                yield from unknown_fields(value, known[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}"
    elif isinstance(given, list | tuple) and isinstance(known, list):
        for index, pair in enumerate(zip(given, known, strict=False)):
            yield from unknown_fields(*pair, f"{path}[{index}]")


def check_audio(audio: object, *, whole_samples: bool) -> int:
    """Refuse an append that is too long, or that would tear a sample apart.

    Args:
        audio: The bytes.
        whole_samples: Whether the format has two bytes per sample.

    Returns:
        How long it is, in bytes.

    Raises:
        LocalProtocolError: It is too long, or odd where it must not be, or is not bytes.
    """
    if not isinstance(audio, bytes | bytearray | memoryview):
        raise LocalProtocolError(f"nothing was sent: audio is bytes, and not {_name(audio)}")
    size = memoryview(audio).nbytes
    if size > MAX_APPEND_BYTES:
        raise LocalProtocolError(
            f"nothing was sent: {size} bytes of audio in one append, and the server takes "
            f"{MAX_APPEND_BYTES} at most; send_audio() splits longer audio by itself"
        )
    if whole_samples and size % 2:
        raise LocalProtocolError(
            f"nothing was sent: {size} bytes are an odd number, and a PCM16 sample has two; keep "
            "the last byte and put it in front of the next chunk"
        )
    return size


def event_id_problem(event_id: object) -> str | None:
    """Say why an ``event_id`` can't be one; ``None`` if it can, or is absent."""
    if event_id is None or (isinstance(event_id, str) and 0 < len(event_id) <= MAX_EVENT_ID):
        return None
    return f"an event_id is text of 1 to {MAX_EVENT_ID} characters"


def _is_written(number: int) -> bool:
    """Tell whether Python writes so many digits; it reads no more either."""
    try:
        return bool(str(number))
    except ValueError:
        return False


def _hint(value: object) -> str:
    """Say what to write where a typed value stands in a mapping."""
    if not hasattr(value, "__attrs_attrs__"):
        return ""
    return ": a typed value goes into a typed event, such as SessionUpdate(session=…)"


def _name(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


def _advice(name: str, twin: str | None) -> str:
    return f"`{name}` is now `{twin}`" if twin else f"`{name}` is no longer there"


def _json_problems(value: object, path: str, depth: int) -> Iterator[str]:
    if not isinstance(value, Mapping | list | tuple):
        yield from _scalar_problems(value, path)
    elif depth >= MAX_DEPTH:
        yield f"it is nested deeper than {MAX_DEPTH} levels at {path[:80]}"
    elif isinstance(value, Mapping):
        yield from _mapping_problems(value, path, depth)
    else:
        for index, item in enumerate(value):
            yield from _json_problems(item, f"{path}[{index}]", depth + 1)


def _mapping_problems(value: Mapping[Any, Any], path: str, depth: int) -> Iterator[str]:
    for key, item in value.items():
        if not isinstance(key, str):
            yield f"a key at {path} is {type(key).__name__} and not text"
        else:
            yield from _scalar_problems(key, path)
            yield from _json_problems(item, f"{path}.{key}", depth + 1)


def _scalar_problems(value: object, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
            yield f"the text at {path} holds a lone surrogate, which is no character"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{value} at {path} is not a JSON number"
    elif isinstance(value, int):
        if value.bit_length() > _SMALL_INT_BITS and not _is_written(value):
            yield f"the integer at {path} has more digits than any server reads"
    elif value is not None:
        yield f"{type(value).__name__} at {path} is not JSON{_hint(value)}"
