"""Awaited commands: each gets its own answer, needs no loop that reads, and leaves none behind."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import anyio
import pytest
from support import Canceller, ScriptedServer, error, texts_of

from meshrt.errors import LocalProtocolError, RealtimeError, RemoteProtocolError
from meshrt.events import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    Event,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputText,
    ResponseCreated,
    ResponseParams,
    SessionUpdated,
    UserMessage,
)
from meshrt.session import RealtimeSession
from meshrt.transports import ConnectionLost, SessionClosed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

Reply: TypeAlias = Callable[[Any], Mapping[str, Any]]
HELLO = UserMessage(content=[InputText(text="Hello")])
REALTIME = {"type": "realtime", "instructions": "Be brief."}


def item(item_id: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "id": item_id, "content": []}


def begun(response_id: str, metadata: object = None) -> dict[str, Any]:
    response = {"id": response_id, "status": "in_progress", "metadata": metadata}
    return {"type": "response.created", "response": response}


def ended(response_id: str, status: str = "completed") -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": response_id, "status": status}}


REPLIES: dict[str, Reply] = {
    "conversation.item.create": lambda e: {
        "type": "conversation.item.added",
        "item": e.data["item"],
    },
    "conversation.item.delete": lambda e: {
        "type": "conversation.item.deleted",
        "item_id": e.item_id,
    },
    "conversation.item.retrieve": lambda e: {
        "type": "conversation.item.retrieved",
        "item": item(e.item_id),
    },
    "conversation.item.truncate": lambda e: {
        "type": "conversation.item.truncated",
        "item_id": e.item_id,
        "content_index": e.content_index,
        "audio_end_ms": e.audio_end_ms,
    },
    "input_audio_buffer.commit": lambda _: {
        "type": "input_audio_buffer.committed",
        "item_id": "item_1",
    },
    "input_audio_buffer.clear": lambda _: {"type": "input_audio_buffer.cleared"},
    "response.create": lambda _: begun("resp_1"),
}


Command: TypeAlias = Callable[[RealtimeSession], Awaitable[Event]]
COMMANDS: list[tuple[str, Command, type[Event]]] = [
    ("session.update", lambda s: s.update(REALTIME), SessionUpdated),
    ("conversation.item.create", lambda s: s.create_item(HELLO), ConversationItemAdded),
    ("conversation.item.delete", lambda s: s.delete_item("i"), ConversationItemDeleted),
    ("conversation.item.retrieve", lambda s: s.retrieve_item("i"), ConversationItemRetrieved),
    ("conversation.item.truncate", lambda s: s.truncate("i", 20), ConversationItemTruncated),
    ("input_audio_buffer.clear", lambda s: s.clear(), InputAudioBufferCleared),
    ("response.create", lambda s: s.respond(), ResponseCreated),
]
every_command = pytest.mark.parametrize(
    ("wire_name", "command", "kind"), COMMANDS, ids=[name for name, *_ in COMMANDS]
)


def obedient(**replies: Reply) -> ScriptedServer:
    server = ScriptedServer()
    server.replies |= REPLIES
    return server


def deaf(wire_name: str) -> ScriptedServer:
    """Return a server that answers everything but this."""
    server = obedient()
    del server.replies[wire_name]
    return server


@every_command
async def test_a_command_returns_the_event_that_answers_it(
    wire_name: str, command: Command, kind: type[Event]
) -> None:
    async with obedient() as server, server.connect() as session:
        assert isinstance(await command(session), kind)
        assert server.heard_types() == [wire_name]


@every_command
async def test_a_refused_command_raises_and_nobody_else_hears_of_it(
    wire_name: str, command: Command, kind: type[Event]
) -> None:
    async with obedient() as server, server.connect() as session:
        server.replies[wire_name] = lambda e: error("No.", code="bad", event_id=e.event_id)
        with pytest.raises(RealtimeError, match=r"No\.") as caught:
            await command(session)
        assert caught.value.code == "bad"
        await server.close()
        assert [m.event.type async for m in session] == ["session.created"]


@every_command
async def test_an_answer_that_does_not_fit_its_type_raises(
    wire_name: str, command: Command, kind: type[Event]
) -> None:
    async with obedient() as server, server.connect() as session:
        server.replies[wire_name] = lambda _: {
            "type": kind.type,
            "item": 1,
            "session": 1,
            "response": 1,
            "item_id": 1,
            "event_id": 1,
        }
        with pytest.raises(RemoteProtocolError, match="does not fit"):
            await command(session)


@every_command
async def test_a_loss_fails_a_command_with_its_reason(
    wire_name: str, command: Command, kind: type[Event]
) -> None:
    async with deaf(wire_name) as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lose_after_one, server)
            with pytest.raises(ConnectionLost):
                await command(session)


async def lose_after_one(server: ScriptedServer) -> None:
    await server.heard(1)
    await server.vanish()


@every_command
async def test_our_close_fails_a_command(
    wire_name: str, command: Command, kind: type[Event]
) -> None:
    async with deaf(wire_name) as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close_after_one, server, session)
            with pytest.raises(SessionClosed):
                await command(session)
        with pytest.raises(SessionClosed):
            await command(session)


async def close_after_one(server: ScriptedServer, session: RealtimeSession) -> None:
    await server.heard(1)
    await session.close()


@every_command
async def test_the_late_answer_to_a_cancelled_command_goes_to_nobody(
    wire_name: str, command: Command, kind: type[Event], cancel: Canceller
) -> None:
    async with deaf(wire_name) as server, server.connect() as session:
        assert await cancel(lambda: command(session), 20)
        (late,) = await server.heard(1)
        await server.say(error("Too late.", event_id=late.data["event_id"]))
        await server.close()
        assert [m.event.type async for m in session] == ["session.created"]


async def test_a_commit_of_enough_audio_returns_the_event_that_answers_it() -> None:
    async with obedient() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError, match="append more"):
            await session.commit()
        await session.send_audio(bytes(4800))
        assert isinstance(await session.commit(), InputAudioBufferCommitted)
        assert server.heard_types() == ["input_audio_buffer.append", "input_audio_buffer.commit"]


async def test_commands_of_one_kind_get_their_answers_in_their_order() -> None:
    async with deaf("input_audio_buffer.commit") as server, server.connect() as session:
        ids: dict[int, str] = {}

        async def commit(place: int) -> None:
            await session.send_audio(bytes(4800))
            ids[place] = (await session.commit()).item_id

        async with anyio.create_task_group() as tasks:
            for place in range(3):
                tasks.start_soon(commit, place)
                await server.heard(2 * place + 2)
            for place in range(3):
                await server.say({"type": "input_audio_buffer.committed", "item_id": str(place)})
        assert ids == {0: "0", 1: "1", 2: "2"}


async def test_an_error_without_an_id_answers_the_only_command_that_is_out() -> None:
    async with obedient() as server, server.connect() as session:
        server.replies["input_audio_buffer.clear"] = lambda _: error("No.")
        with pytest.raises(RealtimeError, match=r"No\."):
            await session.clear()


async def test_an_item_is_known_by_an_id_of_ours() -> None:
    async with obedient() as server, server.connect() as session:
        added = await session.create_item(HELLO)
        assert added.data["item"]["id"]
        own = await session.create_item({**item("mine")}, previous_item_id="root")
        assert own.data["item"]["id"] == "mine"
        assert server.events[-1].data["previous_item_id"] == "root"


async def test_a_response_waits_for_its_turn() -> None:
    async with obedient() as server, server.connect() as session:
        await session.respond()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.respond, ResponseParams(instructions="second"))
            await anyio.wait_all_tasks_blocked()
            assert len(server.events) == 1
            server.replies["response.create"] = lambda _: begun("resp_2")
            await server.say(ended("resp_1"))
        assert server.events[1].data["response"] == {"instructions": "second"}


async def test_a_response_that_waited_and_was_cancelled_is_never_asked_for() -> None:
    async with obedient() as server, server.connect() as session:
        await session.respond()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.respond)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        await server.say(ended("resp_1"))
        await session.clear()
        assert server.heard_types() == ["response.create", "input_audio_buffer.clear"]


async def test_cancel_names_the_response_and_returns_how_it_ended() -> None:
    async with obedient() as server, server.connect() as session:
        await session.respond()
        server.replies["response.cancel"] = lambda e: ended(e.response_id, "cancelled")
        (done,) = await session.cancel()
        assert (done.response.id, done.response.status) == ("resp_1", "cancelled")


async def test_cancel_sends_nothing_where_nothing_runs() -> None:
    async with obedient() as server, server.connect() as session:
        assert await session.cancel() == ()
        assert await session.cancel("resp_9") == ()
        await session.clear()
        assert server.heard_types() == ["input_audio_buffer.clear"]


async def test_a_cancel_that_came_too_late_is_no_error() -> None:
    async with obedient() as server, server.connect() as session:
        await session.respond()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.cancel)
            sent = (await server.heard(2))[1]
            await server.say(ended("resp_1"))
        refused = error("Too late.", code="response_cancel_not_active")
        await server.say({**refused, "error": {**refused["error"], "event_id": sent.event_id}})
        await server.say(
            {
                "type": "response.output_text.delta",
                "response_id": "r",
                "item_id": "i",
                "output_index": 0,
                "content_index": 0,
                "delta": "on",
            }
        )
        await server.close()
        received = [message async for message in session]
        assert texts_of(received) == ["on"]


async def test_bad_input_to_a_command_sends_nothing() -> None:
    async with obedient() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError, match="nothing was sent"):
            await session.update({"type": "realtime", "modalities": ["audio"]})
        with pytest.raises(LocalProtocolError):
            await session.truncate("i", "soon")  # type: ignore[arg-type]
        await session.clear()
        assert server.heard_types() == ["input_audio_buffer.clear"]


async def test_the_conversation_can_be_asked_for_what_it_has_come_to() -> None:
    async with obedient() as server, server.connect() as session:
        await session.create_item({**item("mine")})
        assert [record.id for record in session.conversation.items] == ["mine"]
        assert session.conversation.session_id == session.id


async def test_a_response_that_waits_for_its_turn_is_not_asked_for_after_a_cancel() -> None:
    async with obedient() as server, server.connect() as session:
        server.replies["response.cancel"] = lambda event: ended(event.response_id, "cancelled")
        await session.respond()
        async with anyio.create_task_group() as tasks:

            async def respond() -> None:
                with pytest.raises(LocalProtocolError, match="cancel"):
                    await session.respond()

            tasks.start_soon(respond)
            await anyio.wait_all_tasks_blocked()
            (last,) = await session.cancel()
            assert last.response.status == "cancelled"
        assert server.heard_types() == ["response.create", "response.cancel"]


async def test_cancels_leave_from_a_cancelled_scope_and_before_what_waits_for_room() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server, server.connect() as session:
        server.replies |= REPLIES
        await server.say(begun("r1"), begun("r2"))
        await anyio.wait_all_tasks_blocked()
        for _ in range(64):
            await session.send({"type": "input_audio_buffer.clear"})
            await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.send, {"type": "input_audio_buffer.clear"})
            await anyio.wait_all_tasks_blocked()
            with anyio.CancelScope() as scope:
                scope.cancel()
                await session.cancel()
            server.read()
        await server.heard(67)
        heard = server.heard_types()
        assert heard.count("response.cancel") == 2
        assert heard.index("response.cancel") < len(heard) - 1


async def test_a_command_that_has_not_left_is_answered_by_nothing_that_comes() -> None:
    committed = {"type": "input_audio_buffer.committed", "item_id": "vad"}
    async with ScriptedServer(max_batches=1, reads=False) as server, server.connect() as session:
        await session.send_audio(bytes(9600))
        await anyio.wait_all_tasks_blocked()
        await session.send({"type": "input_audio_buffer.clear"})
        await anyio.wait_all_tasks_blocked()
        await session.send_audio(bytes(9600))
        ids: list[str] = []

        async def commit() -> None:
            ids.append((await session.commit()).item_id)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(commit)
            await anyio.wait_all_tasks_blocked()
            await server.say(committed)
            await anyio.wait_all_tasks_blocked()
            assert ids == []
            server.read()
            await server.heard(4)
            await server.say({**committed, "item_id": "ours"})
        assert ids == ["ours"]
