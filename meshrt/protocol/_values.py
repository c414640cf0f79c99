"""The words and ranges of sessions and responses that are known; the server decides on others."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

_MAX_OUTPUT_TOKENS: Final = 4096
_MAX_PAIRS: Final = 16
_MAX_KEY: Final = 64  # characters
_MAX_VALUE: Final = 512  # characters
_EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh")


@attrs.frozen
class KnownValues:
    """What a field is known to hold, beyond its type."""

    text: str
    """For people."""
    kinds: tuple[type, ...]
    """Of values of which type it is said; others are another's to judge."""
    has: Callable[[Any], bool]
    """Whether a value of such a type is among them."""

    def allows(self, value: object) -> bool:
        """Tell whether nothing is to be said of a value."""
        return not isinstance(value, self.kinds) or self.has(value)


_TEXT: Final = (str,)
_NUMBER: Final = (int, float)
_LIST: Final = (list, tuple)


def _words(*words: str) -> KnownValues:
    """Know some texts; what is no text has fields of its own that say what it is."""
    *others, last = (f'"{word}"' for word in words)
    text = f"{', '.join(others)} or {last}" if others else last
    return KnownValues(text, _TEXT, words.__contains__)


def _range(low: float, high: float) -> KnownValues:
    return KnownValues(f"{low} to {high}", _NUMBER, lambda value: low <= value <= high)


def _are_metadata(value: Any) -> bool:
    return len(value) <= _MAX_PAIRS and all(
        len(key) <= _MAX_KEY and isinstance(text, str) and len(text) <= _MAX_VALUE
        for key, text in value.items()
    )


def _is_token_limit(value: Any) -> bool:
    return value == "inf" if isinstance(value, str) else 1 <= value <= _MAX_OUTPUT_TOKENS


_FORMAT: Final = {
    "format.type": _words("audio/pcm", "audio/pcmu", "audio/pcma"),
    "format.rate": KnownValues("24000", _NUMBER, lambda value: value == 24_000),  # noqa: PLR2004
}
_OUTPUT: Final = {f"audio.output.{name}": known for name, known in _FORMAT.items()}
_INPUT: Final = {
    **_FORMAT,
    "transcription.delay": _words(*_EFFORTS),
    "transcription.languages": KnownValues("one at least", _LIST, bool),
    "noise_reduction.type": _words("near_field", "far_field"),
    "turn_detection.type": _words("server_vad", "semantic_vad"),
    "turn_detection.eagerness": _words("low", "medium", "high", "auto"),
    "turn_detection.threshold": _range(0, 1),
    "turn_detection.idle_timeout_ms": _range(5000, 30_000),
}
_BOTH: Final = {
    **_OUTPUT,
    "output_modalities": KnownValues(
        '["audio"] or ["text"]', _LIST, lambda value: list(value) in (["audio"], ["text"])
    ),
    "max_output_tokens": KnownValues('1 to 4096 or "inf"', (str, *_NUMBER), _is_token_limit),
    "reasoning.effort": _words(*_EFFORTS),
    "tool_choice": _words("none", "auto", "required"),
    "tool_choice.type": _words("function", "mcp"),
    "tools[].type": _words("function", "mcp"),
    "tools[].require_approval": _words("always", "never"),
    "tools[].allowed_callers[]": _words("direct", "programmatic"),
}
KNOWN_VALUES: Final[Mapping[str, tuple[str, Mapping[str, KnownValues]]]] = MappingProxyType(
    {
        "session.update": (
            "session",
            {
                **_BOTH,
                **{f"audio.input.{name}": known for name, known in _INPUT.items()},
                "type": _words("realtime", "transcription", "translation"),
                "audio.output.speed": _range(0.25, 1.5),
                "truncation": _words("auto", "disabled"),
                "truncation.type": _words("retention_ratio"),
                "truncation.retention_ratio": _range(0, 1),
                "truncation.token_limits.post_instructions": KnownValues(
                    "0 or more", _NUMBER, lambda value: value >= 0
                ),
                "tracing": _words("auto"),
                "include[]": _words("item.input_audio_transcription.logprobs"),
            },
        ),
        "response.create": (
            "response",
            {
                **_BOTH,
                "conversation": _words("auto", "none"),
                "metadata": KnownValues(
                    "16 pairs of text at most, 64 characters to a key and 512 to a value",
                    (Mapping,),
                    _are_metadata,
                ),
            },
        ),
    }
)
"""By wire name: the field that is the body, and what is known of its fields, by their path."""


def odd_values(mapping: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path of each value that is none that is known, and what those are.

    Args:
        mapping: An event that fits its class.
    """
    body, known = KNOWN_VALUES.get(mapping["type"], ("", {}))
    return _odd(mapping.get(body), f"$.{body}", "", known)


def _odd(
    value: Any, path: str, name: str, known: Mapping[str, KnownValues]
) -> Iterator[tuple[str, str]]:
    values = known.get(name)
    if values is not None and not values.allows(value):
        yield path, values.text
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _odd(item, f"{path}.{key}", f"{name}.{key}" if name else key, known)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _odd(item, f"{path}[{index}]", f"{name}[]", known)
