"""The session's configuration: what a greeting says of it, and what an update changes."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from meshrt.gateway import EchoVoice, _session, serve

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}


async def configuration(wire: Any) -> Json:
    """Return it as it is: an update of nothing tells."""
    await wire.say({"type": "session.update", "session": {"type": "realtime"}})
    event = await wire.hear()
    assert event["type"] == "session.updated", event
    session: Json = event["session"]
    return session


async def test_the_greeting_comes_first_and_describes_the_session(dial: Talk) -> None:
    async with serve(voice=EchoVoice()) as gateway, dial(gateway) as wire:
        greeting = await wire.hear()

    session = greeting["session"]
    assert greeting["type"] == "session.created"
    assert greeting["event_id"].startswith("event_")
    assert session["id"].startswith("sess_")
    assert (session["type"], session["object"]) == ("realtime", "realtime.session")
    assert session["model"] == "openai/gpt-realtime"
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"]["turn_detection"] == VAD
    assert session["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert 0 < session["expires_at"] - time.time() <= 1_800


async def test_an_update_changes_what_is_present_and_nothing_else(
    talk: Talk, update: Callable[..., Json]
) -> None:
    async with talk() as wire:
        before = await configuration(wire)
        tool = {"type": "function", "name": "trains", "parameters": {"type": "object"}}
        await wire.say(update(instructions="Be brief.", tools=[tool]))
        first = (await wire.hear())["session"]
        await wire.say(update(audio={"output": {"voice": "cedar"}}))
        second = (await wire.hear())["session"]

        assert first == {**before, "instructions": "Be brief.", "tools": [tool]}
        output = {**first["audio"]["output"], "voice": "cedar"}
        assert second == {**first, "audio": {**first["audio"], "output": output}}
        assert await configuration(wire) == second


async def test_an_empty_value_is_a_value(talk: Talk, update: Callable[..., Json]) -> None:
    async with talk() as wire:
        await wire.say(update(instructions="Be brief.", tools=[{"type": "function", "name": "f"}]))
        await wire.say(update(instructions="", tools=[]))
        await wire.hear()
        session = (await wire.hear())["session"]

        assert (session["instructions"], session["tools"]) == ("", [])


async def test_null_switches_turn_detection_off_and_an_object_on_again(
    talk: Talk, update: Callable[..., Json]
) -> None:
    async with talk() as wire:
        seen = []
        for detection in (None, {"type": "server_vad", "silence_duration_ms": 200}):
            await wire.say(update(turn_detection=detection))
            seen.append((await wire.hear())["session"]["audio"]["input"]["turn_detection"])

        assert seen == [None, {**VAD, "silence_duration_ms": 200}]


async def test_a_semantic_detector_hears_the_end_of_a_turn_too(
    talk: Talk, update: Callable[..., Json], append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(update(turn_detection={"type": "semantic_vad", "eagerness": "high"}))
        detection = (await wire.hear())["session"]["audio"]["input"]["turn_detection"]
        await wire.say(append(train + bytes(2_000 * 48)))

        assert detection == {
            "type": "semantic_vad",
            "eagerness": "high",
            "create_response": True,
            "interrupt_response": True,
        }
        assert (await wire.until("response.done"))[-1]["response"]["status"] == "completed"


async def test_what_belongs_to_the_server_does_not_change(
    talk: Talk, update: Callable[..., Json]
) -> None:
    async with talk() as wire:
        before = await configuration(wire)
        await wire.say(update(id="mine", model="openai/gpt-realtime-2", expires_at=0))

        assert (await wire.hear())["session"] == before


REFUSED = {
    "modalities": ({"modalities": ["audio", "text"]}, "session.modalities", "unknown_parameter"),
    "voice": ({"voice": "alloy"}, "session.voice", "unknown_parameter"),
    "input_audio_format": (
        {"input_audio_format": "pcm16"}, "session.input_audio_format", "unknown_parameter",
    ),
    "turn_detection": ({"turn_detection": VAD}, "session.turn_detection", "unknown_parameter"),
    "temperature": ({"temperature": 0.8}, "session.temperature", "unknown_parameter"),
    "both": (
        {"output_modalities": ["audio", "text"]}, "session.output_modalities", "invalid_value",
    ),
    "none": ({"output_modalities": []}, "session.output_modalities", "invalid_value"),
    "null_modalities": ({"output_modalities": None}, "session.output_modalities", "invalid_type"),
    "null_audio": ({"audio": None}, "session.audio", "invalid_type"),
    "null_input": ({"audio": {"input": None}}, "session.audio.input", "invalid_type"),
    "null_format": (
        {"audio": {"input": {"format": None}}}, "session.audio.input.format", "invalid_type",
    ),
    "rate": (
        {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}},
        "session.audio.input.format.rate",
        "integer_below_min_value",
    ),
    "codec": (
        {"audio": {"output": {"format": {"type": "audio/opus"}}}},
        "session.audio.output.format.type",
        "invalid_value",
    ),
    "wrong_type": ({"instructions": 7}, "session.instructions", "invalid_value"),
    "detector": (
        {"audio": {"input": {"turn_detection": {"type": "esp", "threshold": "high"}}}},
        "session.audio.input.turn_detection.type",
        "invalid_value",
    ),
    "threshold": (
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 1.5}}}},
        "session.audio.input.turn_detection",
        "invalid_value",
    ),
    "silence": (
        {"audio": {"input": {"turn_detection": {**VAD, "silence_duration_ms": -1}}}},
        "session.audio.input.turn_detection",
        "invalid_value",
    ),
    "kind": ({"type": "transcription"}, "session.type", "invalid_parameter"),
    "other_kind": ({"type": "dictation"}, "session.type", "invalid_value"),
    "no_kind": ({"type": None}, "session.type", "missing_required_parameter"),
    "unknown": ({"colour": "red"}, "session.colour", "unknown_parameter"),
    "unknown_inside": (
        {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}}}},
        "session.audio.input.turn_detection.threshold",
        "unknown_parameter",
    ),
    "eagerness": (
        {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "very"}}}},
        "session.audio.input.turn_detection.eagerness",
        "invalid_value",
    ),
    "idle": (
        {"audio": {"input": {"turn_detection": {**VAD, "idle_timeout_ms": 4_999}}}},
        "session.audio.input.turn_detection.idle_timeout_ms",
        "integer_below_min_value",
    ),
    "idle_for_long": (
        {"audio": {"input": {"turn_detection": {**VAD, "idle_timeout_ms": 30_001}}}},
        "session.audio.input.turn_detection.idle_timeout_ms",
        "integer_above_max_value",
    ),
    "noise": (
        {"audio": {"input": {"noise_reduction": {"type": "outer_space"}}}},
        "session.audio.input.noise_reduction.type",
        "invalid_value",
    ),
    "speed": (
        {"audio": {"output": {"speed": 1.6}}},
        "session.audio.output.speed",
        "decimal_above_max_value",
    ),
    "slow": (
        {"audio": {"output": {"speed": 0.2}}},
        "session.audio.output.speed",
        "decimal_below_min_value",
    ),
    "tokens": ({"max_output_tokens": 0}, "session.max_output_tokens", "integer_below_min_value"),
    "many_tokens": (
        {"max_output_tokens": 4_097}, "session.max_output_tokens", "integer_above_max_value",
    ),
    "tokens_in_words": (
        {"max_output_tokens": "all"}, "session.max_output_tokens", "invalid_value",
    ),
    "choice": ({"tool_choice": "maybe"}, "session.tool_choice", "invalid_value"),
    "effort": (
        {"reasoning": {"effort": "none at all"}}, "session.reasoning.effort", "invalid_value",
    ),
    "include": ({"include": ["everything"]}, "session.include[0]", "invalid_value"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "param", "code"), REFUSED.values(), ids=REFUSED)
async def test_an_update_that_is_refused_names_the_field_and_changes_nothing(
    talk: Talk, change: Json, param: str, code: str
) -> None:
    async with talk() as wire:
        before = await configuration(wire)
        session = {"type": "realtime", "instructions": "Be brief.", **change}
        await wire.say({"type": "session.update", "event_id": "mine", "session": session})

        error = await wire.error()
        assert (error["param"], error["code"]) == (param, code)
        assert error["event_id"] == "mine"
        assert param.rpartition(".")[2] in error["message"] + str(error["param"])
        assert await configuration(wire) == before


async def test_a_refused_detector_leaves_the_one_that_was(
    talk: Talk, update: Callable[..., Json], append: Callable[[bytes], Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(update(turn_detection={"type": "server_vad", "threshold": 7}))
        await wire.error()
        await wire.say(append(train))

        assert (await wire.until("response.done"))[-1]["response"]["status"] == "completed"


async def test_a_session_that_lasts_too_long_is_told_so_and_closed(
    dial: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "_SESSION_SECONDS", 0.01)
    async with serve(voice=EchoVoice()) as gateway, dial(gateway) as wire:
        events, code, reason = await wire.end()

    assert [event["type"] for event in events] == ["session.created", "error"]
    assert events[-1]["error"]["code"] == "session_expired"
    assert (code, reason) == (1001, "Your session hit the maximum duration of 30 minutes.")
