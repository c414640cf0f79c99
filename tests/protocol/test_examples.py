"""The payloads that the vendor publishes as examples, one file per type, decode and come back."""

import json
from pathlib import Path
from typing import Any

import pytest

from meshrt.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    Event,
    InputAudioBufferAppend,
    UnknownEvent,
    class_of,
)
from meshrt.protocol import RealtimeProtocol, decode, encode

FILES = sorted((Path(__file__).parents[1] / "data" / "wire").glob("*.json"))
PAYLOADS: list[dict[str, Any]] = [
    payload for path in FILES for payload in json.loads(path.read_text("utf-8"))["examples"]
]
# Where the vendor writes "Base64EncodedAudioData" and the like in place of audio.
PLACEHOLDERS = {
    "conversation.item.retrieved": "$.item.content[0].audio",
    "input_audio_buffer.append": "$.audio",
    "response.output_audio.delta": "$.delta",
}
BETA = {"transcription_session.update", "transcription_session.updated"}
WITHOUT_A_CLASS = {" input_audio_buffer.dtmf_event_received"}  # with the space, as published
# Of the first the example has a space too many, of the others these files have none.
WITHOUT_AN_EXAMPLE = {
    "input_audio_buffer.dtmf_event_received",
    "session.close",
    "session.closed",
    "session.input_audio_buffer.append",
    "session.input_transcript.delta",
    "session.output_audio.delta",
    "session.output_transcript.delta",
}


def those(wanted: Any) -> Any:
    """Parametrise over the payloads whose type is wanted."""
    chosen = [payload for payload in PAYLOADS if wanted(payload["type"])]
    return pytest.mark.parametrize("payload", chosen, ids=[p["type"] for p in chosen])


def test_every_class_has_an_example_and_every_other_example_is_accounted_for() -> None:
    classes = {*CLIENT_EVENTS, *SERVER_EVENTS} - WITHOUT_AN_EXAMPLE
    assert {payload["type"] for payload in PAYLOADS} == classes | WITHOUT_A_CLASS | BETA


@those(lambda name: class_of(name) and name not in {*PLACEHOLDERS, *BETA})
def test_an_example_decodes_to_its_class_and_encodes_to_itself(payload: dict[str, Any]) -> None:
    event = decode(json.dumps(payload))
    assert isinstance(event, Event)
    assert type(event) is class_of(payload["type"])
    assert event.data == payload
    assert json.loads(encode(event)) == payload


@those(BETA.__contains__)
def test_an_example_under_a_beta_name_is_of_the_class_of_its_twin(payload: dict[str, Any]) -> None:
    event = decode(json.dumps(payload))
    assert type(event) is class_of(payload["type"])
    assert event.data == payload
    assert json.loads(encode(event)) == {**payload, "type": event.type}


@those(PLACEHOLDERS.__contains__)
def test_an_example_with_a_placeholder_for_audio_is_unknown_and_names_the_field(
    payload: dict[str, Any],
) -> None:
    event = decode(json.dumps(payload))
    assert isinstance(event, UnknownEvent)
    assert event.data == payload
    path = PLACEHOLDERS[payload["type"]]
    assert event.problem == f"Invalid base64 encoded string - at `{path}`"


@those(WITHOUT_A_CLASS.__contains__)
def test_an_example_of_a_type_without_a_class_is_unknown_and_whole(
    payload: dict[str, Any],
) -> None:
    event = decode(json.dumps(payload))
    assert event == UnknownEvent(type=payload["type"], data=payload)
    assert isinstance(event, UnknownEvent)
    assert event.problem is None
    assert json.loads(encode(event)) == payload


@those(lambda name: name in CLIENT_EVENTS and name not in PLACEHOLDERS)
def test_an_example_of_a_client_event_can_be_sent_without_a_warning(
    payload: dict[str, Any],
) -> None:
    protocol = RealtimeProtocol("client")
    protocol.send(InputAudioBufferAppend(audio=bytes(4800)))  # or there is nothing to commit
    sent = json.loads(protocol.send(payload))
    assert sent == {**payload, "event_id": sent["event_id"]}


@those(lambda name: name in SERVER_EVENTS and name not in PLACEHOLDERS)
def test_an_example_of_a_server_event_can_be_sent_by_a_server(payload: dict[str, Any]) -> None:
    sent = json.loads(RealtimeProtocol("server").send(payload))
    assert sent == {**payload, "event_id": sent["event_id"]}
