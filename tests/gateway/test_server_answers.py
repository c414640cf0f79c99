"""What a model answers, part by part, and the items and events that come of it."""

import json
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from meshrt.audio import chunks
from meshrt.gateway import Call, Fail, Interleave, Refuse, Say
from meshrt.gateway._answer import answer_of

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

CREATE = {"type": "response.create"}
TEXT = {"output_modalities": ["text"]}
OPENED = ["response.output_item.added", "conversation.item.added"]
CLOSED = ["conversation.item.done", "response.output_item.done"]
WRITTEN = [
    *OPENED,
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    *CLOSED,
]
CALLED = [
    *OPENED,
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    *CLOSED,
]
ENDED = ["response.done", "rate_limits.updated"]
WEATHER = Call("weather", {"city": "Zürich", "days": 3}, call_id="call_mine")


def types(events: Iterable[Json]) -> list[str]:
    """Return the types in order, a run of deltas as one."""
    names: list[str] = []
    for event in events:
        if not (event["type"].endswith(".delta") and event["type"] in names[-1:]):
            names.append(event["type"])
    return names


def of_type(events: Iterable[Json], wire_name: str) -> list[Json]:
    return [event for event in events if event["type"] == wire_name]


async def answered(wire: Any, **params: Any) -> list[Json]:
    await wire.say({**CREATE, "response": {**TEXT, **params}})
    events: list[Json] = await wire.until("response.done")
    if events[-1]["response"]["output"]:
        events.append(await wire.hear())
    return events


async def test_each_part_becomes_an_item_in_order(talk: Talk, fixed: Any) -> None:
    model = fixed([Say("One moment."), WEATHER])
    async with talk(model=model) as wire:
        events = await answered(wire)

    assert types(events) == ["response.created", *WRITTEN, *CALLED, *ENDED]
    first, second = [e["item"] for e in of_type(events, "response.output_item.done")]
    assert [e["output_index"] for e in of_type(events, "response.output_item.done")] == [0, 1]
    assert events[-2]["response"]["output"] == [first, second]
    added = of_type(events, "conversation.item.added")
    assert added[1]["previous_item_id"] == added[0]["item"]["id"] == first["id"]


async def test_a_call_has_a_name_arguments_and_an_id_to_quote(talk: Talk, fixed: Any) -> None:
    async with talk(model=fixed([WEATHER])) as wire:
        events = await answered(wire)

    [added] = of_type(events, "response.output_item.added")
    assert (
        added["item"].items()
        >= {
            "type": "function_call",
            "name": "weather",
            "call_id": "call_mine",
            "arguments": "",
            "status": "in_progress",
        }.items()
    )
    deltas = of_type(events, "response.function_call_arguments.delta")
    [done] = of_type(events, "response.function_call_arguments.done")
    assert len(deltas) > 3
    assert "".join(e["delta"] for e in deltas) == done["arguments"]
    assert json.loads(done["arguments"]) == {"city": "Zürich", "days": 3}
    assert (done["name"], done["call_id"]) == ("weather", "call_mine")
    [item] = events[-2]["response"]["output"]
    assert (item["arguments"], item["status"]) == (done["arguments"], "completed")


async def test_arguments_may_be_any_text_and_an_id_is_made_up(talk: Talk, fixed: Any) -> None:
    async with talk(model=fixed([Call("weather", '{"city": '), Call("news")])) as wire:
        events = await answered(wire)

    broken, empty = events[-2]["response"]["output"]
    assert (broken["arguments"], empty["arguments"]) == ('{"city": ', "")
    assert broken["call_id"].startswith("call_")
    assert broken["call_id"] != empty["call_id"]
    assert len(of_type(events, "response.function_call_arguments.done")) == 2


async def test_items_that_are_made_at_the_same_time_take_turns(talk: Talk, fixed: Any) -> None:
    parts: list[Say | Call] = [Say("It will rain."), Call("news", "{}")]
    async with talk(model=fixed([Interleave(parts), Say("Done.")])) as wire:
        events = await answered(wire)

    order = [(e["type"].rpartition(".")[2], e["output_index"])
             for e in events if "output_index" in e]  # fmt: skip
    assert order == [
        ("added", 0), ("added", 0), ("delta", 0),
        ("added", 1), ("delta", 1), ("delta", 0),
        ("done", 1), ("done", 1), ("delta", 0),
        ("done", 0), ("done", 0), ("done", 0),
        ("added", 2), ("added", 2), ("delta", 2), ("done", 2), ("done", 2), ("done", 2),
    ]  # fmt: skip
    assert [item["type"] for item in events[-2]["response"]["output"]] == [
        "message", "function_call", "message",
    ]  # fmt: skip
    assert events[-2]["response"]["status"] == "completed"


async def test_two_messages_are_spoken_at_once_and_keyed_by_their_items(
    talk: Talk, fixed: Any
) -> None:
    model = fixed([Interleave([Say("One two."), Say("Three.")])])
    async with talk(model=model) as wire:
        await wire.say(CREATE)
        events = await wire.until("response.done")

    said: dict[str, str] = {}
    for event in of_type(events, "response.output_audio_transcript.delta"):
        said[event["item_id"]] = said.get(event["item_id"], "") + event["delta"]
    sounding = {event["item_id"] for event in of_type(events, "response.output_audio.delta")}
    assert list(said.values()) == ["One two.", "Three."]
    assert sounding == said.keys()


@pytest.mark.parametrize(("text", "items"), [("I'd rather", 1), ("", 0)])
async def test_what_the_filter_cuts_is_incomplete(
    talk: Talk, fixed: Any, text: str, items: int
) -> None:
    async with talk(model=fixed([Refuse(text), Say("Never said.")])) as wire:
        events = await answered(wire)
        await wire.say({"type": "unknown"})
        after = await wire.hear()

    response = of_type(events, "response.done")[0]["response"]
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "content_filter"}
    assert [item["status"] for item in response["output"]] == ["incomplete"] * items
    assert [item["content"][0]["text"] for item in response["output"]] == [text] * items
    assert after["type"] == "error"


@pytest.mark.parametrize(
    ("code", "kind"), [("rate_limit_exceeded", "invalid_request_error"), (None, "server_error")]
)
async def test_a_response_fails_with_what_it_made_so_far(
    talk: Talk, fixed: Any, code: str | None, kind: str
) -> None:
    answer = [Say("Well,"), Fail(code, "No more today."), Say("Never said.")]
    async with talk(model=fixed(answer)) as wire:
        events = await answered(wire)
        again = await answered(wire)

    response = events[-2]["response"]
    assert response["status"] == "failed"
    assert response["status_details"] == {
        "type": "failed",
        "error": {"type": kind, "code": code, "message": "No more today."},
    }
    assert [item["status"] for item in response["output"]] == ["completed"]
    assert again[0]["type"] == "response.created"


async def test_an_answer_of_nothing_is_a_response_without_items(talk: Talk, fixed: Any) -> None:
    async with talk(model=fixed([])) as wire:
        events = await answered(wire)

    assert types(events) == ["response.created", "response.done"]
    assert events[-1]["response"]["status"] == "completed"


@pytest.mark.parametrize("reply", [7, None, [Say("Yes."), "no"]], ids=repr)
async def test_a_reply_of_something_else_is_a_bug_of_the_model(
    talk: Talk, fixed: Any, reply: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with talk(model=fixed(reply)) as wire:
        await wire.say(CREATE)
        events, code, _ = await wire.end()

    assert (events[-1]["error"]["code"], code) == ("internal_error", 1011)
    assert "a model replies with text or with a sequence of Say(…)" in caplog.text
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.name == "meshrt.gateway"


def test_a_text_is_what_is_said() -> None:
    assert answer_of("Hello.") == (Say("Hello."),)


async def test_a_response_makes_no_more_tokens_than_it_may(talk: Talk, fixed: Any) -> None:
    model = fixed([Say("One two."), Say("Three four five six.")])
    async with talk(model=model) as wire:
        events = await answered(wire, max_output_tokens=4)

    response = events[-2]["response"]
    assert (response["status"], response["max_output_tokens"]) == ("incomplete", 4)
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["output"][1]["content"][0]["text"] == "Three four"
    assert response["usage"]["output_tokens"] == 4


async def test_audio_counts_against_the_tokens_of_the_session(
    talk: Talk, fixed: Any, update: Callable[..., Json]
) -> None:
    async with talk(model=fixed("A word.")) as wire:
        await wire.say(update(max_output_tokens=4), CREATE)
        events = await wire.until("response.done")

    usage = events[-1]["response"]["usage"]
    assert usage["output_token_details"] == {"text_tokens": 1, "audio_tokens": 2}
    assert len(of_type(events, "response.output_audio.delta")) == 1
    assert events[-1]["response"]["status_details"]["reason"] == "max_output_tokens"


async def test_a_cancelled_response_ends_all_its_open_items(
    talk: Talk, fixed: Any, append: Callable[[bytes], Json], train: bytes
) -> None:
    words = "word " * 50_000
    model = fixed([Interleave([Say(words), Call("news", words)])])
    async with talk(model=model) as wire:
        await wire.say({**CREATE, "response": TEXT})
        await wire.until("response.function_call_arguments.delta")
        await wire.say(append(train[: len(train) // 4 * 2]))
        events = await wire.until("response.done")

    names = types(events)
    after = names[names.index("input_audio_buffer.speech_started") + 1 :]
    assert after == [*WRITTEN[4:], *CALLED[3:], "response.done"]
    response = events[-1]["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert [item["status"] for item in response["output"]] == ["incomplete"] * 2


async def test_a_model_is_told_all_that_it_may_want_to_know(
    talk: Talk, fixed: Any, update: Callable[..., Json], write: Callable[..., Json]
) -> None:
    model = fixed([WEATHER])
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    shown = {"type": "message", "role": "user", "content": [image]}
    output = {"type": "function_call_output", "call_id": "call_mine", "output": "Rain."}
    async with talk(model=model) as wire:
        await wire.say(update(instructions="Be brief.", tools=[tool], tool_choice="required"))
        await wire.say(write("Will it rain?"), {"type": "conversation.item.create", "item": shown})
        await answered(wire)
        await wire.say({"type": "conversation.item.create", "item": output})
        await answered(wire, instructions="", tools=[], tool_choice="none")

    first, second = model.heard
    assert (first.text, len(first.images)) == ("Will it rain?", 1)
    assert (first.instructions, first.tool_choice) == ("Be brief.", "required")
    assert [tool.name for tool in first.tools] == ["weather"]
    assert [item.type for item in first.history] == ["message", "message"]
    assert (second.parts, second.tools, second.instructions) == ((), (), "")
    assert second.tool_choice == "none"
    assert [item.output for item in second.tool_outputs] == ["Rain."]
    assert [item.type for item in second.history] == [
        "message", "message", "function_call", "function_call_output",
    ]  # fmt: skip


async def test_images_and_outputs_are_told_honestly(
    talk: Talk, write: Callable[..., Json]
) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    shown = {"type": "message", "role": "user", "content": [image, image]}
    output = {"type": "function_call_output", "call_id": "c", "output": "Rain."}
    async with talk() as wire:
        for item in (shown, output):
            await wire.say({"type": "conversation.item.create", "item": item})
        events = await answered(wire)

    [done] = of_type(events, "response.output_text.done")
    assert done["text"] == 'You showed me 2 images. A function returned: "Rain.".'
    details = events[-2]["response"]["usage"]["input_token_details"]
    assert details["image_tokens"] == 170


async def test_usage_counts_what_was_read_once_more_as_cached(
    talk: Talk, fixed: Any, update: Callable[..., Json], write: Callable[..., Json]
) -> None:
    async with talk(model=fixed("One two three.")) as wire:
        await wire.say(update(instructions="Be very brief."), write("Four words are here."))
        first = (await answered(wire))[-2]["response"]["usage"]
        await wire.say(write("And two."))
        events = await answered(wire)

    second = events[-2]["response"]["usage"]
    assert (first["input_tokens"], first["output_tokens"], first["total_tokens"]) == (7, 3, 10)
    assert first["input_token_details"]["cached_tokens"] == 0
    assert (second["input_tokens"], second["total_tokens"]) == (12, 15)
    assert second["input_token_details"] == {
        "text_tokens": 12,
        "audio_tokens": 0,
        "image_tokens": 0,
        "cached_tokens": 7,
        "cached_tokens_details": {"text_tokens": 7, "audio_tokens": 0, "image_tokens": 0},
    }
    [limit] = events[-1]["rate_limits"]
    assert limit["name"] == "tokens"
    assert limit["limit"] - 25 <= limit["remaining"] < limit["limit"]
    assert 0 < limit["reset_seconds"] < 60


async def test_deltas_hide_their_length(talk: Talk, fixed: Any) -> None:
    async with talk(model=fixed([Say("a lengthy word and a short"), WEATHER])) as wire:
        events = await answered(wire)

    deltas = [event for event in events if event["type"].endswith(".delta")]
    assert {len(e["delta"] + e["obfuscation"]) for e in deltas} == {16}


REFUSED = {
    "conversation": ({"conversation": "mine"}, "response.conversation", "invalid_value"),
    "unknown": ({"colour": "red"}, "response.colour", "unknown_parameter"),
    "tokens": ({"max_output_tokens": 0}, "response.max_output_tokens", "integer_below_min_value"),
    "format": (
        {"audio": {"output": {"format": {"type": "audio/opus"}}}},
        "response.audio.output.format.type",
        "invalid_value",
    ),
    "metadata": (
        {"metadata": {str(n): "" for n in range(17)}},
        "response.metadata",
        "object_above_max_properties",
    ),
    "long_metadata": (
        {"metadata": {"a": "b" * 513}}, "response.metadata", "string_above_max_length",
    ),
    "metadata_of_numbers": ({"metadata": {"a": 1}}, "response.metadata.a", "invalid_type"),
    "choice": ({"tool_choice": "perhaps"}, "response.tool_choice", "invalid_value"),
    "input": ({"input": [{"type": "thought"}]}, "item.type", "invalid_value"),
}  # fmt: skip


@pytest.mark.parametrize(("params", "param", "code"), REFUSED.values(), ids=REFUSED)
async def test_a_response_that_is_refused_does_not_begin(
    talk: Talk, params: Json, param: str, code: str
) -> None:
    async with talk() as wire:
        await wire.say({**CREATE, "event_id": "mine", "response": params})

        error = await wire.error()
        assert (error["param"], error["code"], error["event_id"]) == (param, code, "mine")
        assert (await answered(wire))[0]["type"] == "response.created"


async def test_the_voice_stays_once_it_was_heard(talk: Talk, update: Callable[..., Json]) -> None:
    def cedar() -> Json:
        return update(audio={"output": {"voice": "cedar"}})

    async with talk() as wire:
        await wire.say(cedar(), {**CREATE, "response": TEXT})
        await wire.until("rate_limits.updated")
        await wire.say(update(audio={"output": {"voice": "marin"}}), CREATE)
        await wire.until("rate_limits.updated")
        await wire.say(cedar())
        error = await wire.error()
        await wire.say(update(audio={"output": {"voice": "marin", "speed": 1.2}}))

        assert error["code"] == "cannot_update_voice"
        assert "if assistant audio is present" in error["message"]
        assert (await wire.hear())["type"] == "session.updated"


async def test_speed_makes_an_answer_shorter(
    talk: Talk, update: Callable[..., Json], append: Callable[[bytes], Json], train: bytes
) -> None:
    lengths = []
    for speed in (1.0, 1.5):
        async with talk() as wire:
            await wire.say(update(audio={"output": {"speed": speed}}))
            for chunk in chunks(train, 100):
                await wire.say(append(chunk))
            events = await wire.until("response.done")
            deltas = of_type(events, "response.output_audio.delta")
            lengths.append(sum(len(e["delta"]) for e in deltas))

    assert lengths[1] == pytest.approx(lengths[0] / 1.5, rel=0.01)


async def test_an_item_that_is_cut_while_it_is_said_stays_cut(
    talk: Talk, fixed: Any, update: Callable[..., Json]
) -> None:
    class Slow:
        async def speak(self, text: str, *, heard: bytes) -> bytes:
            return bytes(120_000 * 48)

    async with talk(model=fixed("Hello there."), voice=Slow()) as wire:
        await wire.say(CREATE)
        events = await wire.until("response.output_audio.delta")
        item_id = events[-1]["item_id"]
        cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
        await wire.say({**cut, "audio_end_ms": 40}, {**cut, "audio_end_ms": 50})
        await wire.until("conversation.item.truncated")
        assert (
            "40ms is already shorter than 50ms"
            in (await wire.until("error"))[-1]["error"]["message"]
        )
        await wire.until("response.done")
        await wire.say({"type": "conversation.item.retrieve", "item_id": item_id})
        [part] = (await wire.until("conversation.item.retrieved"))[-1]["item"]["content"]

    assert "transcript" not in part
    assert len(part["audio"]) == 40 * 64


async def test_a_message_is_not_cut_before_it_sounds(talk: Talk, fixed: Any) -> None:
    async with talk(model=fixed("word " * 50_000)) as wire:
        await wire.say({**CREATE, "response": TEXT})
        item_id = (await wire.until("response.output_text.delta"))[-1]["item_id"]
        cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
        await wire.say({**cut, "audio_end_ms": 0}, {"type": "response.cancel"})

        assert (await wire.until("error"))[-1]["error"]["message"] == (
            "Only model output audio messages can be truncated."
        )


async def test_a_part_that_is_not_there_is_not_cut(talk: Talk) -> None:
    async with talk() as wire:
        await wire.say(CREATE)
        done = (await wire.until("rate_limits.updated"))[-2]["response"]["output"][0]
        cut = {"type": "conversation.item.truncate", "item_id": done["id"], "audio_end_ms": 0}
        await wire.say({**cut, "content_index": 1})

        assert (await wire.error())["param"] == "content_index"
