"""The items of a conversation: put in, taken out, given back, cut short."""

import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from meshrt.audio import duration_ms

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

CREATE = {"type": "response.create"}


def delete(item_id: str) -> Json:
    return {"type": "conversation.item.delete", "item_id": item_id}


def retrieve(item_id: str) -> Json:
    return {"type": "conversation.item.retrieve", "item_id": item_id}


def truncate(item_id: str, audio_end_ms: int) -> Json:
    place = {"item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
    return {"type": "conversation.item.truncate", **place}


async def spoken_answer(wire: Any, append: Callable[[bytes], Json], train: bytes) -> list[Json]:
    await wire.say(append(train))
    events: list[Json] = await wire.until("rate_limits.updated")
    return events


async def test_an_item_goes_to_the_end_under_the_id_that_it_brings(
    talk: Talk, write: Callable[..., Json]
) -> None:
    async with talk() as wire:
        await wire.say(write("One.", id="one"), write("Two.", id="two"))
        events = [await wire.hear() for _ in range(4)]

        assert [(e["type"], e["item"]["id"], e["previous_item_id"]) for e in events] == [
            ("conversation.item.added", "one", None),
            ("conversation.item.done", "one", None),
            ("conversation.item.added", "two", "one"),
            ("conversation.item.done", "two", "one"),
        ]
        assert events[0]["item"]["status"] == "completed"
        assert events[0]["item"]["content"] == [{"type": "input_text", "text": "One."}]


async def test_an_item_without_an_id_gets_one(talk: Talk, write: Callable[..., Json]) -> None:
    async with talk() as wire:
        await wire.say(write("One."), write("Two."))
        first, _, second, _ = [await wire.hear() for _ in range(4)]

        assert first["item"]["id"].startswith("item_")
        assert second["previous_item_id"] == first["item"]["id"] != second["item"]["id"]


@pytest.mark.parametrize(
    ("previous", "before", "order"),
    [("one", "one", "One. Between. Two."), ("root", None, "Between. One. Two.")],
)
async def test_an_item_goes_behind_another_or_to_the_front(
    talk: Talk, write: Callable[..., Json], previous: str, before: str | None, order: str
) -> None:
    async with talk() as wire:
        await wire.say(write("One.", id="one"), write("Two.", id="two"))
        await wire.say(write("Between.", previous_item_id=previous))
        events = [await wire.hear() for _ in range(6)]
        await wire.say({**CREATE, "response": {"output_modalities": ["text"]}})
        said = (await wire.until("response.output_text.done"))[-1]["text"]

        assert events[4]["previous_item_id"] == before
        assert said == f'You wrote: "{order}".'


async def test_an_item_does_not_go_behind_one_that_is_not_there(
    talk: Talk, write: Callable[..., Json]
) -> None:
    async with talk() as wire:
        await wire.say(write("One.", id="one", previous_item_id="nobody", event_id="mine"))
        error = await wire.error()
        await wire.say(retrieve("one"))

        assert (error["param"], error["event_id"]) == ("previous_item_id", "mine")
        assert "'nobody' not found" in error["message"]
        assert "'one' not found" in (await wire.error())["message"]


async def test_an_id_is_taken_once(talk: Talk, write: Callable[..., Json]) -> None:
    async with talk() as wire:
        await wire.say(write("One.", id="one"), write("Another.", id="one"), retrieve("one"))
        events = await wire.until("conversation.item.retrieved")

        assert [e["error"]["param"] for e in events if e["type"] == "error"] == ["item.id"]
        assert events[-1]["item"]["content"][0]["text"] == "One."


@pytest.mark.parametrize(
    "item",
    [
        {"type": "function_call", "name": "trains", "call_id": "c", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "at noon"},
        {
            "type": "message",
            "role": "system",
            "content": [{"type": "input_text", "text": "Be brief."}],
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello."}],
        },
    ],
    ids=lambda item: item.get("role", item["type"]),
)
async def test_items_of_every_kind_are_kept_as_they_came(talk: Talk, item: Json) -> None:
    async with talk() as wire:
        await wire.say({"type": "conversation.item.create", "item": {**item, "id": "it"}})
        await wire.say(retrieve("it"))
        kept = (await wire.until("conversation.item.retrieved"))[-1]["item"]

        assert kept == {**item, "id": "it", "object": "realtime.item", "status": "completed"}


async def test_an_item_of_a_kind_that_is_not_kept_is_refused(talk: Talk) -> None:
    async with talk() as wire:
        item = {"type": "thought", "id": "it"}
        await wire.say({"type": "conversation.item.create", "item": item})

        error = await wire.error()
        assert error["param"] == "item.type"
        assert item["type"] in error["message"]


@pytest.mark.parametrize(
    ("item", "code", "param", "words"),
    [
        ({"type": "message"}, "missing_required_parameter", "item.role", "Missing"),
        ({"type": "message", "role": None}, "missing_required_parameter", "item.role", "Missing"),
        ({"type": "message", "role": "actor"}, "invalid_value", "item.role", "'user'"),
        ({"role": "user"}, "missing_required_parameter", "item.type", "Missing"),
    ],
)
async def test_a_message_without_a_role_is_told_so(
    talk: Talk, item: Json, code: str, param: str, words: str
) -> None:
    async with talk() as wire:
        await wire.say({"type": "conversation.item.create", "item": {**item, "content": []}})

        error = await wire.error()
        assert (error["code"], error["param"]) == (code, param)
        assert words in error["message"]


async def test_a_deleted_item_is_gone(talk: Talk, write: Callable[..., Json]) -> None:
    async with talk() as wire:
        await wire.say(write("One.", id="one"), delete("one"), retrieve("one"), delete("one"))
        events = [await wire.hear() for _ in range(5)]

        assert (events[2]["type"], events[2]["item_id"]) == ("conversation.item.deleted", "one")
        assert [event["type"] for event in events[3:]] == ["error", "error"]
        await wire.say({**CREATE, "response": {"output_modalities": ["text"]}})
        said = (await wire.until("response.output_text.done"))[-1]["text"]
        assert said == "I heard nothing yet."


async def test_only_a_retrieved_item_gives_its_audio_back(
    talk: Talk, update: Callable[..., Json], append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(update(turn_detection=None), append(train))
        await wire.say({"type": "input_audio_buffer.commit"})
        done = (await wire.until("conversation.item.done"))[-1]["item"]
        await wire.say(retrieve(done["id"]))
        retrieved = (await wire.hear())["item"]

        assert done["content"] == [{"type": "input_audio", "transcript": None}]
        assert base64.b64decode(retrieved["content"][0]["audio"]) == train


async def test_an_answer_is_cut_where_the_client_stopped_playing_it(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        events = await spoken_answer(wire, append, train)
        item_id = events[-2]["response"]["output"][0]["id"]
        deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
        audio = b"".join(map(base64.b64decode, deltas))
        await wire.say(truncate(item_id, 1_000), retrieve(item_id))
        truncated, retrieved = [await wire.hear() for _ in range(2)]

        assert truncated.pop("event_id")
        assert truncated == {
            "type": "conversation.item.truncated",
            "item_id": item_id,
            "content_index": 0,
            "audio_end_ms": 1_000,
        }
        # Nobody knows which of its words were heard.
        [part] = retrieved["item"]["content"]
        assert part == {"type": "output_audio", "audio": base64.b64encode(audio[:48_000]).decode()}


async def test_an_answer_is_not_cut_behind_its_end(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        events = await spoken_answer(wire, append, train)
        item_id = events[-2]["response"]["output"][0]["id"]
        deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
        end = round(sum(duration_ms(base64.b64decode(delta)) for delta in deltas))
        await wire.say(truncate(item_id, end + 1), truncate(item_id, end))

        error = await wire.error()
        assert error["message"] == (
            f"Audio content of {end}ms is already shorter than {end + 1}ms"
        )
        assert error["param"] == "audio_end_ms"
        assert (await wire.hear())["type"] == "conversation.item.truncated"


@pytest.mark.parametrize("first", [0, 500])
async def test_an_answer_that_was_cut_is_not_cut_longer(
    talk: Talk, append: Callable[[bytes], Json], train: bytes, first: int
) -> None:
    async with talk() as wire:
        events = await spoken_answer(wire, append, train)
        item_id = events[-2]["response"]["output"][0]["id"]
        await wire.say(truncate(item_id, first), truncate(item_id, first + 1))

        assert (await wire.hear())["type"] == "conversation.item.truncated"
        assert f"{first}ms is already shorter" in (await wire.error())["message"]


async def test_an_answer_is_not_cut_before_its_beginning(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        events = await spoken_answer(wire, append, train)
        await wire.say(truncate(events[-2]["response"]["output"][0]["id"], -1))

        assert (await wire.error())["code"] == "integer_below_min_value"


async def test_only_speech_of_the_model_is_cut(
    talk: Talk, append: Callable[[bytes], Json], write: Callable[..., Json], train: bytes
) -> None:
    async with talk() as wire:
        question = (await spoken_answer(wire, append, train))[0]["item_id"]
        await wire.say(write("One.", id="one"))
        await wire.say({**CREATE, "response": {"output_modalities": ["text"]}})
        written = (await wire.until("rate_limits.updated"))[-2]["response"]["output"][0]["id"]

        for item_id in (question, "one", written):
            await wire.say(truncate(item_id, 0))
            assert (await wire.error())["message"] == (
                "Only model output audio messages can be truncated."
            )


@pytest.mark.parametrize("ask", [delete, retrieve, lambda item_id: truncate(item_id, 0)])
async def test_an_unknown_item_is_named_in_the_error(
    talk: Talk, ask: Callable[[str], Json]
) -> None:
    async with talk() as wire:
        await wire.say({**ask("nobody"), "event_id": "mine"})

        error = await wire.error()
        assert error["message"] == "Item with ID 'nobody' not found."
        assert error["event_id"] == "mine"
