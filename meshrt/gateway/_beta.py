"""The beta wire, for clients that know no other: a transport that translates both directions.

The session behind it speaks GA and knows nothing of this. What the beta wire had and GA has not is
lost: a session's ``temperature`` is taken and not kept.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast, final

from ..events import BETA_NAMES
from ..transports import Transport

Json: TypeAlias = dict[str, Any]

_TRANSCRIPTION: Final = "realtime.transcription_session"
_NAMES: Final = {ga: beta for beta, ga in BETA_NAMES.items() if beta.startswith("response.")} | {
    "conversation.item.added": "conversation.item.created"
}
_NO_TWINS: Final = frozenset({"conversation.item.done"})  # the beta wire has nothing of the kind

# Field of the beta session: where it is in GA.
_SESSION: Final = {
    "modalities": ("output_modalities",),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "input_audio_format": ("audio", "input", "format"),
    "output_audio_format": ("audio", "output", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "max_response_output_tokens": ("max_output_tokens",),
}
_RESPONSE: Final = {
    "modalities": ("output_modalities",),
    "voice": ("audio", "output", "voice"),
    "output_audio_format": ("audio", "output", "format"),
    "max_response_output_tokens": ("max_output_tokens",),
}
_RESPONSE_SEEN: Final = {
    name: path for name, path in _RESPONSE.items() if name != "max_response_output_tokens"
}
_FORMATS: Final[Mapping[str, Json]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_PARTS: Final = {"output_text": "text", "output_audio": "audio"}
_TEMPERATURE: Final = 0.8  # the beta wire's default


def to_beta(event: Json) -> Json | None:
    """Translate an event of the server's from GA to beta; ``None`` if beta has none such."""
    name = event["type"]
    if name in _NO_TWINS:
        return None
    new = {**event, "type": _NAMES.get(name, name)}
    if "session" in event:
        if event["session"].get("type") == "transcription":
            new["type"] = f"transcription_{name}"
        new["session"] = _beta_session(event["session"])
    if "response" in event:
        new["response"] = _beta_response(event["response"])
    if "item" in event:
        new["item"] = _beta_item(event["item"])
    return new


def to_ga(event: Json) -> Json:
    """Translate an event of a client's from beta to GA; what is GA already stays as it is."""
    name = event.get("type")
    body = event.get("session"), event.get("response"), event.get("item")
    match name, body:
        case "session.update" | "transcription_session.update", (dict(session), _, _):
            kind = "transcription" if name != "session.update" else "realtime"
            moved = {"type": kind, **_moved(session, _SESSION)}
            return {**event, "type": "session.update", "session": moved}
        case "response.create", (_, dict(response), _):
            moved = _moved(response, _RESPONSE)
            if isinstance(moved.get("input"), list):
                moved["input"] = [_ga_item(item) for item in moved["input"]]
            return {**event, "response": moved}
        case "conversation.item.create", (_, _, item):
            return {**event, "item": _ga_item(item)}
    return event


def _beta_session(session: Json) -> Json:
    beta = _gathered(session, _SESSION)
    if beta.pop("type", "realtime") == "transcription":
        return {"object": _TRANSCRIPTION, **beta}
    return {**beta, "temperature": _TEMPERATURE}


def _beta_response(response: Json) -> Json:
    beta = _gathered(response, _RESPONSE_SEEN)
    return {**beta, "output": [_beta_item(item) for item in response.get("output", [])]}


def _beta_item(item: Json) -> Json:
    if not isinstance(item.get("content"), list):
        return item
    parts = [{**part, "type": _PARTS.get(part["type"], part["type"])} for part in item["content"]]
    return {**item, "content": parts}


def _ga_item(item: Any) -> Any:
    if not (isinstance(item, dict) and isinstance(item.get("content"), list)):
        return item
    own = "output_text" if item.get("role") == "assistant" else "input_text"
    parts = [
        {**part, "type": own} if isinstance(part, dict) and part.get("type") == "text" else part
        for part in item["content"]
    ]
    return {**item, "content": parts}


def _gathered(ga: Json, places: Mapping[str, tuple[str, ...]]) -> Json:
    """Bring up to the top what beta has there."""
    moved = {path[0] for path in places.values()}
    beta = {name: value for name, value in ga.items() if name not in moved}
    for name, path in places.items():
        found, value = _at(ga, path)
        if found:
            beta[name] = _beta_value(name, value)
    return beta


def _moved(beta: Json, places: Mapping[str, tuple[str, ...]]) -> Json:
    """Put away, where GA has it, what beta has at the top."""
    ga = {n: v for n, v in beta.items() if n not in places and n != "temperature"}
    for name, path in places.items():
        if name in beta:
            inner = _inside(ga, path[:-1])
            inner[path[-1]] = _ga_value(name, beta[name])
    return ga


def _inside(ga: Json, path: Sequence[str]) -> Json:
    """Return the object at a path; what is in the way and no object is left for the session."""
    for step in path:
        there = ga.get(step, {})
        if not isinstance(there, dict):
            return {}
        inner = ga[step] = dict(there)  # never the client's own
        ga = inner
    return ga


def _at(value: Any, path: Sequence[str]) -> tuple[bool, Any]:
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return False, None
        value = value[step]
    return True, value


def _beta_value(name: str, value: Any) -> Any:
    if name == "modalities" and value == ["audio"]:
        return ["audio", "text"]
    if name.endswith("_format"):
        kind = (value or {}).get("type")
        return next((beta for beta, ga in _FORMATS.items() if ga["type"] == kind), value)
    return value


def _ga_value(name: str, value: Any) -> Any:
    if name == "modalities" and isinstance(value, list) and "audio" in value:
        return [modality for modality in value if modality != "text"]
    if name.endswith("_format") and isinstance(value, str):
        return _FORMATS.get(value, {"type": value})
    return value


def in_beta(transport: Transport) -> Transport:
    """Speak the beta wire over a transport, and GA to whoever has the one that is returned.

    Args:
        transport: The transport to the client.
    """
    return cast("Transport", _BetaTransport(transport))


@final
class _BetaTransport:
    """Translate what is received and sent; all else is the other transport's."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def wake(self) -> Callable[[], None]:
        return self._inner.wake

    @wake.setter
    def wake(self, wake: Callable[[], None]) -> None:
        self._inner.wake = wake

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def receive(self) -> list[str | bytes]:
        return [_received(message) for message in await self._inner.receive()]

    async def send(self, batch: Sequence[str | bytes]) -> None:
        events = (to_beta(json.loads(text)) for text in batch)
        await self._inner.send([json.dumps(event) for event in events if event is not None])


def _received(message: str | bytes) -> str | bytes:
    """Translate a message; what is no event is left for the session to complain of."""
    try:
        event = json.loads(message)
        return json.dumps(to_ga(event)) if isinstance(event, dict) else message
    except (ValueError, RecursionError):
        return message
