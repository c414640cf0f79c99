"""A session that translates: speech in, the words of both languages and speech out."""

import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from meshrt.gateway import Heard, HeardAudio

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

DECLARED: Json = json.loads(
    Path(__file__).parents[1].joinpath("data", "wire.json").read_text("utf-8")
)["translation"]["server"]
CLOSE = {"type": "session.close"}


class Interpreter:
    def __init__(self) -> None:
        self.heard: list[Heard] = []

    async def reply(self, heard: Heard) -> str:
        self.heard.append(heard)
        return "Um zwölf."

    async def transcribe(self, audio: HeardAudio) -> str:
        return "At noon."


class Broken(Interpreter):
    async def reply(self, heard: Heard) -> str:
        raise ValueError(heard)


def speak(pcm: bytes) -> Json:
    audio = base64.b64encode(pcm).decode()
    return {"type": "session.input_audio_buffer.append", "audio": audio}


def interpret(**audio: Any) -> Json:
    return {"type": "session.update", "session": {"audio": audio}}


async def test_a_sentence_comes_out_in_the_other_language(whisper: Talk, train: bytes) -> None:
    model = Interpreter()
    asked = interpret(
        input={"transcription": {"model": "gpt-realtime-whisper"}}, output={"language": "de"}
    )
    async with whisper(model=model, kind="translation") as wire:
        await wire.say(asked)
        updated = (await wire.hear())["session"]
        await wire.say(speak(train), CLOSE)
        events, code, _ = await wire.end()

    assert updated["audio"]["output"] == {"language": "de"}
    assert (updated["type"], updated["model"]) == ("translation", "m")
    heard = [e["delta"] for e in events if e["type"] == "session.input_transcript.delta"]
    said = [e["delta"] for e in events if e["type"] == "session.output_transcript.delta"]
    sound = [e for e in events if e["type"] == "session.output_audio.delta"]
    assert ("".join(heard), "".join(said)) == ("At noon.", "Um zwölf.")
    assert {(e["format"], e["sample_rate"], e["channels"]) for e in sound} == {
        ("pcm16", 24_000, 1)
    }
    assert b"".join(base64.b64decode(e["delta"]) for e in sound) in train
    assert {e["elapsed_ms"] for e in sound} == {round(len(train) / 48)}
    assert (events[-1]["type"], code) == ("session.closed", 1000)
    assert model.heard[0].instructions == "Translate into de."
    assert {e["type"].partition(".")[0] for e in events} == {"session"}


async def test_all_that_such_a_session_may_say_is_said(whisper: Talk, train: bytes) -> None:
    async with whisper(model=Interpreter(), kind="translation") as wire:
        await wire.say(interpret(input={"transcription": {"model": "gpt-realtime-whisper"}}))
        await wire.say({"type": "unknown"}, speak(train), CLOSE)
        events, _, _ = await wire.end()

    said = [wire.greeting, *events]
    assert {event["type"] for event in said} == {*DECLARED}
    for event in said:
        declared = DECLARED[event["type"]]
        needed = {name for name, kind in declared.items() if not kind.startswith("optional ")}
        assert needed <= event.keys() <= declared.keys() | {"type"}, event


async def test_what_is_half_said_is_translated_at_the_close(whisper: Talk, train: bytes) -> None:
    async with whisper(model=Interpreter(), kind="translation") as wire:
        await wire.say(speak(train[: len(train) // 4 * 2]), CLOSE, speak(train))
        events, _, _ = await wire.end()

    names = {event["type"] for event in events}
    assert names == {
        "session.output_transcript.delta", "session.output_audio.delta", "error", "session.closed",
    }  # fmt: skip
    [error] = [event["error"] for event in events if event["type"] == "error"]
    assert "closing" in error["message"]


@pytest.mark.parametrize("pcm", [b"", bytes(48_000)], ids=["nothing", "silence"])
async def test_silence_is_not_translated(whisper: Talk, pcm: bytes) -> None:
    async with whisper(model=Interpreter(), kind="translation") as wire:
        await wire.say(speak(pcm), CLOSE, CLOSE)
        events, _, _ = await wire.end()

    assert [event["type"] for event in events] == ["session.closed"]


async def test_a_translation_has_no_turns(whisper: Talk) -> None:
    async with whisper(kind="translation") as wire:
        await wire.say({"type": "response.create"}, interpret(output={"language": "fr"}))
        error = await wire.error()
        assert (await wire.hear())["type"] == "session.updated"
        await wire.say(interpret(output={"loudness": 3}), interpret(
            input={"noise_reduction": {"type": "magic"}}
        ))  # fmt: skip

        assert "'session.close'" in error["message"]
        assert (await wire.error())["code"] == "unknown_parameter"
        assert (await wire.error())["param"] == "session.audio.input.noise_reduction.type"


async def test_a_translator_that_raises_is_a_bug_of_the_model(
    whisper: Talk, train: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with whisper(model=Broken(), kind="translation") as wire:
        await wire.say(speak(train))
        events, code, _ = await wire.end()

    assert (events[-1]["error"]["code"], code) == ("internal_error", 1011)
    assert "a session failed" in caplog.text
