"""What the user said, as text that comes late."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest

from meshrt.gateway import Fail, Heard, HeardAudio, serve
from meshrt.gateway._config import kind_of

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

NAME = "conversation.item.input_audio_transcription"
COMMIT = {"type": "input_audio_buffer.commit"}


class Scribe:
    """A model that knows what is said, and tells it when it may."""

    def __init__(self, *words: str | Fail) -> None:
        self.heard: list[HeardAudio] = []
        self._words = list(words)
        self.may_tell = [anyio.Event() for _ in words]

    async def reply(self, heard: Heard) -> str:
        return "I see."

    async def transcribe(self, audio: HeardAudio) -> str | Fail:
        number = len(self.heard)
        self.heard.append(audio)
        await self.may_tell[number].wait()
        return self._words[number]


def transcribing(model: str = "gpt-4o-transcribe", **session: Any) -> Json:
    audio = {"input": {"turn_detection": None, "transcription": {"model": model}}}
    return {"type": "session.update", "session": {"type": "realtime", "audio": audio, **session}}


def of(events: Iterable[Json], end: str) -> list[Json]:
    return [event for event in events if event["type"] == f"{NAME}.{end}"]


async def test_what_was_said_comes_after_the_item_and_is_kept_with_it(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    scribe = Scribe("When does it leave?")
    async with talk(model=scribe) as wire:
        await wire.say(transcribing(), append(train), COMMIT)
        before = await wire.until("conversation.item.done")
        scribe.may_tell[0].set()
        events = await wire.until(f"{NAME}.completed")
        await wire.say({"type": "conversation.item.retrieve", "item_id": events[-1]["item_id"]})
        kept = (await wire.hear())["item"]

    item = before[-1]["item"]
    assert item["content"] == [{"type": "input_audio", "transcript": None}]
    assert {event["item_id"] for event in events} == {item["id"]}
    assert {event["content_index"] for event in events} == {0}
    assert [e["delta"] for e in of(events, "delta")] == ["When", " does", " it", " leave?"]
    assert events[-1]["transcript"] == "When does it leave?" == kept["content"][0]["transcript"]
    assert events[-1]["usage"] == {
        "type": "tokens",
        "total_tokens": 4 + -(-len(train) // 4_800),
        "input_tokens": -(-len(train) // 4_800),
        "output_tokens": 4,
        "input_token_details": {"text_tokens": 0, "audio_tokens": -(-len(train) // 4_800)},
    }
    assert "logprobs" not in events[-1]
    assert scribe.heard[0].pcm == train
    assert scribe.heard[0].speech_ms > 1_000


async def test_transcripts_come_in_any_order_and_amid_an_answer(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    scribe = Scribe("First.", "Second.")
    async with talk(model=scribe) as wire:
        await wire.say(transcribing(), append(train), COMMIT, append(train), COMMIT)
        items = [(await wire.until("conversation.item.done"))[-1]["item"]["id"] for _ in range(2)]
        scribe.may_tell[1].set()
        second = (await wire.until(f"{NAME}.completed"))[-1]
        await wire.say({"type": "response.create"})
        await wire.until("response.done")
        scribe.may_tell[0].set()
        first = (await wire.until(f"{NAME}.completed"))[-1]

    assert (first["item_id"], first["transcript"]) == (items[0], "First.")
    assert (second["item_id"], second["transcript"]) == (items[1], "Second.")


async def test_a_transcript_that_is_not_to_be_had_fails_and_the_session_goes_on(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    scribe = Scribe(Fail("audio_unintelligible", "Nobody can read that."))
    scribe.may_tell[0].set()
    async with talk(model=scribe) as wire:
        await wire.say(transcribing(), append(train), COMMIT)
        failed = (await wire.until(f"{NAME}.failed"))[-1]
        await wire.say({"type": "response.create"})
        assert (await wire.hear())["type"] == "response.created"

    assert failed["error"] == {
        "type": "transcription_error",
        "code": "audio_unintelligible",
        "message": "Nobody can read that.",
        "param": None,
    }


async def test_a_scribe_that_raises_is_a_bug_of_the_model(
    talk: Talk, append: Callable[[bytes], Json], train: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with talk(model=Scribe()) as wire:
        await wire.say(transcribing(), append(train), COMMIT)
        events, code, _ = await wire.end()

    assert (events[-1]["error"]["code"], code) == ("internal_error", 1011)
    assert "IndexError" in caplog.text


async def test_without_a_scribe_the_transcript_claims_no_understanding(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(transcribing(), append(train), COMMIT)
        spoken = (await wire.until(f"{NAME}.completed"))[-1]
        await wire.say(append(bytes(48_000)), COMMIT)
        silent = await wire.until(f"{NAME}.completed")

    words = spoken["transcript"]
    assert words.startswith("[")
    assert words.endswith(" seconds of speech]")
    assert (silent[-1]["transcript"], of(silent, "delta")) == ("", [])
    assert silent[-1]["usage"] == {"type": "duration", "seconds": 0}


async def test_whisper_gives_all_at_once_and_is_billed_by_the_second(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    scribe = Scribe("When does it leave?")
    scribe.may_tell[0].set()
    async with talk(model=scribe) as wire:
        await wire.say(transcribing("whisper-1"), append(train), COMMIT)
        events = await wire.until(f"{NAME}.completed")

    assert [e["delta"] for e in of(events, "delta")] == ["When does it leave?"]
    assert events[-1]["usage"] == {"type": "duration", "seconds": len(train) / 48_000}


async def test_who_spoke_and_when_comes_with_a_model_that_tells(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(transcribing("gpt-4o-transcribe-diarize"), append(train), COMMIT)
        events = await wire.until(f"{NAME}.completed")

    [segment] = of(events, "segment")
    assert (segment["speaker"], segment["text"]) == ("spk_1", events[-1]["transcript"])
    assert 0 < segment["start"] < segment["end"] < len(train) / 48_000
    assert segment["id"].startswith("seg_")


async def test_probabilities_come_where_they_are_included(
    talk: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    scribe = Scribe("Now, then.")
    scribe.may_tell[0].set()
    include = ["item.input_audio_transcription.logprobs"]
    async with talk(model=scribe) as wire:
        await wire.say(transcribing(include=include), append(train), COMMIT)
        events = await wire.until(f"{NAME}.completed")

    probabilities = [{"token": "Now,", "logprob": 0.0, "bytes": list(b"Now,")},
                     {"token": " then.", "logprob": 0.0, "bytes": list(b" then.")}]  # fmt: skip
    assert [e["logprobs"] for e in of(events, "delta")] == [[each] for each in probabilities]
    assert events[-1]["logprobs"] == probabilities


def dictation(**audio_input: Any) -> Json:
    session = {"type": "transcription", "audio": {"input": audio_input}}
    return {"type": "session.update", "session": session}


async def test_a_transcription_session_transcribes_and_answers_nothing(
    whisper: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with whisper(kind="transcription") as wire:
        await wire.say(dictation(transcription={"model": "gpt-4o-transcribe", "language": "en"}))
        session = (await wire.hear())["session"]
        await wire.say(append(train))
        events = await wire.until(f"{NAME}.completed")
        await wire.say({"type": "response.create"})
        error = await wire.error()

    assert (session["type"], session["object"]) == (
        "transcription", "realtime.transcription_session",
    )  # fmt: skip
    assert session["audio"]["input"]["transcription"] == {
        "model": "gpt-4o-transcribe", "language": "en", "prompt": None,
    }  # fmt: skip
    assert "output" not in session["audio"]
    assert not [e for e in events if e["type"].startswith("response.")]
    assert error["message"].startswith("Invalid value: 'response.create'.")


@pytest.mark.parametrize(
    ("kind", "wanted"), [("realtime", "transcription"), ("transcription", "realtime")]
)
async def test_a_session_stays_what_the_address_made_it(
    whisper: Talk, kind: str, wanted: str
) -> None:
    async with whisper(kind=kind) as wire:
        await wire.say({"type": "session.update", "session": {"type": wanted}})
        error = await wire.error()

    assert (error["code"], error["param"]) == ("invalid_parameter", "session.type")
    assert error["message"] == (
        f"Passing a {wanted} session update event to a {kind} session is not allowed."
    )


async def test_a_transcription_session_has_no_instructions(whisper: Talk) -> None:
    async with whisper(kind="transcription") as wire:
        session = {"type": "transcription", "instructions": "Be brief."}
        await wire.say({"type": "session.update", "session": session})

        assert (await wire.error())["message"] == "Unknown parameter: 'session.instructions'."


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/v1/realtime?model=openai/gpt-realtime", "realtime"),
        ("/v1/realtime?intent=transcription", "transcription"),
        ("/v1/realtime?model=openai/gpt-realtime&intent=transcription", "transcription"),
        ("/v1/realtime/translations?model=openai/gpt-realtime", "translation"),
    ],
)
async def test_the_address_says_what_a_session_is_for(
    dial: Talk, target: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "meshrt.gateway")
    async with serve() as gateway, dial(gateway, target) as wire:
        greeting = await wire.hear()

    assert (greeting["type"], greeting["session"]["type"]) == ("session.created", kind)
    model = None if kind == "transcription" else "openai/gpt-realtime"
    assert caplog.messages[0].endswith(f" began: {kind}, model {model}")


def test_only_the_word_transcription_is_an_intent() -> None:
    assert kind_of("/v1/realtime", {"intent": ["conversation"]}) == "realtime"
