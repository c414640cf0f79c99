"""The published payloads of the beta wire and of translation: they are read as their GA twins."""

import json
from pathlib import Path
from typing import Any

import pytest

from meshrt.events import BETA_NAMES, Event, UnknownEvent, class_of
from meshrt.protocol import decode, encode

WIRE = Path(__file__).parents[1] / "data" / "wire"
PAYLOADS: list[tuple[str, dict[str, Any]]] = [
    (f"{path.parent.name}-{path.stem}", payload)
    for path in sorted([*WIRE.glob("beta/*.json"), *WIRE.glob("translation/*.json")])
    for payload in json.loads(path.read_text("utf-8"))["examples"]
]
# Where the vendor writes "Base64EncodedAudioData" and the like in place of audio.
PLACEHOLDERS = {
    "beta-input_audio_buffer.append",
    "beta-response.output_audio.delta",
    "translation-session.input_audio_buffer.append",
    "translation-session.output_audio.delta",
}
# Read like the others, and not written to the letter: an unknown field is in `data` alone, and
# base64 whose last bits are not zero comes back as the canonical text of the same bytes.
NOT_TO_THE_LETTER = {
    "beta-response.created": "timestamp",
    "beta-conversation.item.retrieved": "item",
}


def those(wanted: Any) -> Any:
    chosen = [(name, payload) for name, payload in PAYLOADS if wanted(name)]
    return pytest.mark.parametrize(("name", "payload"), chosen, ids=[name for name, _ in chosen])


def test_there_are_as_many_as_were_published() -> None:
    assert len(PAYLOADS) == 62
    assert {name for name, _ in PAYLOADS} >= PLACEHOLDERS | NOT_TO_THE_LETTER.keys()


@those(lambda name: name not in PLACEHOLDERS)
def test_an_older_example_is_of_the_class_of_its_twin(name: str, payload: dict[str, Any]) -> None:
    event = decode(json.dumps(payload), keep_audio_text=True)
    assert isinstance(event, Event)
    assert type(event) is class_of(payload["type"])
    assert event.data == payload


@those(lambda name: name not in {*PLACEHOLDERS, *NOT_TO_THE_LETTER})
def test_an_older_example_comes_back_under_the_name_of_its_twin(
    name: str, payload: dict[str, Any]
) -> None:
    twin = BETA_NAMES.get(payload["type"], payload["type"])
    assert json.loads(encode(decode(json.dumps(payload)))) == {**payload, "type": twin}


@those(NOT_TO_THE_LETTER.__contains__)
def test_only_the_named_field_of_these_does_not_come_back(
    name: str, payload: dict[str, Any]
) -> None:
    back = json.loads(encode(decode(json.dumps(payload))))
    changed = {key for key in {*payload, *back} if payload.get(key) != back.get(key)}
    assert changed == {NOT_TO_THE_LETTER[name]}


@those(PLACEHOLDERS.__contains__)
def test_a_placeholder_for_audio_is_unknown_and_whole(name: str, payload: dict[str, Any]) -> None:
    event = decode(json.dumps(payload))
    assert isinstance(event, UnknownEvent)
    assert event.data == payload
    assert "Invalid base64" in str(event.problem)
