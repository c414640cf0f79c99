"""Tools of MCP servers: listed, asked about, called, without a server."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from meshrt.gateway import CallMcp

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

CREATE: Json = {"type": "response.create", "response": {"output_modalities": ["text"]}}
TRAINS = {"type": "mcp", "server_label": "trains", "server_url": "https://trains.example"}
WHEN = CallMcp("trains", "when", {"to": "Bern"}, output="noon")
OPENED = ["response.output_item.added", "conversation.item.added"]
CLOSED = ["conversation.item.done", "response.output_item.done"]
ENDED = ["response.done", "rate_limits.updated"]


def types(events: Iterable[Json]) -> list[str]:
    names: list[str] = []
    for event in events:
        if not (event["type"].endswith(".delta") and event["type"] in names[-1:]):
            names.append(event["type"])
    return names


async def answered(wire: Any) -> list[Json]:
    await wire.say(CREATE)
    events: list[Json] = await wire.until("rate_limits.updated")
    return events


@pytest.mark.parametrize(
    ("allowed", "ending", "names"),
    [
        (["when", "buy"], "completed", ["when", "buy"]),
        ({"tool_names": ["when"]}, "completed", ["when"]),
        ({"read_only": True}, "failed", []),
        (None, "failed", []),
    ],
)
async def test_a_server_s_tools_are_those_that_the_client_allows(
    talk: Talk, update: Callable[..., Json], allowed: Any, ending: str, names: list[str]
) -> None:
    server = {**TRAINS, **({} if allowed is None else {"allowed_tools": allowed})}
    async with talk() as wire:
        await wire.say(update(tools=[server]), update(tools=[server]), {"type": "unknown"})
        events = await wire.until("error")

    assert types(events) == [
        "session.updated",
        "conversation.item.added",
        "mcp_list_tools.in_progress",
        f"mcp_list_tools.{ending}",
        "conversation.item.done",
        "session.updated",
        "error",
    ]
    item = events[4]["item"]
    assert (item["type"], item["server_label"]) == ("mcp_list_tools", "trains")
    assert [tool["name"] for tool in item["tools"]] == names
    assert [event["item_id"] for event in events[2:4]] == [item["id"]] * 2


@pytest.mark.parametrize(
    ("call", "ending", "output", "error"),
    [
        (WHEN, "completed", "noon", None),
        (
            CallMcp("trains", "when", error="a strike"),
            "failed",
            None,
            {"type": "tool_execution_error", "message": "a strike"},
        ),
    ],
    ids=["completed", "failed"],
)
async def test_a_call_that_needs_no_approval_gives_what_the_model_says(  # noqa: PLR0917  a table
    talk: Talk, fixed: Any, call: CallMcp, ending: str, output: str | None, error: Json | None
) -> None:
    async with talk(model=fixed([call])) as wire:
        events = await answered(wire)

    names = [name for name in types(events) if name != "response.mcp_call_arguments.delta"]
    assert names == [
        "response.created",
        *OPENED,
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        f"response.mcp_call.{ending}",
        *CLOSED,
        *ENDED,
    ]
    [item] = events[-2]["response"]["output"]
    assert (item["type"], item["output"], item["error"]) == ("mcp_call", output, error)
    deltas = [e["delta"] for e in events if e["type"] == "response.mcp_call_arguments.delta"]
    assert "".join(deltas) == item["arguments"]


NEVER = {"never": {"tool_names": ["when"]}}
ALWAYS = {"always": {"tool_names": ["when"]}}


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (None, "mcp_approval_request"),
        ("always", "mcp_approval_request"),
        (ALWAYS, "mcp_approval_request"),
        ("never", "mcp_call"),
        (NEVER, "mcp_call"),
    ],
)
async def test_the_session_decides_which_calls_need_an_approval(
    talk: Talk, fixed: Any, update: Callable[..., Json], rule: Any, kind: str
) -> None:
    server = {**TRAINS, **({} if rule is None else {"require_approval": rule})}
    async with talk(model=fixed([WHEN])) as wire:
        await wire.say(update(tools=[server]))
        events = await answered(wire)

    assert [item["type"] for item in events[-2]["response"]["output"]] == [kind]


@pytest.mark.parametrize(
    ("approve", "kind"), [(True, "mcp_call"), (False, "mcp_approval_request")]
)
async def test_a_call_waits_until_it_is_approved(
    talk: Talk, fixed: Any, update: Callable[..., Json], approve: bool, kind: str
) -> None:
    async with talk(model=fixed([WHEN])) as wire:
        await wire.say(update(tools=[TRAINS]))
        asked = (await answered(wire))[-2]["response"]["output"][0]
        item = {"type": "mcp_approval_response", "approve": approve}
        item["approval_request_id"] = asked["id"]
        await wire.say({"type": "conversation.item.create", "item": item})
        events = await answered(wire)

    assert asked["arguments"] == '{"to": "Bern"}'
    assert types(events)[:2] == ["conversation.item.added", "conversation.item.done"]
    [made] = events[-2]["response"]["output"]
    assert made["type"] == kind
    if approve:
        assert made["approval_request_id"] == asked["id"]


async def test_a_call_that_is_cut_short_is_not_made(talk: Talk, fixed: Any) -> None:
    async with talk(model=fixed([WHEN])) as wire:
        await wire.say({**CREATE, "response": {**CREATE["response"], "max_output_tokens": 1}})
        events = await wire.until("response.done")

    assert not [e for e in events if e["type"].startswith("response.mcp_call.")]
    [item] = events[-1]["response"]["output"]
    assert item["output"] is None
