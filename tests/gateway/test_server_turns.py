"""Turns, as recorded from the real server: their events, their order, their ids."""

import base64
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from meshrt.audio import chunks, duration_ms
from meshrt.gateway import EspeakVoice, HonestModel, _ear, _heard

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

HEARD = [
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
OPENED = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
CLOSED = [
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
SPOKEN = [
    *OPENED,
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    *CLOSED,
]
WRITTEN = [*OPENED, "response.output_text.delta", "response.output_text.done", *CLOSED]


def types(events: Iterable[Json]) -> list[str]:
    """Return the types in order, a run of deltas as one of each."""
    names: list[str] = []
    for event in events:
        if not (event["type"].endswith(".delta") and event["type"] in names[-2:]):
            names.append(event["type"])
    return names


def only(events: Iterable[Json], wire_name: str) -> Json:
    [event] = [event for event in events if event["type"] == wire_name]
    return event


def joined(events: Iterable[Json], wire_name: str) -> str:
    return "".join(event["delta"] for event in events if event["type"] == wire_name)


def audio_of(events: Iterable[Json]) -> bytes:
    deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
    return b"".join(base64.b64decode(delta, validate=True) for delta in deltas)


async def test_a_spoken_turn_has_the_recorded_events_in_the_recorded_order(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        for chunk in chunks(train, 100):
            await wire.say(append(chunk))
        events = await wire.until("rate_limits.updated")

        started, stopped = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
        assert types(events) == [started, stopped, *HEARD, *SPOKEN]


async def test_one_id_goes_through_all_events_of_an_item_and_one_through_those_of_a_response(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(append(train))
        events = await wire.until("rate_limits.updated")

        asked = events[0]["item_id"]
        answer = only(events, "response.output_item.added")["item"]["id"]
        assert [event["item_id"] for event in events[:3]] == [asked] * 3
        assert [event["item"]["id"] for event in events if "item" in event] == [
            *[asked] * 2, *[answer] * 4,
        ]  # fmt: skip
        assert {e["item_id"] for e in events if "item_id" in e} == {asked, answer}
        assert only(events, "response.done")["response"]["output"][0]["id"] == answer
        assert len({*(e["response_id"] for e in events if "response_id" in e),
                    *(e["response"]["id"] for e in events if "response" in e)}) == 1  # fmt: skip
        assert len({event["event_id"] for event in events}) == len(events)
        assert events[-5]["part"] == {"type": "audio", "transcript": joined(
            events, "response.output_audio_transcript.delta"
        )}  # fmt: skip


async def test_an_item_comes_after_the_one_before_it(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(append(train))
        events = await wire.until("rate_limits.updated")

        question, answer = [e for e in events if e["type"] == "conversation.item.added"]
        assert only(events, "input_audio_buffer.committed")["previous_item_id"] is None
        assert question["previous_item_id"] is None
        assert answer["previous_item_id"] == question["item"]["id"]


async def test_the_deltas_make_up_the_whole_and_the_echo_is_what_was_heard(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(append(train))
        events = await wire.until("rate_limits.updated")

        said = joined(events, "response.output_audio_transcript.delta")
        done = only(events, "response.done")["response"]
        assert said.startswith("I heard ")
        assert said == only(events, "response.output_audio_transcript.done")["transcript"]
        assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": said}]
        assert audio_of(events) in train
        began, ended = events[0]["audio_start_ms"], events[1]["audio_end_ms"]
        assert duration_ms(audio_of(events)) == ended - began


async def test_a_response_is_counted(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(append(train))
        events = await wire.until("rate_limits.updated")

        created, done = (e["response"] for e in events if "response" in e)
        heard = spoken = duration_ms(audio_of(events))
        assert (created["status"], created["output"]) == ("in_progress", [])
        assert created["usage"] is None
        assert (done["status"], done["status_details"]) == ("completed", None)
        usage = done["usage"]
        assert usage["input_token_details"]["audio_tokens"] == -(-heard // 100)
        assert usage["output_token_details"]["audio_tokens"] == -(-spoken // 50)
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_a_session_that_wants_text_is_answered_in_text(
    talk: Talk, update: Callable[..., Json], write: Callable[..., Json]
) -> None:
    async with talk() as wire:
        await wire.say(update(output_modalities=["text"]))
        assert (await wire.hear())["session"]["output_modalities"] == ["text"]
        await wire.say(write("When does it leave?"), {"type": "response.create"})
        events = await wire.until("rate_limits.updated")

        assert types(events) == [*HEARD[1:], *WRITTEN]
        said = joined(events, "response.output_text.delta")
        assert said == 'You wrote: "When does it leave?".'
        assert only(events, "response.output_text.done")["text"] == said
        assert only(events, "response.content_part.done")["part"] == {"type": "text", "text": said}


async def test_one_response_may_be_text_where_the_session_speaks(
    talk: Talk, write: Callable[..., Json]
) -> None:
    async with talk() as wire:
        params = {"output_modalities": ["text"]}
        await wire.say(write("Hello."), {"type": "response.create", "response": params})
        events = await wire.until("rate_limits.updated")

        assert types(events[2:]) == WRITTEN


async def test_without_turn_detection_nothing_happens_before_the_commit(
    talk: Talk, update: Callable[..., Json], append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(update(turn_detection=None), append(train))
        await wire.say({"type": "input_audio_buffer.commit"}, {"type": "response.create"})
        events = await wire.until("rate_limits.updated")

        assert types(events) == ["session.updated", *HEARD, *SPOKEN]
        assert audio_of(events) == train


async def test_less_than_100_ms_are_not_committed(
    talk: Talk, update: Callable[..., Json], append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(update(turn_detection=None), append(train[: 99 * 48]))
        await wire.say({"type": "input_audio_buffer.commit", "event_id": "mine"})
        assert (await wire.hear())["type"] == "session.updated"

        assert await wire.error() == {
            "type": "invalid_request_error",
            "code": "input_audio_buffer_commit_empty",
            "message": "Error committing input audio buffer: buffer too small. Expected at least "
            "100ms of audio, but buffer only has 99.00ms of audio.",
            "param": None,
            "event_id": "mine",
        }
        await wire.say(append(train[:48]), {"type": "input_audio_buffer.commit"})
        assert (await wire.hear())["type"] == "input_audio_buffer.committed"


async def test_a_commit_by_hand_gets_all_that_the_server_heard_no_speech_in(
    talk: Talk, append: Callable[[bytes], Json]
) -> None:
    async with talk() as wire:
        for chunk in chunks(bytes(2_200 * 48), 100):
            await wire.say(append(chunk))
        await wire.say({"type": "input_audio_buffer.commit"}, {"type": "response.create"})
        events = await wire.until("response.done")

        said = joined(events, "response.output_audio_transcript.delta")
        assert said == "I heard 2.2 seconds of audio and no speech in it."


async def test_audio_that_is_answered_twice_is_heard_once(
    talk: Talk,
    monkeypatch: pytest.MonkeyPatch,
    update: Callable[..., Json],
    append: Callable[[bytes], Json],
    train: bytes,
) -> None:
    heard: list[int] = []

    def listen(pcm: bytes) -> int:
        heard.append(len(pcm))
        return 1_000

    monkeypatch.setattr(_heard, "speech_ms", listen)
    aside = {"type": "response.create", "response": {"conversation": "none"}}
    async with talk() as wire:
        await wire.say(update(turn_detection=None), append(train))
        await wire.say({"type": "input_audio_buffer.commit"}, aside)
        first = await wire.until("rate_limits.updated")
        await wire.say(aside)
        second = await wire.until("rate_limits.updated")

    said = [joined(turn, "response.output_audio_transcript.delta") for turn in (first, second)]
    assert said == ["I heard 1.0 seconds of speech."] * 2
    assert heard == [len(train)]


@pytest.mark.parametrize("detection", [None, {"type": "server_vad"}])
async def test_no_more_audio_is_taken_than_may_wait_for_a_commit(
    talk: Talk,
    monkeypatch: pytest.MonkeyPatch,
    update: Callable[..., Json],
    append: Callable[[bytes], Json],
    detection: Json | None,
) -> None:
    monkeypatch.setattr(_ear, "_LONGEST_BUFFER_MS", 1_000)
    async with talk() as wire:
        await wire.say(update(turn_detection=detection), append(bytes(48_000)))
        await wire.say({**append(bytes(2)), "event_id": "mine"})
        *_, event = await wire.until("error")
        await wire.say({"type": "input_audio_buffer.clear"}, append(bytes(48_000)))
        await wire.say({"type": "input_audio_buffer.commit"})
        events = await wire.until("conversation.item.done")

    assert event["error"]["code"] == "input_audio_buffer_full"
    assert event["error"]["event_id"] == "mine"
    assert types(events) == ["input_audio_buffer.cleared", *HEARD]


async def test_what_was_cleared_can_not_be_committed(
    talk: Talk, update: Callable[..., Json], append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(update(turn_detection=None), append(train))
        await wire.say({"type": "input_audio_buffer.clear"}, {"type": "input_audio_buffer.commit"})
        events = await wire.until("error")

        assert types(events) == ["session.updated", "input_audio_buffer.cleared", "error"]
        assert events[-1]["error"]["code"] == "input_audio_buffer_commit_empty"


async def test_a_cleared_buffer_is_no_turn(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        half = len(train) // 4 * 2
        await wire.say(append(train[:half]), {"type": "input_audio_buffer.clear"})
        assert types(await wire.until("input_audio_buffer.cleared")) == [
            "input_audio_buffer.speech_started", "input_audio_buffer.cleared",
        ]  # fmt: skip
        await wire.say(append(bytes(48_000)), {"type": "input_audio_buffer.commit"})

        # A second of silence ends no speech that was cleared away.
        assert types(await wire.until("conversation.item.done")) == HEARD


async def test_audio_that_ends_a_turn_may_ask_for_no_answer(
    talk: Talk, update: Callable[..., Json], append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        detection = {"type": "server_vad", "create_response": False}
        await wire.say(update(turn_detection=detection), append(train), {"type": "unknown"})
        events = await wire.until("error")

        assert types(events)[-4:] == [*HEARD, "error"]


async def test_two_turns_in_one_stream_are_answered_one_after_the_other(
    talk: Talk, append: Callable[[bytes], Json], two_turns: bytes
) -> None:
    async with talk() as wire:
        events: list[Json] = []
        for chunk in chunks(two_turns, 100):
            await wire.say(append(chunk), {"type": "unknown"})
            events += await wire.until("error")
            while types(events).count("response.created") > types(events).count("response.done"):
                events += await wire.until("rate_limits.updated")

        names = [name for name in types(events) if name != "error"]
        started, stopped = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
        assert names == [started, stopped, *HEARD, *SPOKEN] * 2
        added = [e for e in events if e["type"] == "conversation.item.added"]
        assert [e["previous_item_id"] for e in added[1:]] == [e["item"]["id"] for e in added[:-1]]


async def test_a_second_turn_in_the_same_append_interrupts_the_answer_to_the_first(
    talk: Talk, append: Callable[[bytes], Json], two_turns: bytes
) -> None:
    async with talk() as wire:
        await wire.say(append(two_turns))
        first = await wire.until("response.done")
        second = await wire.until("response.done")

        assert first[-1]["response"]["status_details"]["reason"] == "turn_detected"
        assert second[-1]["response"]["status"] == "completed"


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_espeak_speaks_the_answer(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk(voice=EspeakVoice(), model=HonestModel()) as wire:
        await wire.say(append(train))
        events = await wire.until("rate_limits.updated")

        assert types(events)[5:] == SPOKEN
        assert audio_of(events) not in train
        assert duration_ms(audio_of(events)) > 1_000
