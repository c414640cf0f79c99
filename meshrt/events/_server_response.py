"""What a server says of its responses: their items, text, speech and calls."""

from typing import ClassVar

import attrs

from ._base import UNSET, Event, Maybe
from ._items import ContentPart, Item
from ._response import Response
from ._short import short


@attrs.frozen(kw_only=True)
class ResponseCreated(Event):
    """A response has begun."""

    type: ClassVar[str] = "response.created"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response: Response
    """The response, in progress."""


@attrs.frozen(kw_only=True)
class ResponseDone(Event):
    """A response has ended, whatever its status; ``rate_limits.updated`` may follow."""

    type: ClassVar[str] = "response.done"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response: Response
    """The response, without its audio."""


@attrs.frozen(kw_only=True)
class ResponseOutputItemAdded(Event):
    """A response has a new item."""

    type: ClassVar[str] = "response.output_item.added"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    output_index: int
    """The item's place in the response's output."""
    item: Item
    """The item."""


@attrs.frozen(kw_only=True)
class ResponseOutputItemDone(Event):
    """An item of a response is complete."""

    type: ClassVar[str] = "response.output_item.done"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    output_index: int
    """The item's place in the response's output."""
    item: Item
    """The item."""


@attrs.frozen(kw_only=True)
class ResponseContentPartAdded(Event):
    """An item of a response has a new part."""

    type: ClassVar[str] = "response.content_part.added"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    content_index: int
    """The part's place in the item's content."""
    part: ContentPart
    """The part."""


@attrs.frozen(kw_only=True)
class ResponseContentPartDone(Event):
    """A part is complete."""

    type: ClassVar[str] = "response.content_part.done"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    content_index: int
    """The part's place in the item's content."""
    part: ContentPart
    """The part."""


@attrs.frozen(kw_only=True)
class ResponseOutputTextDelta(Event):
    """More text."""

    type: ClassVar[str] = "response.output_text.delta"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    content_index: int
    """The part's place in the item's content."""
    delta: str
    """The text to add."""
    obfuscation: Maybe[str] = UNSET
    """Random padding against traffic analysis; to be ignored."""


@attrs.frozen(kw_only=True)
class ResponseOutputTextDone(Event):
    """The text is complete."""

    type: ClassVar[str] = "response.output_text.done"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    content_index: int
    """The part's place in the item's content."""
    text: str
    """All of it."""


@attrs.frozen(kw_only=True)
class ResponseOutputAudioDelta(Event):
    """More speech."""

    type: ClassVar[str] = "response.output_audio.delta"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    content_index: int
    """The part's place in the item's content."""
    delta: bytes = attrs.field(repr=short)
    """The audio to play next, in the session's output format, decoded from base64."""


@attrs.frozen(kw_only=True)
class ResponseOutputAudioDone(Event):
    """The speech is complete."""

    type: ClassVar[str] = "response.output_audio.done"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    content_index: int
    """The part's place in the item's content."""


@attrs.frozen(kw_only=True)
class ResponseOutputAudioTranscriptDelta(Event):
    """More of what the speech says."""

    type: ClassVar[str] = "response.output_audio_transcript.delta"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    content_index: int
    """The part's place in the item's content."""
    delta: str
    """The text to add."""
    obfuscation: Maybe[str] = UNSET
    """Random padding against traffic analysis; to be ignored."""


@attrs.frozen(kw_only=True)
class ResponseOutputAudioTranscriptDone(Event):
    """All that the speech says."""

    type: ClassVar[str] = "response.output_audio_transcript.done"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    content_index: int
    """The part's place in the item's content."""
    transcript: str
    """The text."""


@attrs.frozen(kw_only=True)
class ResponseFunctionCallArgumentsDelta(Event):
    """More of the arguments of a call."""

    type: ClassVar[str] = "response.function_call_arguments.delta"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    call_id: str
    """The id that the output has to quote."""
    delta: str
    """The JSON text to add."""
    obfuscation: Maybe[str] = UNSET
    """Random padding against traffic analysis; to be ignored."""


@attrs.frozen(kw_only=True)
class ResponseFunctionCallArgumentsDone(Event):
    """The arguments of a call are complete."""

    type: ClassVar[str] = "response.function_call_arguments.done"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    call_id: str
    """The id that the output has to quote."""
    name: Maybe[str] = UNSET
    """The function's name."""
    arguments: str
    """All of them, as JSON text."""


@attrs.frozen(kw_only=True)
class McpListToolsInProgress(Event):
    """An MCP server's tools are being listed."""

    type: ClassVar[str] = "mcp_list_tools.in_progress"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""


@attrs.frozen(kw_only=True)
class McpListToolsCompleted(Event):
    """An MCP server's tools are listed."""

    type: ClassVar[str] = "mcp_list_tools.completed"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""


@attrs.frozen(kw_only=True)
class McpListToolsFailed(Event):
    """An MCP server's tools could not be listed."""

    type: ClassVar[str] = "mcp_list_tools.failed"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""


@attrs.frozen(kw_only=True)
class ResponseMcpCallArgumentsDelta(Event):
    """More of the arguments of a call of an MCP tool."""

    type: ClassVar[str] = "response.mcp_call_arguments.delta"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    delta: str
    """The JSON text to add."""
    obfuscation: Maybe[str] = UNSET
    """Random padding against traffic analysis; to be ignored."""


@attrs.frozen(kw_only=True)
class ResponseMcpCallArgumentsDone(Event):
    """The arguments of a call of an MCP tool are complete."""

    type: ClassVar[str] = "response.mcp_call_arguments.done"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    response_id: str
    """The response."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
    arguments: str
    """All of them, as JSON text."""


@attrs.frozen(kw_only=True)
class ResponseMcpCallInProgress(Event):
    """An MCP tool is being called."""

    type: ClassVar[str] = "response.mcp_call.in_progress"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""


@attrs.frozen(kw_only=True)
class ResponseMcpCallCompleted(Event):
    """An MCP tool has given its result."""

    type: ClassVar[str] = "response.mcp_call.completed"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""


@attrs.frozen(kw_only=True)
class ResponseMcpCallFailed(Event):
    """An MCP tool has failed."""

    type: ClassVar[str] = "response.mcp_call.failed"
    event_id: Maybe[str] = UNSET
    """The server's id for this event."""
    item_id: str
    """The item."""
    output_index: int
    """The item's place in the response's output."""
