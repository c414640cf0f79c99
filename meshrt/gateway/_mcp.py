"""Tools of MCP servers: nobody is called from here, but the wire is that of somebody who does.

Which tools a server has is what the client allows of them; what a call gives is what the model
says.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, final

from ..events import (
    Event,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    McpListToolsCompleted,
    McpListToolsFailed,
    McpListToolsInProgress,
    McpTool,
    McpToolDescription,
    McpToolExecutionError,
    McpToolFilter,
    ResponseMcpCallArgumentsDelta,
    ResponseMcpCallArgumentsDone,
    ResponseMcpCallCompleted,
    ResponseMcpCallFailed,
    ResponseMcpCallInProgress,
)
from ._answer import CallMcp
from ._conversation import KnownItem
from ._ids import new_id
from ._outputs import Output, Piece, padding_for, pieces_of_arguments
from ._thinking import Heard

_NEVER: Final = "never"


@final
class McpCallOutput(Output):
    """A call of a server's tool, and what it gives.

    Args:
        place: Where it belongs.
        call: What is called.
        approval_id: The request that the client has approved, if it had to.
    """

    def __init__(
        self, place: Mapping[str, Any], call: CallMcp, *, approval_id: str | None = None
    ) -> None:
        super().__init__(place, pieces_of_arguments(call.arguments))
        self._call = call
        self._approval_id = approval_id
        self._arguments = ""

    def opening(self) -> list[Event]:
        """Return nothing: a call has no parts."""
        return []

    def take(self, piece: Piece) -> Event:
        """Add some of the arguments, and return their delta."""
        self._arguments += piece.text
        return ResponseMcpCallArgumentsDelta(
            **self._place, delta=piece.text, obfuscation=padding_for(piece.text)
        )

    def closing(self) -> list[Event]:
        """Return the end of its arguments, and how the call went; one cut short is not made."""
        done = ResponseMcpCallArgumentsDone(**self._place, arguments=self._arguments)
        if self.status != "completed":
            return [done]
        place: dict[str, Any] = {"item_id": self.id, "output_index": self.index}
        ended = ResponseMcpCallCompleted if self._call.error is None else ResponseMcpCallFailed
        return [done, ResponseMcpCallInProgress(**place), ended(**place)]

    def item(self) -> McpCall:
        """Return the call; with what it gave, once it is whole."""
        is_done = self.status == "completed"
        error = self._call.error if is_done else None
        return McpCall(
            id=self.id,
            server_label=self._call.server_label,
            name=self._call.name,
            arguments=self._arguments,
            approval_request_id=self._approval_id,
            output=self._call.output if is_done else None,
            error=None if error is None else McpToolExecutionError(message=error),
        )


@final
class ApprovalOutput(Output):
    """A request to be allowed such a call.

    Args:
        place: Where it belongs.
        call: What is to be called.
    """

    def __init__(self, place: Mapping[str, Any], call: CallMcp) -> None:
        super().__init__(place, iter(()))
        self._call = call

    def opening(self) -> list[Event]:
        """Return nothing: it comes whole."""
        return []

    def take(self, piece: Piece) -> Event:
        """Be never called: there are no pieces."""
        raise NotImplementedError(piece)

    def closing(self) -> list[Event]:
        """Return nothing: it came whole."""
        return []

    def item(self) -> McpApprovalRequest:
        """Return the request."""
        return McpApprovalRequest(
            id=self.id,
            server_label=self._call.server_label,
            name=self._call.name,
            arguments="".join(piece.text for piece in pieces_of_arguments(self._call.arguments)),
        )


def output_of_mcp(place: Mapping[str, Any], call: CallMcp, heard: Heard) -> Output:
    """Return the call, or the request for it where the session wants one that is not there yet."""
    approval_id = _approval(call, heard.history)
    tools = [tool for tool in heard.tools if isinstance(tool, McpTool)]
    if approval_id is None and any(_needs_approval(tool, call) for tool in tools):
        return ApprovalOutput(place, call)
    return McpCallOutput(place, call, approval_id=approval_id)


def listing_of(tool: McpTool) -> tuple[McpListTools, Iterator[Event]]:
    """Return the item that lists a server's tools, and what is said while they are listed."""
    allowed = tool.allowed_tools
    names = allowed.tool_names if isinstance(allowed, McpToolFilter) else allowed
    item = McpListTools(
        id=new_id("item"),
        server_label=tool.server_label,
        tools=[McpToolDescription(name=name, input_schema={}) for name in names or ()],
    )
    ended = McpListToolsCompleted if item.tools else McpListToolsFailed
    item_id = str(item.id)
    return item, iter((McpListToolsInProgress(item_id=item_id), ended(item_id=item_id)))


def servers_in(tools: Iterable[Any]) -> list[McpTool]:
    """Return the MCP servers among some tools."""
    return [tool for tool in tools if isinstance(tool, McpTool)]


def _needs_approval(tool: McpTool, call: CallMcp) -> bool:
    """Ask as documented: always, unless the session says never, be it of this tool alone."""
    if tool.server_label != call.server_label:
        return False
    if isinstance(tool.require_approval, str):
        return tool.require_approval != _NEVER
    never = tool.require_approval.never if tool.require_approval else None
    return not (never and call.name in (never.tool_names or ()))


def _approval(call: CallMcp, history: Sequence[KnownItem]) -> str | None:
    """Return the id of the request for this call that the client has approved."""
    approved = {
        item.approval_request_id
        for item in history
        if isinstance(item, McpApprovalResponse) and item.approve
    }
    asked = [
        str(item.id)
        for item in history
        if isinstance(item, McpApprovalRequest)
        and (item.server_label, item.name) == (call.server_label, call.name)
    ]
    return next((each for each in reversed(asked) if each in approved), None)
