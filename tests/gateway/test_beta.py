"""The beta wire and GA, event by event."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import given, strategies as st

from meshrt.gateway import EchoVoice, serve
from meshrt.gateway._beta import in_beta, to_beta, to_ga
from meshrt.transports import memory_transports

Json = dict[str, Any]
Dial = Callable[..., AbstractAsyncContextManager[Any]]

GA_SESSION = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_1",
    "output_modalities": ["audio"],
    "instructions": "Be brief.",
    "max_output_tokens": 7,
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "whisper-1"},
            "noise_reduction": None,
            "turn_detection": {"type": "server_vad"},
        },
        "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0},
    },
}
BETA_SESSION = {
    "object": "realtime.session",
    "id": "sess_1",
    "modalities": ["audio", "text"],
    "instructions": "Be brief.",
    "max_response_output_tokens": 7,
    "input_audio_format": "pcm16",
    "input_audio_transcription": {"model": "whisper-1"},
    "input_audio_noise_reduction": None,
    "turn_detection": {"type": "server_vad"},
    "output_audio_format": "g711_ulaw",
    "voice": "marin",
    "speed": 1.0,
    "temperature": 0.8,
}


@pytest.mark.parametrize("name", ["session.created", "session.updated"])
def test_a_session_is_flat_in_beta(name: str) -> None:
    event = {"type": name, "event_id": "event_1", "session": GA_SESSION}

    assert to_beta(event) == {"type": name, "event_id": "event_1", "session": BETA_SESSION}


def test_a_session_comes_back_as_it_was() -> None:
    event = {"type": "session.update", "event_id": "event_1", "session": BETA_SESSION}

    assert to_ga(event) == {"type": "session.update", "event_id": "event_1", "session": GA_SESSION}


def test_a_transcription_session_has_names_of_its_own() -> None:
    ga = {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "audio": {"input": {"format": {"type": "audio/pcma"}, "turn_detection": None}},
    }
    beta = {
        "object": "realtime.transcription_session",
        "input_audio_format": "g711_alaw",
        "turn_detection": None,
    }
    assert to_beta({"type": "session.updated", "session": ga}) == {
        "type": "transcription_session.updated",
        "session": beta,
    }
    assert to_ga({"type": "transcription_session.update", "session": beta}) == {
        "type": "session.update",
        "session": ga,
    }


@pytest.mark.parametrize(
    ("ga", "beta"),
    [
        ("response.output_audio.delta", "response.audio.delta"),
        ("response.output_audio.done", "response.audio.done"),
        ("response.output_audio_transcript.delta", "response.audio_transcript.delta"),
        ("response.output_audio_transcript.done", "response.audio_transcript.done"),
        ("response.output_text.delta", "response.text.delta"),
        ("response.output_text.done", "response.text.done"),
        ("conversation.item.added", "conversation.item.created"),
        ("response.output_item.added", "response.output_item.added"),
        ("input_audio_buffer.speech_started", "input_audio_buffer.speech_started"),
        ("error", "error"),
    ],
)
def test_an_event_has_its_old_name(ga: str, beta: str) -> None:
    event = {"type": ga, "event_id": "event_1", "item_id": "item_1"}

    assert to_beta(event) == {**event, "type": beta}


def test_what_beta_never_had_is_left_out() -> None:
    assert to_beta({"type": "conversation.item.done", "item": {}}) is None


def test_a_response_and_its_items_have_their_old_words() -> None:
    parts = [{"type": "output_audio", "transcript": "Hi."}, {"type": "output_text", "text": "Hi."}]
    response = {
        "id": "resp_1",
        "output_modalities": ["text"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "cedar"}},
        "output": [{"type": "message", "content": parts}, {"type": "function_call", "name": "f"}],
    }
    event = to_beta({"type": "response.done", "response": response})

    assert event is not None
    assert event["response"] == {
        "id": "resp_1",
        "modalities": ["text"],
        "max_output_tokens": "inf",
        "output_audio_format": "pcm16",
        "voice": "cedar",
        "output": [
            {
                "type": "message",
                "content": [
                    {"type": "audio", "transcript": "Hi."}, {"type": "text", "text": "Hi."},
                ],
            },
            {"type": "function_call", "name": "f"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("item", "kind"), [({"role": "assistant"}, "output_text"), ({"role": "user"}, "input_text")]
)
def test_a_text_of_an_item_is_somebody_s(item: Json, kind: str) -> None:
    beta = {**item, "content": [{"type": "text", "text": "Hi."}, {"type": "input_audio"}, 7]}
    ga = {**item, "content": [{"type": kind, "text": "Hi."}, {"type": "input_audio"}, 7]}
    create = {"type": "conversation.item.create", "item": beta}
    respond = {"type": "response.create", "response": {"input": [beta, 7]}}

    assert to_ga(create)["item"] == ga
    assert to_ga(respond)["response"] == {"input": [ga, 7]}


def test_an_update_in_today_s_words_is_understood() -> None:
    session = {"type": "realtime", "output_modalities": ["text"], "audio": {"output": {}}}

    assert to_ga({"type": "session.update", "session": session})["session"] == session


def test_what_is_given_twice_is_put_together() -> None:
    session = {"audio": {"output": {"speed": 1.2}}, "voice": "cedar", "temperature": 0.6}

    moved = to_ga({"type": "session.update", "session": session})["session"]
    assert moved == {"type": "realtime", "audio": {"output": {"speed": 1.2, "voice": "cedar"}}}


@pytest.mark.parametrize("audio", [7, "abc", [1], None, {"output": 7}, {"output": None}])
def test_what_is_no_object_is_left_for_the_session(audio: Any) -> None:
    given = {"audio": audio, "voice": "cedar", "input_audio_format": "pcm16"}
    moved = to_ga({"type": "session.update", "session": given})["session"]

    if isinstance(audio, dict):
        assert moved["audio"]["output"] == audio["output"]
    else:
        assert moved["audio"] == audio
    assert given["audio"] is audio


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "audio",
                    "input",
                    "output",
                    "format",
                    "voice",
                    "modalities",
                    "content",
                    "item",
                    "type",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(
        [
            "session.update", "transcription_session.update", "response.create",
            "conversation.item.create", "x", 7, None,
        ]
    ),
    st.dictionaries(st.sampled_from(["session", "response", "item"]), JSON),
)  # fmt: skip
def test_no_event_of_a_stranger_s_breaks_it(name: Any, fields: Json) -> None:
    assert to_ga({"type": name, **fields})["type"] in (name, "session.update")


@pytest.mark.anyio
async def test_all_else_is_the_transport_s() -> None:
    ours, theirs = memory_transports()
    beta = in_beta(ours)
    woken: list[int] = []
    beta.wake = lambda: woken.append(1)
    assert ours.wake is beta.wake
    assert beta.last_byte_at == ours.last_byte_at
    await beta.send(['{"type":"conversation.item.done"}', '{"type":"response.output_text.done"}'])
    assert [json.loads(text) for text in await theirs.receive()] == [
        {"type": "response.text.done"}
    ]
    await theirs.send(["no json", "7", b"\0", '{"type":"response.create","response":{}}'])
    received: list[str | bytes] = []
    while len(received) < 4:
        received += await beta.receive()
    assert received[:3] == ["no json", "7", b"\0"]
    await beta.aclose()
    await theirs.abort()
    await beta.abort()


@pytest.mark.anyio
@pytest.mark.parametrize("said", ["no json", "[]", '{"type": 7}'])
async def test_what_is_no_event_is_complained_of(dial: Dial, said: str) -> None:
    async with serve(dialect="beta", voice=EchoVoice()) as gateway, dial(gateway) as wire:
        assert (await wire.hear())["session"]["modalities"] == ["audio", "text"]
        await wire.say(said)
        event = await wire.hear()
        assert event["type"] == "error" or event["error"]
