"""Which class an event of the wire has: GA names, and the beta names that older servers use."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, get_args

from . import _client, _server
from ._base import Event


def _by_type(union: object) -> Mapping[str, type[Event]]:
    classes = [cls for cls in get_args(union) if issubclass(cls, Event)]
    return MappingProxyType({cls.type: cls for cls in classes})


CLIENT_EVENTS: Final = _by_type(_client.ClientEvent)
"""What a client may send: wire name to class."""

SERVER_EVENTS: Final = _by_type(_server.ServerEvent)
"""What a server may send: wire name to class."""

BETA_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "response.audio.delta": "response.output_audio.delta",
        "response.audio.done": "response.output_audio.done",
        "response.audio_transcript.delta": "response.output_audio_transcript.delta",
        "response.audio_transcript.done": "response.output_audio_transcript.done",
        "response.text.delta": "response.output_text.delta",
        "response.text.done": "response.output_text.done",
        "transcription_session.update": "session.update",
        "transcription_session.created": "session.created",
        "transcription_session.updated": "session.updated",
    }
)
"""Names that the beta wire had for events of the GA wire."""


def class_of(wire_name: str) -> type[Event] | None:
    """Return the class of an event by its wire name, GA or beta; ``None`` if nobody knows it."""
    name = BETA_NAMES.get(wire_name, wire_name)
    return SERVER_EVENTS.get(name) or CLIENT_EVENTS.get(name)
