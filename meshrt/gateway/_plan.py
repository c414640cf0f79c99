"""What a response is to do: its own parameters, and the session's where it has none."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, final

import attrs

from ..events import (
    UNSET,
    ItemReference,
    RealtimeSessionConfig,
    ResponseCreate,
    ResponseParams,
    SessionUpdate,
)
from ..protocol import decode, encode
from ._conversation import Conversation, KnownItem, turn_of
from ._formats import PCM
from ._heard import Listener, taken
from ._refusals import refusal_of_item
from ._thinking import Heard
from ._values import check_format, check_response


@attrs.frozen(kw_only=True)
class Plan:
    """What a response is to do."""

    spoken: bool
    """Whether it answers in audio, or else in text."""
    in_conversation: bool = True
    """Whether what it says becomes part of the conversation."""
    metadata: Any = None
    """What comes back with it."""
    heard: Heard
    """What it answers."""
    audio_format: Mapping[str, Any] = PCM
    """How its audio is sent."""
    voice: Any = "marin"
    """The voice's name, which comes back with it."""
    speed: float = 1.0
    """How fast it speaks, 1 being the voice's own speed."""
    max_tokens: int | None = None
    """How many tokens it may make; ``None`` for any number."""


@final
class Planner:
    """Makes plans of what clients ask for.

    Args:
        conversation: The session's.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._listener = Listener()

    def plan(self, params: ResponseParams, config: Mapping[str, Any]) -> Plan:
        """Return what to do.

        Args:
            params: What the response does differently from the session.
            config: The session's configuration.

        Raises:
            Refusal: An option has no meaning, or an item is not there.
        """
        check_response(params)
        output = {**config["audio"]["output"], **_asked_output(params)}
        check_format(output["format"], "response.audio.output.format")
        most = params.max_output_tokens or config["max_output_tokens"]
        return Plan(
            spoken="audio" in _either(params.output_modalities, config["output_modalities"]),
            in_conversation=params.conversation != "none",
            metadata=params.metadata or None,
            heard=self._heard(params, config),
            audio_format=output["format"],
            voice=output["voice"],
            speed=output["speed"],
            max_tokens=None if most == "inf" else int(most),
        )

    def _heard(self, params: ResponseParams, config: Mapping[str, Any]) -> Heard:
        session = _typed(config)
        items: Sequence[KnownItem] = self._conversation.items
        if isinstance(params.input, Sequence):
            audio_format = config["audio"]["input"]["format"]
            items = [self._given(item, audio_format) for item in params.input]
        return attrs.evolve(
            self._listener.heard_in(turn_of(items)),
            history=tuple(items),
            instructions=_either(params.instructions, config["instructions"]),
            tools=tuple(_either(params.tools, session.tools) or ()),
            tool_choice=_either(params.tool_choice, session.tool_choice) or "auto",
        )

    def _given(self, item: Any, audio_format: Mapping[str, Any]) -> KnownItem:
        if isinstance(item, ItemReference):
            return self._conversation.get(item.id)
        if not isinstance(item, KnownItem):
            raise refusal_of_item(item if isinstance(item, Mapping) else {"type": item.type})
        return taken(item, audio_format)


def _asked_output(params: ResponseParams) -> dict[str, Any]:
    """Return what the response says of its sound, as JSON values."""
    written = json.loads(encode(ResponseCreate(response=params)))["response"]
    return {k: v for k, v in written.get("audio", {}).get("output", {}).items() if v is not None}


def _typed(config: Mapping[str, Any]) -> RealtimeSessionConfig:
    """Return the session's configuration as events have it: its tools are values there."""
    event: Any = decode(json.dumps({"type": SessionUpdate.type, "session": config}))
    session: RealtimeSessionConfig = event.session
    return session


def _either(own: Any, session: Any) -> Any:
    """Return the response's own value, an empty one too, or else the session's."""
    return session if own is None or own is UNSET else own
