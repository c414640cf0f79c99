"""The items of a conversation and the parts of their content."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import attrs

from ._base import UNSET, Maybe
from ._short import short


@attrs.frozen(kw_only=True)
class InputText:
    """Text that goes to the model."""

    type: ClassVar[str] = "input_text"
    text: Maybe[str] = UNSET
    """The text."""


@attrs.frozen(kw_only=True)
class InputAudio:
    """Audio that goes to the model."""

    type: ClassVar[str] = "input_audio"
    audio: Maybe[bytes] = attrs.field(default=UNSET, repr=short)
    """The audio, in the session's input format, decoded from base64."""
    transcript: Maybe[str] = UNSET
    """What was said; null until it is transcribed."""


@attrs.frozen(kw_only=True)
class InputImage:
    """An image that goes to the model."""

    type: ClassVar[str] = "input_image"
    image_url: Maybe[str] = attrs.field(default=UNSET, repr=short)
    """A ``data:`` URI with a PNG or JPEG."""
    detail: Maybe[str] = UNSET
    """``"auto"``, ``"low"`` or ``"high"``."""


@attrs.frozen(kw_only=True)
class OutputText:
    """Text that the model wrote."""

    type: ClassVar[str] = "output_text"
    text: Maybe[str] = UNSET
    """The text."""


@attrs.frozen(kw_only=True)
class OutputAudio:
    """Speech of the model."""

    type: ClassVar[str] = "output_audio"
    audio: Maybe[bytes] = attrs.field(default=UNSET, repr=short)
    """The audio, in the session's output format, decoded from base64; mostly left out."""
    transcript: Maybe[str] = UNSET
    """What it says."""


@attrs.frozen(kw_only=True)
class TextPart:
    """Text, as ``response.content_part.*`` names it."""

    type: ClassVar[str] = "text"
    text: Maybe[str] = UNSET
    """The text."""


@attrs.frozen(kw_only=True)
class AudioPart:
    """Speech, as ``response.content_part.*`` names it."""

    type: ClassVar[str] = "audio"
    audio: Maybe[bytes] = attrs.field(default=UNSET, repr=short)
    """The audio, decoded from base64; mostly left out."""
    transcript: Maybe[str] = UNSET
    """What it says."""


ContentPart: TypeAlias = (
    InputText
    | InputAudio
    | InputImage
    | OutputText
    | OutputAudio
    | TextPart
    | AudioPart
    | Mapping[str, Any]
)


@attrs.frozen(kw_only=True)
class SystemMessage:
    """Instructions in the midst of a conversation."""

    type: ClassVar[str] = "message"
    role: ClassVar[str] = "system"
    id: Maybe[str] = UNSET
    """The item's id; ours if we give one, else the server's."""
    object: Maybe[str] = UNSET
    """``"realtime.item"``."""
    status: Maybe[str] = UNSET
    """``"completed"``, ``"incomplete"`` or ``"in_progress"``."""
    content: Sequence[ContentPart]
    """Its parts, in order."""


@attrs.frozen(kw_only=True)
class UserMessage:
    """What the user said or wrote."""

    type: ClassVar[str] = "message"
    role: ClassVar[str] = "user"
    id: Maybe[str] = UNSET
    """The item's id; ours if we give one, else the server's."""
    object: Maybe[str] = UNSET
    """``"realtime.item"``."""
    status: Maybe[str] = UNSET
    """``"completed"``, ``"incomplete"`` or ``"in_progress"``."""
    content: Sequence[ContentPart]
    """Its parts, in order."""


@attrs.frozen(kw_only=True)
class AssistantMessage:
    """What the model said or wrote."""

    type: ClassVar[str] = "message"
    role: ClassVar[str] = "assistant"
    id: Maybe[str] = UNSET
    """The item's id."""
    object: Maybe[str] = UNSET
    """``"realtime.item"``."""
    status: Maybe[str] = UNSET
    """``"completed"``, ``"incomplete"`` or ``"in_progress"``."""
    phase: Maybe[str] = UNSET
    """``"commentary"`` or ``"final_answer"`` (seen on the wire, declared nowhere)."""
    content: Sequence[ContentPart]
    """Its parts, in order."""


@attrs.frozen(kw_only=True)
class FunctionCall:
    """The model asks for a function."""

    type: ClassVar[str] = "function_call"
    id: Maybe[str] = UNSET
    """The item's id."""
    object: Maybe[str] = UNSET
    """``"realtime.item"``."""
    status: Maybe[str] = UNSET
    """``"completed"``, ``"incomplete"`` or ``"in_progress"``."""
    call_id: Maybe[str] = UNSET
    """The id that the output has to quote."""
    name: str
    """The function's name."""
    arguments: str
    """Its arguments, as JSON text."""


@attrs.frozen(kw_only=True)
class FunctionCallOutput:
    """What a function gave."""

    type: ClassVar[str] = "function_call_output"
    id: Maybe[str] = UNSET
    """The item's id; ours if we give one, else the server's."""
    object: Maybe[str] = UNSET
    """``"realtime.item"``."""
    status: Maybe[str] = UNSET
    """``"completed"``, ``"incomplete"`` or ``"in_progress"``."""
    call_id: str
    """The id of the call that this answers."""
    output: str
    """The result, as text."""


@attrs.frozen(kw_only=True)
class McpToolDescription:
    """A tool that an MCP server has."""

    name: str
    """Its name."""
    input_schema: Mapping[str, Any]
    """Its arguments, as a JSON Schema."""
    description: Maybe[str] = UNSET
    """What it does."""
    annotations: Maybe[Mapping[str, Any]] = UNSET
    """What else the server says of it."""


@attrs.frozen(kw_only=True)
class McpListTools:
    """The tools of an MCP server."""

    type: ClassVar[str] = "mcp_list_tools"
    id: Maybe[str] = UNSET
    """The item's id."""
    server_label: str
    """The server."""
    tools: Sequence[McpToolDescription]
    """Its tools."""


@attrs.frozen(kw_only=True)
class McpProtocolError:
    """An MCP server broke the rules of MCP."""

    type: ClassVar[str] = "protocol_error"
    code: Maybe[int] = UNSET
    """The code of MCP."""
    message: Maybe[str] = UNSET
    """The sentence."""


@attrs.frozen(kw_only=True)
class McpToolExecutionError:
    """A tool of an MCP server failed."""

    type: ClassVar[str] = "tool_execution_error"
    message: Maybe[str] = UNSET
    """The sentence."""


@attrs.frozen(kw_only=True)
class McpHttpError:
    """An MCP server answered with an HTTP status."""

    type: ClassVar[str] = "http_error"
    code: Maybe[int] = UNSET
    """The HTTP status code, 400 to 599."""
    message: Maybe[str] = UNSET
    """The sentence."""


McpError: TypeAlias = McpProtocolError | McpToolExecutionError | McpHttpError | Mapping[str, Any]


@attrs.frozen(kw_only=True)
class McpCall:
    """A call of a tool of an MCP server; the vendor's server makes it."""

    type: ClassVar[str] = "mcp_call"
    id: Maybe[str] = UNSET
    """The item's id."""
    server_label: str
    """The server."""
    name: str
    """The tool."""
    arguments: str
    """Its arguments, as JSON text."""
    approval_request_id: Maybe[str] = UNSET
    """The item that asked for an approval."""
    output: Maybe[str] = UNSET
    """The result."""
    error: Maybe[McpError] = UNSET
    """Why there is none."""


@attrs.frozen(kw_only=True)
class McpApprovalRequest:
    """The server asks whether it may call a tool."""

    type: ClassVar[str] = "mcp_approval_request"
    id: Maybe[str] = UNSET
    """The item's id."""
    server_label: str
    """The server."""
    name: str
    """The tool."""
    arguments: str
    """Its arguments, as JSON text."""


@attrs.frozen(kw_only=True)
class McpApprovalResponse:
    """Whether the server may call a tool."""

    type: ClassVar[str] = "mcp_approval_response"
    id: Maybe[str] = UNSET
    """The item's id; ours if we give one, else the server's."""
    approval_request_id: str
    """The item that asked."""
    approve: bool
    """Whether it may."""
    reason: Maybe[str] = UNSET
    """Why."""


Item: TypeAlias = (
    SystemMessage
    | UserMessage
    | AssistantMessage
    | FunctionCall
    | FunctionCallOutput
    | McpListTools
    | McpCall
    | McpApprovalRequest
    | McpApprovalResponse
    | Mapping[str, Any]
)


@attrs.frozen(kw_only=True)
class ItemReference:
    """An item that is there already, as input of one response."""

    type: ClassVar[str] = "item_reference"
    id: str
    """The item's id."""


InputItem: TypeAlias = (
    SystemMessage
    | UserMessage
    | AssistantMessage
    | FunctionCall
    | FunctionCallOutput
    | McpListTools
    | McpCall
    | McpApprovalRequest
    | McpApprovalResponse
    | ItemReference
    | Mapping[str, Any]
)
