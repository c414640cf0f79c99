"""The session's configuration, on the server's side: defaults, and what an update changes."""

import json
from collections.abc import Mapping
from typing import Any, Final

from ..events import SessionUpdate
from ..protocol import BETA_FIELDS, encode
from ._refusals import Refusal

_IMMUTABLE: Final = frozenset({"type", "id", "object", "model", "expires_at"})
_NULLABLE: Final = frozenset(
    {"turn_detection", "transcription", "noise_reduction", "tracing", "prompt", "include"}
)
_MODALITIES: Final = (["text"], ["audio"])
_DETECTORS: Final = ("server_vad", "semantic_vad")
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
_PCM: Final = {"type": "audio/pcm", "rate": 24000}


def new_config(session_id: str, model: str, expires_at: int) -> dict[str, Any]:
    """Return the configuration that a session begins with, as the real server describes it."""
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
            "input": {
                "format": _PCM,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": DEFAULT_VAD,
            },
            "output": {"format": _PCM, "voice": "marin", "speed": 1.0},
        },
    }


def check_update(data: Mapping[str, Any]) -> None:
    """Refuse an update of the beta shape, or to what this gateway can't hear or say.

    Raises:
        Refusal: Nothing of the update is done.
    """
    session = data["session"]
    beta = [name for name in session if name in BETA_FIELDS]
    if beta:
        raise Refusal(
            f"Unknown parameter: 'session.{beta[0]}'.",
            code="unknown_parameter",
            param=f"session.{beta[0]}",
        )
    if session.get("type") != "realtime":
        raise Refusal(
            "Invalid value for 'session.type': this gateway has sessions of type 'realtime'.",
            param="session.type",
        )
    for side in ("input", "output"):
        _check_format(side, ((session.get("audio") or {}).get(side) or {}).get("format"))


def updated(config: Mapping[str, Any], update: SessionUpdate) -> dict[str, Any]:
    """Return the configuration after an update: only what is present changes.

    Raises:
        Refusal: A value can't be one of a session.
    """
    # As JSON again, of what the wire knows: a field that it does not know changes nothing.
    changes = json.loads(encode(update))["session"]
    new = _merged(config, {k: v for k, v in changes.items() if k not in _IMMUTABLE}, "session")
    check_modalities(new["output_modalities"], "session.output_modalities")
    _check_detection(new["audio"]["input"]["turn_detection"])
    return new


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
    if name == "turn_detection" and isinstance(value, Mapping):
        return {**DEFAULT_VAD, **value} if value.get("type") == "server_vad" else dict(value)
    return value


def _check_detection(detection: Any) -> None:
    if detection is not None and detection.get("type") not in _DETECTORS:
        names = " and ".join(f"'{name}'" for name in _DETECTORS)
        raise Refusal(
            f"Invalid value: {detection.get('type')!r:.100}. Supported values are: {names}.",
            param="session.audio.input.turn_detection.type",
        )


def _check_format(side: str, audio_format: Any) -> None:
    if audio_format is None:
        return
    param = f"session.audio.{side}.format"
    rate = audio_format.get("rate", _PCM["rate"])
    if rate != _PCM["rate"]:
        raise Refusal(
            f"Invalid '{param}.rate': integer below minimum value. Expected a value >= "
            f"{_PCM['rate']}, but got {rate} instead.",
            code="integer_below_min_value",
            param=f"{param}.rate",
        )
    if audio_format.get("type") != _PCM["type"]:
        raise Refusal(
            f"Invalid value: '{audio_format.get('type')}'. This gateway has audio/pcm only.",
            param=f"{param}.type",
        )
