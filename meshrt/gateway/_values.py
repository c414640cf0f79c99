"""What a value of a session or a response may be, in the words of the real server."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import attrs

from ..audio import SAMPLE_RATE_HZ
from ..events import (
    AudioConfig,
    AudioInput,
    AudioOutput,
    AudioTranscription,
    NoiseReduction,
    RealtimeSessionConfig,
    Reasoning,
    ResponseParams,
    SemanticVad,
    ServerVad,
    TranscriptionSession,
    TranslationSession,
)
from ._formats import FORMATS
from ._refusals import Refusal

_MODALITIES: Final = (["text"], ["audio"])
_DETECTORS: Final = ("server_vad", "semantic_vad")
_EAGERNESS: Final = ("low", "medium", "high", "auto")
_EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh")
_NOISES: Final = ("near_field", "far_field")
_INCLUDED: Final = "item.input_audio_transcription.logprobs"
_CHOICES: Final = ("none", "auto", "required")
_MAX_TOKENS: Final = 4096
_MAX_METADATA: Final = 16
_METADATA_KEY_CHARS: Final = 64
_METADATA_VALUE_CHARS: Final = 512
_SLOWEST: Final = 0.25
_FASTEST: Final = 1.5
_SHORTEST_IDLE_MS: Final = 5_000
_LONGEST_IDLE_MS: Final = 30_000

KINDS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "realtime": RealtimeSessionConfig,
        "transcription": TranscriptionSession,
        "translation": TranslationSession,
    }
)
"""What a session of each kind may be told."""

_INSIDE: Final[Mapping[str, type]] = MappingProxyType(
    {
        "audio": AudioConfig,
        "input": AudioInput,
        "output": AudioOutput,
        "transcription": AudioTranscription,
        "noise_reduction": NoiseReduction,
        "reasoning": Reasoning,
    }
)
_DETECTION: Final[Mapping[Any, type]] = MappingProxyType(
    {"server_vad": ServerVad, "semantic_vad": SemanticVad}
)


def check_known(data: Any, kind: type, path: str) -> None:
    """Refuse a field that the wire does not have there.

    Raises:
        Refusal: There is one.
    """
    unknown = next(_unknown(data, kind, path), None)
    if unknown is not None:
        raise Refusal(f"Unknown parameter: '{unknown}'.", code="unknown_parameter", param=unknown)


def check_one_of(value: Any, values: Collection[str], param: str) -> None:
    """Refuse a word that is none of these.

    Raises:
        Refusal: It is none.
    """
    if value not in values:
        raise not_one_of(value, values, param)


def not_one_of(value: Any, values: Collection[str], param: str) -> Refusal:
    """Say which words there are."""
    *some, last = [f"'{each}'" for each in values]
    names = f"{', '.join(some)} and {last}" if some else last
    return Refusal(f"Invalid value: '{value!s:.100}'. Supported values are: {names}.", param=param)


def check_range(value: Any, least: float, most: float, param: str) -> None:
    """Refuse a number that is out of its range.

    Raises:
        Refusal: It is.
    """
    kind = "integer" if isinstance(least, int) else "decimal"
    if value < least:
        raise Refusal(
            f"Invalid '{param}': {kind} below minimum value. Expected a value >= {least}, but got "
            f"{value} instead.",
            code=f"{kind}_below_min_value",
            param=param,
        )
    if value > most:
        raise Refusal(
            f"Invalid '{param}': {kind} above maximum value. Expected a value <= {most}, but got "
            f"{value} instead.",
            code=f"{kind}_above_max_value",
            param=param,
        )


def check_modalities(modalities: Any, param: str) -> None:
    """Refuse what nobody can answer in.

    Raises:
        Refusal: It is neither text nor audio, or both.
    """
    if modalities not in _MODALITIES:
        raise Refusal(
            f"Invalid modalities: {modalities!s:.100}. Supported combinations are: ['text'] and "
            "['audio'].",
            param=param,
        )


def check_max_tokens(value: Any, param: str) -> None:
    """Refuse what is neither 1 to 4096 nor ``"inf"``.

    Raises:
        Refusal: It is neither.
    """
    if isinstance(value, str):
        check_one_of(value, ("inf",), param)
    else:
        check_range(value, 1, _MAX_TOKENS, param)


def check_metadata(metadata: Mapping[str, Any], param: str) -> None:
    """Refuse more than 16 pairs, or pairs that are no short texts.

    Raises:
        Refusal: It has that.
    """
    if len(metadata) > _MAX_METADATA:
        raise Refusal(
            f"Invalid '{param}': too many properties. Expected an object with at most "
            f"{_MAX_METADATA} properties, but got {len(metadata)} instead.",
            code="object_above_max_properties",
            param=param,
        )
    for name, value in metadata.items():
        if not isinstance(value, str):
            raise Refusal(
                f"Invalid type for '{param}.{name[:100]}': expected a string.",
                code="invalid_type",
                param=f"{param}.{name[:100]}",
            )
        if len(name) > _METADATA_KEY_CHARS or len(value) > _METADATA_VALUE_CHARS:
            raise Refusal(
                f"Invalid '{param}': string too long. Keys have at most {_METADATA_KEY_CHARS} "
                f"characters, and values {_METADATA_VALUE_CHARS}.",
                code="string_above_max_length",
                param=param,
            )


def check_tool_choice(choice: Any, param: str) -> None:
    """Refuse a word that is no choice; what names a tool is an object.

    Raises:
        Refusal: It is none.
    """
    if isinstance(choice, str):
        check_one_of(choice, _CHOICES, param)


def check_reasoning(reasoning: Any, param: str) -> None:
    """Refuse an effort that nobody makes.

    Raises:
        Refusal: It is one.
    """
    effort = (reasoning or {}).get("effort")
    if effort is not None:
        check_one_of(effort, _EFFORTS, f"{param}.effort")


def check_format(audio_format: Mapping[str, Any], param: str) -> None:
    """Refuse a format that the wire does not have.

    Raises:
        Refusal: It does not.
    """
    check_one_of(audio_format.get("type"), FORMATS, f"{param}.type")
    if "rate" in audio_format:
        check_range(audio_format["rate"], SAMPLE_RATE_HZ, SAMPLE_RATE_HZ, f"{param}.rate")


def check_input(audio_input: Mapping[str, Any], param: str) -> None:
    """Refuse an input that nobody can hear.

    Raises:
        Refusal: A value of it is out of its range.
    """
    check_format(audio_input["format"], f"{param}.format")
    check_noise(audio_input.get("noise_reduction"), f"{param}.noise_reduction")
    check_detection(audio_input.get("turn_detection"), f"{param}.turn_detection")


def check_noise(reduction: Mapping[str, Any] | None, param: str) -> None:
    """Refuse a noise that nobody reduces.

    Raises:
        Refusal: It is one.
    """
    if reduction is not None:
        check_one_of(reduction.get("type"), _NOISES, f"{param}.type")


def check_output(audio_output: Mapping[str, Any], param: str) -> None:
    """Refuse an output that nobody can speak.

    Raises:
        Refusal: A value of it is out of its range.
    """
    check_format(audio_output["format"], f"{param}.format")
    check_range(audio_output["speed"], _SLOWEST, _FASTEST, f"{param}.speed")


def check_detection(detection: Any, param: str) -> None:
    """Refuse a detector that there is not, or that waits in a way that it can't.

    Raises:
        Refusal: It is.
    """
    if detection is None:
        return
    check_one_of(detection.get("type"), _DETECTORS, f"{param}.type")
    if "eagerness" in detection:
        check_one_of(detection["eagerness"], _EAGERNESS, f"{param}.eagerness")
    if detection.get("idle_timeout_ms") is not None:
        idle_ms = detection["idle_timeout_ms"]
        check_range(idle_ms, _SHORTEST_IDLE_MS, _LONGEST_IDLE_MS, f"{param}.idle_timeout_ms")


def check_include(include: Any, param: str) -> None:
    """Refuse to add what nobody adds.

    Raises:
        Refusal: It is that.
    """
    for place, name in enumerate(include or ()):
        check_one_of(name, (_INCLUDED,), f"{param}[{place}]")


def check_response(params: ResponseParams) -> None:
    """Refuse what a response can't do.

    Raises:
        Refusal: It is asked for.
    """
    if isinstance(params.conversation, str):
        check_one_of(params.conversation, ("auto", "none"), "response.conversation")
    if isinstance(params.output_modalities, Sequence):
        check_modalities(params.output_modalities, "response.output_modalities")
    if isinstance(params.max_output_tokens, int | str):
        check_max_tokens(params.max_output_tokens, "response.max_output_tokens")
    if isinstance(params.metadata, Mapping):
        check_metadata(params.metadata, "response.metadata")
    if params.tool_choice:
        check_tool_choice(params.tool_choice, "response.tool_choice")


def _unknown(data: Any, kind: type, path: str) -> Iterator[str]:
    if not isinstance(data, Mapping):
        return
    for name, value in data.items():
        if name not in _fields(kind):
            yield f"{path}.{name[:100]}"
        elif name == "turn_detection" and isinstance(value, Mapping):
            detector = _DETECTION.get(value.get("type"))
            yield from _unknown(value, detector, f"{path}.{name}") if detector else ()
        elif name in _INSIDE:
            yield from _unknown(value, _INSIDE[name], f"{path}.{name}")


@cache
def _fields(kind: type) -> frozenset[str]:
    return frozenset({"type", *(field.name for field in attrs.fields(kind))})
