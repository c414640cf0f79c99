"""What starts a response, what stops it, and what one beside the conversation is."""

import base64
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from meshrt.audio import chunks
from meshrt.gateway import EchoVoice, Heard, HonestModel, serve

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

CREATE, CANCEL = {"type": "response.create"}, {"type": "response.cancel"}
TEXT = {"output_modalities": ["text"]}
NOTHING_SAID = {"type": "cancelled", "reason": "turn_detected"}


async def test_speech_during_a_response_cancels_it_with_nothing_said(
    talk: Talk, thinker: Any, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk(model=thinker) as wire:
        await wire.say(append(train))
        await wire.until("response.created")
        await thinker.asked.wait()
        await wire.say(append(train[: len(train) // 4 * 2]))

        assert (await wire.hear())["type"] == "input_audio_buffer.speech_started"
        done = await wire.hear()
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"] == NOTHING_SAID
        assert done["response"]["output"] == []
        assert done["response"]["usage"]["output_tokens"] == 0


class LongVoice:
    """Speaks for ten minutes: far more than any socket holds."""

    async def speak(self, text: str, *, heard: bytes) -> bytes:
        return bytes(10 * 60 * 48_000)


async def test_speech_cuts_an_answer_off_that_nobody_has_read_yet(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk(voice=LongVoice()) as wire:
        await wire.say(append(train))
        await wire.until("response.output_audio.delta")
        await wire.say(append(train))
        events = await wire.until("response.done")
        names = [event["type"] for event in events]

        deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
        assert sum(map(len, deltas)) < 10 * 60 * 64_000
        assert names.index("input_audio_buffer.speech_started") < names.index(
            "response.output_audio.done"
        )
        response = events[-1]["response"]
        assert response["status_details"] == NOTHING_SAID
        assert response["output"][0]["status"] == "incomplete"
        assert (await wire.until("response.created"))[-1]["response"]["id"] != response["id"]


async def test_speech_does_not_interrupt_where_it_must_not(
    talk: Talk,
    thinker: Any,
    update: Callable[..., Json],
    append: Callable[[bytes], Json],
    train: bytes,
) -> None:
    async with talk(model=thinker) as wire:
        detection = {"type": "server_vad", "interrupt_response": False, "create_response": False}
        await wire.say(update(turn_detection=detection), CREATE, append(train))
        await wire.until("conversation.item.done")
        thinker.may_answer.set()

        assert (await wire.until("response.done"))[-1]["response"]["status"] == "completed"


async def test_a_turn_that_ends_during_a_response_is_refused_an_answer_and_heard(
    talk: Talk,
    thinker: Any,
    update: Callable[..., Json],
    append: Callable[[bytes], Json],
    two_turns: bytes,
) -> None:
    async with talk(model=thinker) as wire:
        detection = {"type": "server_vad", "interrupt_response": False}
        await wire.say(update(turn_detection=detection), CREATE)
        await wire.say({**append(two_turns), "event_id": "mine"}, {"type": "unknown"})
        events = await wire.until("error")
        events += await wire.until("error")
        events += await wire.until("error")

    first, second, unknown = [e["error"] for e in events if e["type"] == "error"]
    assert first["code"] == second["code"] == "conversation_already_has_active_response"
    # The audio is not to blame.
    assert (first["event_id"], unknown["param"]) == (None, "type")
    stopped = [e for e in events if e["type"] == "input_audio_buffer.speech_stopped"]
    assert len(stopped) == 2


async def test_a_second_response_in_the_conversation_is_refused_while_one_runs(
    talk: Talk, thinker: Any
) -> None:
    async with talk(model=thinker) as wire:
        await wire.say(CREATE, {**CREATE, "event_id": "mine"})
        response = (await wire.hear())["response"]

        error = await wire.error()
        assert error["code"] == "conversation_already_has_active_response"
        assert error["event_id"] == "mine"
        assert response["id"] in error["message"]
        thinker.may_answer.set()
        assert (await wire.until("response.done"))[-1]["response"]["id"] == response["id"]


@pytest.mark.parametrize("by_id", [True, False])
async def test_a_response_is_cancelled_as_the_client_asks(
    talk: Talk, thinker: Any, by_id: bool
) -> None:
    async with talk(model=thinker) as wire:
        await wire.say(CREATE)
        response = (await wire.hear())["response"]
        await thinker.asked.wait()
        await wire.say({**CANCEL, "response_id": response["id"]} if by_id else CANCEL)

        done = (await wire.hear())["response"]
        assert done["id"] == response["id"]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        thinker.may_answer.set()
        await wire.say(CREATE)
        assert (await wire.until("response.done"))[0]["type"] == "response.created"


class InAHurry:
    """A model that waits for nothing, not even once."""

    async def reply(self, heard: Heard) -> str:
        return "At once."


async def test_a_response_cancelled_before_it_ran_says_nothing_and_ends_once(talk: Talk) -> None:
    async with talk(model=InAHurry()) as wire:
        await wire.say({**CREATE, "response": TEXT}, CANCEL, {"type": "unknown"})
        events = await wire.until("error")
        await wire.say({"type": "unknown"})
        events += await wire.until("error")

        names = [event["type"] for event in events]
        assert names == ["response.created", "response.done", "error", "error"]


@pytest.mark.parametrize("response_id", [None, "resp_nobody"])
async def test_there_may_be_nothing_to_cancel(talk: Talk, response_id: str | None) -> None:
    async with talk() as wire:
        await wire.say({**CANCEL, **({"response_id": response_id} if response_id else {})})

        error = await wire.error()
        assert error["code"] == "response_cancel_not_active"
        assert error["message"] == "Cancellation failed: no active response found"


async def test_a_response_that_is_done_is_not_cancelled(talk: Talk) -> None:
    async with talk() as wire:
        await wire.say(CREATE)
        done = (await wire.until("response.done"))[-1]["response"]
        await wire.say({**CANCEL, "response_id": done["id"]})

        assert (await wire.until("error"))[-1]["error"]["code"] == "response_cancel_not_active"


async def test_a_response_beside_the_conversation_runs_while_one_runs_in_it(
    talk: Talk, thinker: Any
) -> None:
    async with talk(model=thinker) as wire:
        params = {"conversation": "none", "metadata": {"topic": "weather"}, **TEXT}
        await wire.say(CREATE, {**CREATE, "response": params})
        inside, outside = [(await wire.hear())["response"] for _ in range(2)]
        assert inside["conversation_id"] is not None
        assert (outside["conversation_id"], outside["metadata"]) == (None, {"topic": "weather"})

        await wire.say({**CANCEL, "response_id": outside["id"]})
        done = (await wire.hear())["response"]
        assert (done["id"], done["metadata"]) == (outside["id"], {"topic": "weather"})
        thinker.may_answer.set()
        done = (await wire.until("response.done"))[-1]["response"]
        assert (done["id"], done["status"]) == (inside["id"], "completed")


async def test_a_response_beside_the_conversation_hears_its_input_and_leaves_no_item(
    talk: Talk, write: Callable[..., Json]
) -> None:
    async with talk() as wire:
        await wire.say(write("In the conversation.", id="kept"), write("Not asked about."))
        await wire.until("conversation.item.done")
        await wire.until("conversation.item.done")
        given = [{"type": "item_reference", "id": "kept"}, write("And this.")["item"]]
        params = {"conversation": "none", "input": given, **TEXT}
        await wire.say({**CREATE, "response": params})
        events = await wire.until("rate_limits.updated")

        said = next(e["text"] for e in events if e["type"] == "response.output_text.done")
        assert said == 'You wrote: "In the conversation. And this.".'
        assert not [e for e in events if e["type"].startswith("conversation.")]
        item_id = events[-2]["response"]["output"][0]["id"]
        await wire.say({"type": "conversation.item.retrieve", "item_id": item_id})
        assert "not found" in (await wire.error())["message"]


async def test_no_input_is_not_the_conversation(talk: Talk, write: Callable[..., Json]) -> None:
    async with talk() as wire:
        await wire.say(write("Hello."), {**CREATE, "response": {"input": [], **TEXT}})
        events = await wire.until("response.output_text.done")

        assert events[-1]["text"] == "I heard nothing yet."


async def test_a_reference_to_no_item_is_refused(talk: Talk) -> None:
    async with talk() as wire:
        given = [{"type": "item_reference", "id": "nobody"}]
        await wire.say({**CREATE, "response": {"input": given}})

        assert "nobody" in (await wire.error())["message"]


@pytest.mark.parametrize("modalities", [["text", "audio"], ["smell"]])
async def test_a_response_in_what_is_neither_text_nor_audio_is_refused(
    talk: Talk, modalities: list[str]
) -> None:
    async with talk() as wire:
        await wire.say({**CREATE, "response": {"output_modalities": modalities}})

        assert (await wire.error())["param"] == "response.output_modalities"


async def test_a_turn_is_what_came_since_the_last_answer(
    talk: Talk, write: Callable[..., Json]
) -> None:
    async with talk() as wire:
        for words in (["One."], ["Two.", "Three."]):
            await wire.say(*map(write, words), {**CREATE, "response": TEXT})
            events = await wire.until("rate_limits.updated")

        said = next(e["text"] for e in events if e["type"] == "response.output_text.done")
        assert said == 'You wrote: "Two. Three.".'


class BrokenVoice:
    async def speak(self, text: str, *, heard: bytes) -> bytes:
        raise ValueError("the larynx is missing")


class BrokenModel:
    async def reply(self, heard: Heard) -> str:
        raise ExceptionGroup("thoughts", [ValueError("the larynx is missing")])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"model": BrokenModel(), "voice": EchoVoice()}, id="model"),
        pytest.param({"model": HonestModel(), "voice": BrokenVoice()}, id="voice"),
    ],
)
async def test_a_model_or_a_voice_that_raises_ends_its_session_and_no_other(
    dial: Talk, write: Callable[..., Json], options: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(**options) as gateway, dial(gateway) as other:
        async with dial(gateway) as wire:
            await wire.say(CREATE)
            events, code, reason = await wire.end()

        assert (code, reason) == (1011, "internal_error")
        error = events[-1]
        assert [event["type"] for event in events][1:] == ["response.created", "error"]
        assert error["error"]["type"] == "server_error"
        assert error["error"]["code"] == "internal_error"
        assert "larynx" not in str(error)
        assert error["request_id"].startswith("req_")
        [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
        assert record.name == "meshrt.gateway"
        assert "the larynx is missing" in caplog.text
        await other.say({"type": "unknown"})
        assert [e["type"] for e in await other.until("error")] == ["session.created", "error"]


async def test_long_speech_comes_in_deltas_of_100_ms(
    talk: Talk, update: Callable[..., Json], append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(update(turn_detection=None), append(train))
        await wire.say({"type": "input_audio_buffer.commit"}, CREATE)
        events = await wire.until("response.done")

        deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
        assert [base64.b64decode(delta) for delta in deltas] == list(chunks(train, 100))
