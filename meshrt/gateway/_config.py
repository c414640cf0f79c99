"""The session's configuration, on the server's side: defaults, and what an update changes."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from ..events import SessionUpdate
from ..protocol import encode
from ._formats import PCM
from ._refusals import Refusal
from ._values import (
    KINDS,
    check_include,
    check_input,
    check_known,
    check_max_tokens,
    check_modalities,
    check_noise,
    check_output,
    check_reasoning,
    check_tool_choice,
)

Kind: TypeAlias = Literal["realtime", "transcription", "translation"]
"""What a session is for; the address that the client dials decides."""

_IMMUTABLE: Final = frozenset({"type", "id", "object", "model", "expires_at"})
_NULLABLE: Final = frozenset(
    {
        "turn_detection",
        "transcription",
        "noise_reduction",
        "tracing",
        "prompt",
        "include",
        "idle_timeout_ms",
    }
)
_WHOLE: Final = frozenset(
    {"turn_detection", "format", "voice", "transcription", "noise_reduction"}
)

DEFAULT_VAD: Final = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_DEFAULTS_OF: Final[Mapping[Any, Mapping[str, Any]]] = {
    "server_vad": DEFAULT_VAD,
    "semantic_vad": {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    },
}
_DEFAULT_TRANSCRIPTION: Final = {"model": None, "language": None, "prompt": None}
_DEFAULT_INPUT: Final = {
    "format": PCM,
    "transcription": None,
    "noise_reduction": None,
    "turn_detection": DEFAULT_VAD,
}


def kind_of(path: str, query: Mapping[str, Sequence[str]]) -> Kind:
    """Return what a session is for that is opened at this address.

    Args:
        path: The path of the URL.
        query: The query of the URL.
    """
    if path.endswith("/translations"):
        return "translation"
    return "transcription" if "transcription" in query.get("intent", ()) else "realtime"


def new_config(
    session_id: str, model: str, expires_at: int, kind: Kind = "realtime"
) -> dict[str, Any]:
    """Return the configuration that a session begins with, as the real server describes it."""
    if kind == "transcription":
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": session_id,
            "expires_at": expires_at,
            "include": None,
            "audio": {"input": _DEFAULT_INPUT},
        }
    if kind == "translation":
        return {
            "type": "translation",
            "id": session_id,
            "model": model,
            "expires_at": expires_at,
            "audio": {
                "input": {"transcription": None, "noise_reduction": None},
                "output": {"language": "en"},
            },
        }
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "expires_at": expires_at,
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
        "tracing": None,
        "prompt": None,
        "include": None,
        "audio": {
            "input": _DEFAULT_INPUT,
            "output": {"format": PCM, "voice": "marin", "speed": 1.0},
        },
    }


def updated(config: Mapping[str, Any], update: SessionUpdate) -> dict[str, Any]:
    """Return the configuration after an update: only what is present changes.

    Raises:
        Refusal: A value can't be one of a session; nothing of the update is done.
    """
    _check_kind(update.data["session"], config["type"])
    check_known(update.data["session"], KINDS[config["type"]], "session")
    changes = json.loads(encode(update))["session"]
    new = _merged(config, {k: v for k, v in changes.items() if k not in _IMMUTABLE}, "session")
    _CHECKS[config["type"]](new)
    return new


def check_voice(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse another voice for a model that has spoken in this one.

    Raises:
        Refusal: It is another.
    """
    if before["audio"]["output"]["voice"] != after["audio"]["output"]["voice"]:
        raise Refusal(
            "Cannot update a conversation's voice if assistant audio is present.",
            code="cannot_update_voice",
        )


def _check_kind(session: Mapping[str, Any], kind: Kind) -> None:
    wanted = session.get("type")
    if wanted is None and kind == "translation":
        return  # clients of these sessions send none
    if wanted is None:
        raise Refusal(
            "Missing required parameter: 'session.type'.",
            code="missing_required_parameter",
            param="session.type",
        )
    if wanted in KINDS and wanted != kind:
        raise Refusal(
            f"Passing a {wanted} session update event to a {kind} session is not allowed.",
            code="invalid_parameter",
            param="session.type",
        )
    if wanted != kind:
        raise Refusal(
            f"Invalid value: '{wanted!s:.100}'. Supported values are: '{kind}'.",
            param="session.type",
        )


def _check_interpreter(new: Mapping[str, Any]) -> None:
    check_noise(new["audio"]["input"]["noise_reduction"], "session.audio.input.noise_reduction")


def _check_listener(new: Mapping[str, Any]) -> None:
    check_input(new["audio"]["input"], "session.audio.input")
    check_include(new["include"], "session.include")


def _check_speaker(new: Mapping[str, Any]) -> None:
    _check_listener(new)
    check_modalities(new["output_modalities"], "session.output_modalities")
    check_output(new["audio"]["output"], "session.audio.output")
    check_max_tokens(new["max_output_tokens"], "session.max_output_tokens")
    check_tool_choice(new["tool_choice"], "session.tool_choice")
    check_reasoning(new.get("reasoning"), "session.reasoning")


_CHECKS: Final[Mapping[Kind, Callable[[Mapping[str, Any]], None]]] = {
    "realtime": _check_speaker,
    "transcription": _check_listener,
    "translation": _check_interpreter,
}


def _merged(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        before = old.get(name)
        if value is None and before is not None and name not in _NULLABLE:
            raise Refusal(
                f"Invalid type for '{path}.{name}': it can't be null.",
                code="invalid_type",
                param=f"{path}.{name}",
            )
        if name not in _WHOLE and isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(before, value, f"{path}.{name}")
        else:
            merged[name] = _with_defaults(name, value)
    return merged


def _with_defaults(name: str, value: Any) -> Any:
    """Fill in what the real server does, where an object replaces the one before it."""
    if not isinstance(value, Mapping):
        return value
    if name == "turn_detection":
        return {**_DEFAULTS_OF.get(value.get("type"), {}), **value}
    if name == "format" and value.get("type") == PCM["type"]:
        return {**PCM, **value}
    return {**_DEFAULT_TRANSCRIPTION, **value} if name == "transcription" else value
