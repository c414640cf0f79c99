"""The events are values: frozen, slotted, documented, complete, and short to look at."""

import ast
import copy
import inspect
import json
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar, get_args, get_origin

import attrs
import pytest
from hypothesis import given, strategies as st

from meshrt import events as wire
from meshrt.events import (
    BETA_NAMES,
    CLIENT_EVENTS,
    SERVER_EVENTS,
    UNSET,
    AssistantMessage,
    AudioPart,
    ClientEvent,
    Event,
    InputAudio,
    InputAudioBufferAppend,
    InputAudioBufferCleared,
    InputImage,
    OutputAudio,
    ResponseCreate,
    ResponseOutputAudioDelta,
    ServerEvent,
    SessionInputAudioBufferAppend,
    SessionOutputAudioDelta,
    UnknownEvent,
    class_of,
)
from meshrt.protocol import decode
from tests.strategies import EVENTS, VALUES, known_events

EVENT_CLASSES = sorted(EVENTS, key=lambda cls: cls.type)
MODULES = sorted(Path(inspect.getfile(wire)).parent.glob("_*.py"))
TREES = [ast.parse(path.read_text("utf-8")) for path in MODULES]
SOURCES = {
    node.name: node for tree in TREES for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
}

# To the letter, as the vendor's SDK lists them.
CLIENT_NAMES = {
    "conversation.item.create",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "input_audio_buffer.append",
    "input_audio_buffer.clear",
    "input_audio_buffer.commit",
    "output_audio_buffer.clear",
    "response.cancel",
    "response.create",
    "session.close",
    "session.input_audio_buffer.append",
    "session.update",
}
SERVER_NAMES = {
    "conversation.created",
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.deleted",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.failed",
    "conversation.item.input_audio_transcription.segment",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "error",
    "input_audio_buffer.cleared",
    "input_audio_buffer.committed",
    "input_audio_buffer.dtmf_event_received",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.timeout_triggered",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "mcp_list_tools.in_progress",
    "output_audio_buffer.cleared",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "rate_limits.updated",
    "response.content_part.added",
    "response.content_part.done",
    "response.created",
    "response.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_call.in_progress",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.done",
    "session.closed",
    "session.created",
    "session.input_transcript.delta",
    "session.output_audio.delta",
    "session.output_transcript.delta",
    "session.updated",
}

each_event_class = pytest.mark.parametrize("cls", EVENT_CLASSES, ids=lambda cls: cls.type)
each_value_class = pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)


def docs_of_fields(source: ast.ClassDef) -> dict[str, str | None]:
    """Return the string below each annotated name of a class, or None where there is none."""
    docs: dict[str, str | None] = {}
    for statement, below in zip(source.body, [*source.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(doc))):
                    docs[statement.target.id] = doc
                case _:
                    docs[statement.target.id] = None
    return docs


@each_value_class
def test_a_value_is_frozen(cls: type[Any]) -> None:
    value = object.__new__(cls)
    for field in attrs.fields(cls):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, field.name, None)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(value, field.name)


@each_value_class
def test_a_value_is_slotted_and_takes_no_other_name(cls: type[Any]) -> None:
    value = object.__new__(cls)
    assert not hasattr(value, "__dict__")
    with pytest.raises((AttributeError, attrs.exceptions.FrozenInstanceError)):
        value.something_else = 1


@each_value_class
def test_the_fields_of_a_value_are_keyword_only(cls: type[Any]) -> None:
    parameters = list(inspect.signature(cls).parameters.values())
    assert [parameter.name for parameter in parameters] == [f.name for f in attrs.fields(cls)]
    assert {parameter.kind for parameter in parameters} <= {inspect.Parameter.KEYWORD_ONLY}


@each_value_class
def test_a_value_has_a_docstring_and_each_of_its_fields_a_line(cls: type[Any]) -> None:
    source = SOURCES[cls.__name__]
    assert ast.get_docstring(source), cls
    docs = docs_of_fields(source)
    missing = [field.name for field in attrs.fields(cls) if not docs.get(field.name)]
    assert missing == []


def test_a_field_without_its_line_would_be_found() -> None:
    source = ast.parse('class A:\n    x: int\n    y: int\n    """Doc."""\n    z: int').body[0]
    assert isinstance(source, ast.ClassDef)
    assert docs_of_fields(source) == {"x": None, "y": "Doc.", "z": None}


@each_value_class
def test_a_value_says_that_it_is_from_the_public_package(cls: type[Any]) -> None:
    assert cls.__module__ == "meshrt.events"
    assert getattr(wire, cls.__name__) is cls


@each_event_class
def test_an_event_class_is_its_wire_name_in_camel_case(cls: type[Event]) -> None:
    assert cls.__name__ == "".join(word.capitalize() for word in re.split(r"[._]", cls.type))


@each_event_class
def test_the_type_of_an_event_is_a_constant_and_no_field(cls: type[Event]) -> None:
    assert get_origin(inspect.get_annotations(cls)["type"]) is ClassVar
    assert "type" not in {field.name for field in attrs.fields(cls)}


@each_event_class
def test_an_event_may_do_without_an_event_id(cls: type[Event]) -> None:
    assert attrs.fields_dict(cls)["event_id"].default is UNSET


def test_the_registries_have_every_event_of_the_wire_and_no_other() -> None:
    assert set(CLIENT_EVENTS) == CLIENT_NAMES
    assert set(SERVER_EVENTS) == SERVER_NAMES
    assert {cls for cls in VALUES if issubclass(cls, Event)} == set(EVENT_CLASSES)
    for registry in (CLIENT_EVENTS, SERVER_EVENTS):
        assert all(cls.type == name for name, cls in registry.items())


@pytest.mark.parametrize(
    ("union", "registry"), [(ClientEvent, CLIENT_EVENTS), (ServerEvent, SERVER_EVENTS)]
)
def test_a_union_of_events_is_its_registry_and_the_unknown_event(
    union: object, registry: dict[str, type[Event]]
) -> None:
    assert get_args(union) == (*registry.values(), UnknownEvent)


def test_the_registries_can_not_be_changed() -> None:
    for registry in (CLIENT_EVENTS, SERVER_EVENTS, BETA_NAMES):
        with pytest.raises(TypeError, match="does not support item"):
            registry["x"] = Event  # type: ignore[index]


def test_each_name_has_its_class_and_a_beta_name_that_of_its_twin() -> None:
    for wire_name, cls in {**CLIENT_EVENTS, **SERVER_EVENTS}.items():
        assert class_of(wire_name) is cls
    for beta, name in BETA_NAMES.items():
        assert class_of(beta) is {**CLIENT_EVENTS, **SERVER_EVENTS}[name]
        assert beta not in {*CLIENT_EVENTS, *SERVER_EVENTS}
    assert class_of("never.heard.of") is None


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_audio_is_short_to_look_at(kind: type[Any]) -> None:
    audio = kind(bytes(4800))
    place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    for value in (
        InputAudioBufferAppend(audio=audio),
        ResponseOutputAudioDelta(delta=audio, **place),
        SessionInputAudioBufferAppend(audio=audio),
        SessionOutputAudioDelta(delta=audio),
        *(cls(audio=audio) for cls in (InputAudio, OutputAudio, AudioPart)),
    ):
        assert "=<4800 bytes>" in repr(value)
        assert len(repr(value)) < 200


def test_audio_that_is_absent_or_null_looks_as_it_is() -> None:
    assert repr(InputAudio(audio=None)) == "InputAudio(audio=None, transcript=UNSET)"
    assert repr(OutputAudio()) == "OutputAudio(audio=UNSET, transcript=UNSET)"


def test_a_long_image_is_short_to_look_at_and_a_short_one_is_shown() -> None:
    long = "data:image/png;base64," + "A" * 5000
    assert "image_url=<5022 characters>" in repr(InputImage(image_url=long))
    assert "image_url='data:,'" in repr(InputImage(image_url="data:,"))


def test_audio_inside_an_item_inside_an_event_is_short_to_look_at() -> None:
    item = AssistantMessage(content=[OutputAudio(audio=bytes(10**6))])
    assert "<1000000 bytes>" in repr(item)
    assert len(repr(item)) < 200


@given(known_events)
def test_an_event_is_equal_to_its_copies_and_to_what_pickle_makes_of_it(event: Event) -> None:
    for other in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):  # noqa: S301
        assert other == event
        assert type(other) is type(event)
        assert other.data == event.data


@pytest.mark.parametrize("again", [
    copy.copy,
    copy.deepcopy,
    lambda event: pickle.loads(pickle.dumps(event)),  # noqa: S301
    lambda event: copy.copy(copy.deepcopy(event)),
])  # fmt: skip
def test_a_copy_knows_what_its_class_does_not(again: Any) -> None:
    text = '{"type":"input_audio_buffer.cleared","event_id":null,"more":{"x":1}}'
    event = again(decode(text))
    assert event == InputAudioBufferCleared(event_id=None)
    assert event.data == json.loads(text)
    built = again(InputAudioBufferCleared())
    assert (built.event_id, built.data) == (UNSET, {"type": "input_audio_buffer.cleared"})
    changed = attrs.evolve(event, event_id="e")
    assert changed.data == {"type": "input_audio_buffer.cleared", "event_id": "e"}


def test_absent_and_null_are_not_the_same() -> None:
    assert ResponseCreate() != ResponseCreate(response=None)
    assert ResponseCreate().data == {"type": "response.create"}
    assert ResponseCreate(response=None).data == {"type": "response.create", "response": None}


def test_an_unknown_event_is_equal_to_another_with_the_same_data_whatever_its_problem() -> None:
    data = {"type": "x"}
    with_problem = UnknownEvent(type="x", data=data, problem="p")
    assert with_problem == UnknownEvent(type="x", data=dict(data))
    assert with_problem != UnknownEvent(type="x", data={"type": "x", "more": 1})


@given(st.data())
def test_a_changed_copy_does_not_keep_the_text_of_the_original(data: st.DataObject) -> None:
    event = data.draw(known_events)
    changed = attrs.evolve(event, event_id="changed")
    assert changed.data == {**event.data, "event_id": "changed"}
