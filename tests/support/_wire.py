"""Events of a server as it writes them."""

import base64
from collections.abc import Iterable
from typing import Any

from meshrt.session import RealtimeMessage

PCM = bytes(range(256)) * 2
"""A little audio: 256 samples."""

_PLACE = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}


def created(**session: Any) -> dict[str, Any]:
    return _session_event("session.created", session)


def updated(**session: Any) -> dict[str, Any]:
    return _session_event("session.updated", session)


def error(
    message: str = "Something is wrong.",
    *,
    code: str | None = "invalid_value",
    event_id: str | None = None,
    **details: Any,
) -> dict[str, Any]:
    fields = {"type": "invalid_request_error", "param": None, **details}
    request_id = fields.pop("request_id", None)
    event = {"type": "error", "event_id": "server_event_9"}
    if request_id is not None:
        event["request_id"] = request_id
    return {**event, "error": {**fields, "code": code, "message": message, "event_id": event_id}}


def audio_delta(pcm: bytes = PCM) -> dict[str, Any]:
    return {
        "type": "response.output_audio.delta",
        **_PLACE,
        "delta": base64.b64encode(pcm).decode(),
    }


def text_delta(text: object) -> dict[str, Any]:
    return {"type": "response.output_text.delta", **_PLACE, "delta": str(text)}


def response_created(response_id: str = "resp_1") -> dict[str, Any]:
    response = {"id": response_id, "object": "realtime.response", "status": "in_progress"}
    return {"type": "response.created", "response": response}


def response_done(response_id: str = "resp_1") -> dict[str, Any]:
    response = {"id": response_id, "object": "realtime.response", "status": "completed"}
    return {"type": "response.done", "response": response}


def texts_of(messages: Iterable[RealtimeMessage]) -> list[str]:
    """Return what text deltas say, and nothing of other messages."""
    return [message.event.data["delta"] for message in messages if _is_text(message)]


def _is_text(message: RealtimeMessage) -> bool:
    return message.event.type == "response.output_text.delta"


def _session_event(wire_name: str, session: dict[str, Any]) -> dict[str, Any]:
    described = {"type": "realtime", "object": "realtime.session", "id": "sess_1", **session}
    return {"type": wire_name, "event_id": "server_event_1", "session": described}
