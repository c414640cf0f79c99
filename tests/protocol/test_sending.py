"""What may be sent: refused where it is certainly wrong, warned of where only the server knows."""

import base64
import copy
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from meshrt.errors import LocalProtocolError, MeshWarning
from meshrt.events import (
    BETA_NAMES,
    CLIENT_EVENTS,
    SERVER_EVENTS,
    AudioConfig,
    AudioInput,
    AudioOutput,
    AudioPCM,
    AudioPCMA,
    AudioPCMU,
    ConversationItemCreate,
    Event,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    RealtimeSessionConfig,
    ResponseCancel,
    ResponseCreate,
    ServerVad,
    SessionCreated,
    SessionInputAudioBufferAppend,
    SessionUpdate,
    SessionUpdated,
    TranscriptionSession,
    TranslationSession,
    UnknownEvent,
    UserMessage,
)
from meshrt.protocol import MAX_APPEND_BYTES, AnyEvent, RealtimeProtocol, State, encode
from meshrt.protocol._checks import _GA_TWINS
from meshrt.protocol._values import KNOWN_VALUES
from tests.strategies import json_values, names, pcm, texts

# Each field of the beta wire that is elsewhere now, or gone, as the vendor's guide to GA says.
BETA = [
    ("session.update", "modalities", "output_modalities"),
    ("session.update", "voice", "audio.output.voice"),
    ("session.update", "speed", "audio.output.speed"),
    ("session.update", "input_audio_format", "audio.input.format"),
    ("session.update", "output_audio_format", "audio.output.format"),
    ("session.update", "input_audio_transcription", "audio.input.transcription"),
    ("session.update", "input_audio_noise_reduction", "audio.input.noise_reduction"),
    ("session.update", "turn_detection", "audio.input.turn_detection"),
    ("session.update", "max_response_output_tokens", "max_output_tokens"),
    ("session.update", "temperature", None),
    ("response.create", "modalities", "output_modalities"),
    ("response.create", "voice", "audio.output.voice"),
    ("response.create", "output_audio_format", "audio.output.format"),
    ("response.create", "max_response_output_tokens", "max_output_tokens"),
    ("response.create", "temperature", None),
]
G711 = [AudioPCMU(), AudioPCMA()]


def update(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **fields}}


def hear(**fields: Any) -> dict[str, Any]:
    return update(audio={"input": fields})


def create(**fields: Any) -> dict[str, Any]:
    return {"type": "response.create", "response": fields}


def add(*parts: dict[str, Any]) -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": parts}
    return {"type": "conversation.item.create", "item": item}


CUT = {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0}
WRONG_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"type": "session.update", "session": 3}, "$.session"),
    ({"type": "session.update", "session": None}, "$.session"),
    (update(instructions=3), "$.session.instructions"),
    (update(tools={}), "$.session.tools"),
    (hear(format="pcm16"), "$.session.audio.input.format"),
    (hear(turn_detection={"type": "server_vad", "threshold": "high"}),
     "$.session.audio.input.turn_detection.threshold"),
    ({"type": "input_audio_buffer.append", "audio": 3}, "$.audio"),
    ({"type": "input_audio_buffer.append", "audio": None}, "$.audio"),
    ({"type": "input_audio_buffer.append", "audio": "not base64 !!"}, "$.audio"),
    ({"type": "conversation.item.delete", "item_id": 3}, "$.item_id"),
    ({**CUT, "audio_end_ms": 0.5}, "$.audio_end_ms"),
    (add({"type": "input_text", "text": 3}), "$.item.content[0].text"),
    ({"type": "response.create", "response": []}, "$.response"),
    (create(output_modalities="text"), "$.response.output_modalities"),
    ({"type": "response.cancel", "response_id": 3}, "$.response_id"),
]  # fmt: skip
MISSING: list[tuple[dict[str, Any], str]] = [
    ({"type": "session.update"}, "session"),
    ({"type": "input_audio_buffer.append"}, "audio"),
    ({"type": "conversation.item.create"}, "item"),
    ({"type": "conversation.item.create", "item": {"type": "function_call"}}, "name"),
    ({"type": "conversation.item.delete"}, "item_id"),
    (CUT, "audio_end_ms"),
]
UNKNOWN_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"type": "input_audio_buffer.clear", "more": 1}, "$.more"),
    (update(mood="merry"), "$.session.mood"),
    (hear(gain=1), "$.session.audio.input.gain"),
    (update(tools=[{"type": "function"}, {"type": "function", "strict": True}]),
     "$.session.tools[1].strict"),
    (add({"type": "input_text", "lang": "en"}), "$.item.content[0].lang"),
    (create(speed=1), "$.response.speed"),
    ({"type": "never.heard.of"}, "type"),
    ({"type": "never.heard.of", "x": {"y": 1}}, "type"),
]  # fmt: skip
# What such mappings hold nobody but the server knows.
NOT_OURS_TO_JUDGE: list[dict[str, Any]] = [
    update(tools=[{"type": "mcp", "server_label": "s"}]),
    hear(turn_detection=None),
    {"type": "session.update", "session": {"type": "realtime", "model": "new", "audio": None}},
    create(conversation="none", input=[{"type": "item_reference", "id": "i"}]),
    {"type": "response.create", "response": None},
    {"type": "conversation.item.create", "item": {"type": "new_item", "x": 1}},
]
PAIRS = {str(n): "x" * 512 for n in range(16)}
# (a field of the body, with the dots of its path), values that are known, values that are not
WORDS_AND_RANGES: list[tuple[str, str, list[Any], list[Any]]] = [
    ("session", "type", ["realtime", "transcription", "translation"], ["new_session"]),
    ("session", "output_modalities", [["audio"], ("text",), None], [["audio", "text"], [], ["x"]]),
    ("session", "max_output_tokens", [1, 4096, "inf", None], [0, 4097, "infinite"]),
    ("session", "reasoning.effort", ["minimal", "low", "medium", "high", "xhigh"], ["max"]),
    ("session", "tool_choice", ["none", "auto", "required"], ["some"]),
    ("session", "tool_choice.type", ["mcp"], ["custom"]),
    ("session", "truncation", ["auto", "disabled"], ["never"]),
    ("session", "truncation.type", [], ["new"]),
    ("session", "truncation.retention_ratio", [0, 0.5, 1], [-0.1, 1.1]),
    ("session", "truncation.token_limits.post_instructions", [0, 10**6], [-1]),
    ("session", "tracing", ["auto", None], ["on"]),
    ("session", "include.0", ["item.input_audio_transcription.logprobs"], ["everything"]),
    ("session", "tools.0.type", ["function"], ["custom"]),
    ("session", "tools.1.require_approval", ["always", "never"], ["sometimes"]),
    ("session", "tools.1.allowed_callers.0", ["direct", "programmatic"], ["nobody"]),
    ("session", "audio.input.format.type", ["audio/pcm", "audio/pcmu", "audio/pcma"], ["opus"]),
    ("session", "audio.input.format.rate", [24_000], [16_000]),
    ("session", "audio.input.transcription.delay", ["minimal", "xhigh"], ["none"]),
    ("session", "audio.input.transcription.languages", [["en"]], [[]]),
    ("session", "audio.input.noise_reduction.type", ["near_field", "far_field"], ["none"]),
    ("session", "audio.input.turn_detection.type", ["server_vad", "semantic_vad"], ["new_vad"]),
    ("session", "audio.input.turn_detection.eagerness", ["low", "medium", "auto"], ["none"]),
    ("session", "audio.input.turn_detection.threshold", [0, 0.5, 1], [-0.5, 1.5]),
    ("session", "audio.input.turn_detection.idle_timeout_ms", [5000, 30_000], [4999, 30_001]),
    ("session", "audio.output.format.type", ["audio/pcm", "audio/pcmu", "audio/pcma"], ["opus"]),
    ("session", "audio.output.format.rate", [24_000], [16_000]),
    ("session", "audio.output.speed", [0.25, 1, 1.5], [0.2, 1.6]),
    ("response", "conversation", ["auto", "none", None], ["conv_1"]),
    ("response", "max_output_tokens", [1, "inf"], [0, 4097]),
    ("response", "output_modalities", [["text"]], [["audio", "text"]]),
    ("response", "tool_choice", ["none"], ["some"]),
    ("response", "reasoning.effort", ["low"], ["none"]),
    ("response", "audio.output.format.rate", [24_000], [48_000]),
    ("response", "tools.0.type", ["function"], ["custom"]),
    ("response", "metadata", [{}, PAIRS, {"k" * 64: ""}],
     [{**PAIRS, "one": "more"}, {"k" * 65: ""}, {"k": "v" * 513}, {"k": 1}, {"k": {"b": [1]}}]),
]  # fmt: skip
# What else has to be there for a field to be one, by the path of the object that it is in.
BESIDE: dict[str, dict[str, Any]] = {
    "": {"type": "realtime"},
    "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
    "tool_choice": {"server_label": "s"},
    "tools.1": {"type": "mcp", "server_label": "s"},
    "audio.input.format": {"type": "audio/pcm"},
    "audio.output.format": {"type": "audio/pcm"},
}
VALUES = [
    (body, path, value, value in known)
    for body, path, known, others in WORDS_AND_RANGES
    for value in (*known, *others)
]


def snapshot(protocol: RealtimeProtocol) -> tuple[object, ...]:
    """Return all that can be seen of a protocol, without taking anything out of it."""
    return (
        protocol.state,
        protocol.session,
        protocol.turn_in_flight,
        protocol.active_responses,
        list(protocol._events),
        list(protocol._to_send),
    )


@contextmanager
def refused(protocol: RealtimeProtocol, *words: str) -> Iterator[None]:
    """Expect a refusal that says these words, and that nothing has changed by it."""
    before = snapshot(protocol)
    with pytest.raises(LocalProtocolError) as info:
        yield
    assert [word for word in words if word not in str(info.value)] == []
    assert snapshot(protocol) == before


def in_session(session: Any) -> RealtimeProtocol:
    """Return a client to which a server has said this session."""
    protocol = RealtimeProtocol("client")
    protocol.receive_text(encode(SessionCreated(session=session)))
    return protocol


def append(audio: bytes) -> dict[str, str]:
    text = base64.b64encode(audio).decode()
    return {"type": "input_audio_buffer.append", "audio": text}


def append_size(text: str) -> int:
    return len(base64.b64decode(json.loads(text)["audio"]))


@pytest.mark.parametrize("role", ["server", "client"])
def test_an_event_gets_an_id_only_if_it_has_none(role: Any) -> None:
    wire_name = "input_audio_buffer.clear" if role == "client" else "input_audio_buffer.cleared"
    protocol = RealtimeProtocol(role, make_id=iter(["first", "second"]).__next__)
    sent = [
        protocol.send({"type": wire_name}),
        protocol.send({"type": wire_name, "event_id": "mine"}),
        protocol.send({"type": wire_name, "event_id": None}),
    ]
    assert [json.loads(text)["event_id"] for text in sent] == ["first", "mine", "second"]


def test_ids_are_counted_unless_somebody_makes_them() -> None:
    protocol = RealtimeProtocol("client")
    sent = [
        protocol.send(InputAudioBufferClear()),
        protocol.send(InputAudioBufferAppend(audio=b"")),
        protocol.send({"type": "input_audio_buffer.append", "audio": ""}),
        protocol.prepare_audio(b"").text,
    ]
    ids = [json.loads(text)["event_id"] for text in sent]
    assert ids == ["event_1", "event_2", "event_3", "event_4"]


@pytest.mark.parametrize(
    "event",
    [
        InputAudioBufferClear(),
        ResponseCancel(response_id="r"),
        ResponseCreate(response=None),
        SessionUpdate(
            session=RealtimeSessionConfig(audio=AudioConfig(output=AudioOutput(voice="a")))
        ),
        SessionUpdate(session=TranscriptionSession(include=[])),
        ConversationItemCreate(item=UserMessage(content=[]), previous_item_id=None),
    ],
)
def test_a_typed_event_is_sent_whole_with_its_id_added(event: Event) -> None:
    text = RealtimeProtocol("client").send(event)
    assert json.loads(text) == {**event.data, "event_id": "event_1"}


@given(names.filter(bool), st.dictionaries(texts, json_values, max_size=3))
def test_a_mapping_is_sent_as_given_and_never_changed(
    wire_name: str, fields: dict[str, Any]
) -> None:
    mapping = {**fields, "type": wire_name}
    mapping.pop("event_id", None)
    before = copy.deepcopy(mapping)
    for event in (mapping, MappingProxyType(mapping), UnknownEvent(type="?", data=mapping)):
        text = RealtimeProtocol("server").send(event)
        assert list(json.loads(text).items()) == [*before.items(), ("event_id", "event_1")]
        assert mapping == before


def placed(body: str, path: str, value: Any) -> dict[str, Any]:
    """Return an event with a value at a path in its body, and with what has to be beside it."""
    steps = path.split(".")
    for count in reversed(range(len(steps))):
        step, beside = steps[count], BESIDE.get(".".join(steps[:count]), {})
        if step.isdigit():
            value = [*[{"type": "function"}] * int(step), value]
        else:
            value = {**(beside if body == "session" or count else {}), step: value}
    return {"type": "session.update" if body == "session" else "response.create", body: value}


@pytest.mark.parametrize(("body", "path", "value", "is_known"), VALUES, ids=str)
def test_words_and_ranges_that_are_not_known_warn_once_and_the_server_decides(
    body: str, path: str, value: Any, is_known: bool
) -> None:
    mapping = placed(body, path, value)
    protocol = RealtimeProtocol("client")
    if is_known:
        protocol.send(read_only(mapping))
        return
    with pytest.warns(MeshWarning) as caught:
        text = protocol.send(read_only(mapping))
    (sentence,) = [str(warning.message) for warning in caught]
    place = re.sub(r"\.(\d+)", r"[\1]", f"$.{body}.{path}")
    assert sentence.startswith(
        f"meshrt does not know the value at {place} of {mapping['type']}, but only "
    )
    assert sentence.endswith("; it is sent as it is, and the server decides")
    assert json.loads(text) == {**json.loads(json.dumps(mapping)), "event_id": "event_1"}
    protocol.send(mapping)
    RealtimeProtocol("client").send(mapping, strict=False)


def test_each_value_that_is_not_known_has_its_own_warning_in_a_typed_event_too() -> None:
    output = AudioOutput(speed=3, format=AudioPCM(rate=8000))
    session = RealtimeSessionConfig(audio=AudioConfig(output=output), max_output_tokens=0)
    with pytest.warns(MeshWarning) as caught:
        RealtimeProtocol("client").send(SessionUpdate(session=session))
    paths = [
        str(warning.message).partition("value at $.session.")[2].split()[0] for warning in caught
    ]
    assert paths == ["audio.output.format.rate", "audio.output.speed", "max_output_tokens"]
    assert all(warning.filename == __file__ for warning in caught)


@given(json_values)
def test_no_value_is_too_odd_to_be_judged_by_the_server(value: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for body, path, *_ in WORDS_AND_RANGES:
            unknown = {**placed(body, path, value)[body], "type": "new_session"}
            RealtimeProtocol("client").send({"type": "session.update", "session": unknown})


def test_every_field_whose_values_are_known_is_in_the_list_above() -> None:
    listed = {(body, re.sub(r"\.\d+", "[]", path)) for body, path, *_ in WORDS_AND_RANGES}
    table = {(body, path) for body, known in KNOWN_VALUES.values() for path in known}
    assert {path for _, path in table} == {path for _, path in listed}
    of_sessions = {path for body, path in listed if body == "session"}
    assert {path for body, path in table if body == "session"} == of_sessions


@pytest.mark.parametrize("mapping", NOT_OURS_TO_JUDGE, ids=str)
def test_what_nobody_knows_the_values_of_is_the_servers_to_judge(mapping: dict[str, Any]) -> None:
    before = copy.deepcopy(mapping)
    text = RealtimeProtocol("client").send(read_only(mapping))
    assert json.loads(text) == {**before, "event_id": "event_1"}
    assert mapping == before


def read_only(value: Any) -> Any:
    """Return mappings that forbid their mutation, all the way down."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: read_only(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(map(read_only, value))
    return value


@pytest.mark.parametrize(("mapping", "path"), WRONG_TYPES, ids=str)
def test_a_known_field_of_a_wrong_type_is_refused_with_its_path(
    mapping: dict[str, Any], path: str
) -> None:
    protocol = RealtimeProtocol("client")
    with refused(protocol, "nothing was sent", mapping["type"], f"`{path}`"):
        protocol.send(mapping)
    assert json.loads(protocol.send(mapping, strict=False))["type"] == mapping["type"]


@pytest.mark.parametrize(("mapping", "field"), MISSING, ids=str)
def test_a_missing_field_is_refused_by_name(mapping: dict[str, Any], field: str) -> None:
    protocol = RealtimeProtocol("client")
    with refused(protocol, "nothing was sent", mapping["type"], f"`{field}`"):
        protocol.send(mapping)
    protocol.send(mapping, strict=False)


def test_a_typed_event_with_a_wrong_type_is_refused_as_well() -> None:
    protocol = RealtimeProtocol("client")
    with refused(protocol, "Expected `str | null`, got `int` - at `$.response_id`"):
        protocol.send(ResponseCancel(response_id=3))  # type: ignore[arg-type]
    vad = ServerVad(threshold="high")  # type: ignore[arg-type]
    session = RealtimeSessionConfig(audio=AudioConfig(input=AudioInput(turn_detection=vad)))
    with refused(protocol, "`$.session.audio.input.turn_detection.threshold`"):
        protocol.send(SessionUpdate(session=session))


def test_an_unknown_event_that_does_not_fit_its_type_is_refused_unless_told_otherwise() -> None:
    protocol = RealtimeProtocol("client")
    event = UnknownEvent(
        type="response.cancel", data={"type": "response.cancel", "response_id": 3}
    )
    with refused(protocol, "`$.response_id`"):
        protocol.send(event)
    assert json.loads(protocol.send(event, strict=False))["response_id"] == 3


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_not_json_is_never_sent(role: Any, strict: bool) -> None:
    protocol = RealtimeProtocol(role)
    for value in (float("nan"), b"", {1}, {1: 2}, "\ud800"):
        with refused(protocol, "can't be sent", "$.x"):
            protocol.send({"type": "never.heard.of", "x": value}, strict=strict)
    with refused(protocol, "has no `type`"):
        protocol.send({}, strict=strict)
    with refused(protocol, "is not an event"):
        protocol.send(b"\0\0", strict=strict)  # type: ignore[arg-type]


@pytest.mark.parametrize(("mapping", "path"), UNKNOWN_FIELDS, ids=str)
def test_what_nobody_knows_warns_once_with_its_path_and_is_sent(
    mapping: dict[str, Any], path: str
) -> None:
    protocol = RealtimeProtocol("client")
    with pytest.warns(MeshWarning) as caught:
        text = protocol.send(read_only(mapping))
    assert len(caught) == 1
    assert f"does not know {path} of {mapping['type']}; it is sent" in str(caught[0].message)
    sent = json.loads(text)
    assert sent == {**json.loads(json.dumps(mapping)), "event_id": "event_1"}
    protocol.send(mapping)
    with pytest.warns(MeshWarning):
        RealtimeProtocol("client").send(mapping)


def test_a_warning_points_to_where_the_event_is_sent() -> None:
    with pytest.warns(MeshWarning) as caught:
        RealtimeProtocol("client").send({"type": "never.heard.of"})
    assert caught[0].filename == __file__


def test_each_unknown_field_has_its_own_warning() -> None:
    mapping = {"type": "response.create", "a": 1, "response": {"b": 1, "c": 2}}
    with pytest.warns(MeshWarning) as caught:
        RealtimeProtocol("client").send(mapping)
    found = [str(warning.message).partition("know ")[2].split()[0] for warning in caught]
    assert found == ["$.a", "$.response.b", "$.response.c"]


@pytest.mark.parametrize(("mapping", "path"), UNKNOWN_FIELDS, ids=str)
def test_without_strictness_and_on_a_server_nothing_warns(
    mapping: dict[str, Any], path: str
) -> None:
    RealtimeProtocol("client").send(mapping, strict=False)
    RealtimeProtocol("server").send({"type": "input_audio_buffer.cleared", "more": 1})
    RealtimeProtocol("server").send({"type": "never.heard.of"})


def test_a_warning_that_is_an_error_leaves_everything_as_it_was() -> None:
    protocol = RealtimeProtocol("client")
    before = snapshot(protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MeshWarning):
            protocol.send({"type": "response.create", "more": 1})
    assert snapshot(protocol) == before


def test_the_table_of_the_beta_wire_is_the_one_above() -> None:
    table = [(event, old, new) for event, twins in _GA_TWINS.items() for old, new in twins.items()]
    assert table == BETA


@pytest.mark.parametrize(("wire_name", "old", "new"), BETA)
def test_a_field_of_the_beta_wire_is_refused_with_its_new_name(
    wire_name: str, old: str, new: str | None
) -> None:
    body = "session" if wire_name == "session.update" else "response"
    mapping = {"type": wire_name, body: {"type": "realtime", old: "x"}}
    protocol = RealtimeProtocol("client")
    advice = f"`{old}` is now `{new}`" if new else f"`{old}` is no longer there"
    with refused(protocol, "nothing was sent", wire_name, "beta", advice):
        protocol.send(mapping)
    assert json.loads(protocol.send(mapping, strict=False))[body][old] == "x"


def test_the_event_that_only_the_beta_wire_had_is_refused_with_its_new_name() -> None:
    mapping = {"type": "transcription_session.update", "session": {"input_audio_format": "pcm16"}}
    protocol = RealtimeProtocol("client")
    with refused(protocol, "transcription_session.update is now `session.update`"):
        protocol.send(mapping)
    assert json.loads(protocol.send(mapping, strict=False)) == {**mapping, "event_id": "event_1"}


def test_all_fields_of_the_beta_wire_are_named_at_once() -> None:
    session = {"voice": "alloy", "turn_detection": None, "instructions": "x"}
    voice = "`voice` is now `audio.output.voice`"
    detection = "`turn_detection` is now `audio.input.turn_detection`"
    protocol = RealtimeProtocol("client")
    with refused(protocol, f"{voice}; {detection}"):
        protocol.send({"type": "session.update", "session": session})


@pytest.mark.parametrize("session", [{}, {"instructions": "x"}, {"type": None}, {"type": 3}])
def test_a_session_without_its_type_is_refused(session: dict[str, Any]) -> None:
    protocol = RealtimeProtocol("client")
    with refused(protocol, '`type`: "realtime" or "transcription"'):
        protocol.send({"type": "session.update", "session": session})
    protocol.send({"type": "session.update", "session": session}, strict=False)


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("strict", [True, False])
def test_an_event_of_the_other_side_is_refused(role: Any, strict: bool) -> None:
    protocol = RealtimeProtocol(role)
    registry = SERVER_EVENTS if role == "client" else CLIENT_EVENTS
    others = [*registry, *(beta for beta, name in BETA_NAMES.items() if name in registry)]
    for wire_name in others:
        with refused(protocol, f"{wire_name} is sent by the other side, and we are the {role}"):
            protocol.send({"type": wire_name}, strict=strict)


def test_audio_is_for_clients_to_append() -> None:
    protocol = RealtimeProtocol("server")
    with refused(protocol, "input_audio_buffer.append is sent by the other side"):
        protocol.prepare_audio(b"\0\0")
    with refused(protocol, "input_audio_buffer.append is sent by the other side"):
        protocol.send(InputAudioBufferAppend(audio=b"\0\0"))


def test_a_server_may_send_under_a_beta_name() -> None:
    text = RealtimeProtocol("server").send({"type": "response.text.delta"}, strict=False)
    assert json.loads(text)["type"] == "response.text.delta"


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("event_id", ["", "e" * 513, 3, ["e"], b"e"], ids=lambda e: str(e)[:8])
def test_an_event_id_is_text_of_1_to_512_characters(event_id: Any, strict: bool) -> None:
    protocol = RealtimeProtocol("client")
    for event in (
        {"type": "input_audio_buffer.clear", "event_id": event_id},
        InputAudioBufferClear(event_id=event_id),
        InputAudioBufferAppend(event_id=event_id, audio=b""),
    ):
        with refused(protocol, "an event_id is text of 1 to 512 characters"):
            protocol.send(event, strict=strict)


def test_an_event_id_of_512_characters_is_sent_whatever_they_are() -> None:
    for event_id in ("e" * 512, "é" * 512, '"\\\n'):
        text = RealtimeProtocol("client").send(InputAudioBufferClear(event_id=event_id))
        assert json.loads(text)["event_id"] == event_id


@pytest.mark.parametrize("event_id", ['"', "\\", 'a","audio":"', "é\n"])
def test_an_id_that_somebody_makes_is_quoted(event_id: str) -> None:
    protocol = RealtimeProtocol("client", make_id=lambda: event_id)
    for text in (
        protocol.prepare_audio(b"\0\1").text,
        protocol.send(InputAudioBufferAppend(audio=b"\0\1")),
        protocol.send(append(b"\0\1")),
    ):
        assert json.loads(text) == {**append(b"\0\1"), "event_id": event_id}


def test_an_id_that_somebody_makes_is_checked() -> None:
    protocol = RealtimeProtocol("client", make_id=lambda: "e" * 513)
    with refused(protocol, "512"):
        protocol.prepare_audio(b"\0\0")
    with refused(protocol, "512"):
        protocol.send(InputAudioBufferClear())


@given(st.binary(max_size=64), texts.filter(bool), st.sampled_from([AudioPCM(), *G711]))
def test_the_fast_way_of_audio_is_the_general_one(audio: bytes, event_id: str, kind: Any) -> None:
    session = RealtimeSessionConfig(audio=AudioConfig(input=AudioInput(format=kind)))
    ways: list[AnyEvent | Mapping[str, Any]] = [
        InputAudioBufferAppend(audio=audio),
        InputAudioBufferAppend(audio=audio, event_id=event_id),
        {"type": "input_audio_buffer.append", "event_id": event_id, **append(audio)},
    ]
    outcomes = [outcome_of(session, event_id, way) for way in ways]
    assert outcomes == [outcomes[0]] * 3
    protocol = in_session(session)
    protocol._outgoing.make_id = lambda: event_id
    try:
        assert protocol.prepare_audio(audio).text == outcomes[0]
    except LocalProtocolError as error:
        assert str(error) == outcomes[0]  # noqa: PT017


def outcome_of(session: Any, event_id: str, event: AnyEvent | Mapping[str, Any]) -> str:
    """Return the text that goes out, or the sentence that says why none does."""
    protocol = in_session(session)
    protocol._outgoing.make_id = lambda: event_id
    try:
        return protocol.send(event)
    except LocalProtocolError as error:
        return str(error)


@given(pcm)
def test_audio_comes_out_as_it_went_in(audio: bytes) -> None:
    protocol = RealtimeProtocol("client")
    twice = bytes(byte for byte in audio for _ in range(2))
    for given_audio in (audio, bytearray(audio), memoryview(audio), memoryview(twice)[::2]):
        text = protocol.prepare_audio(given_audio).text
        assert base64.b64decode(json.loads(text)["audio"]) == audio


def test_a_prepared_append_is_short_to_look_at() -> None:
    prepared = RealtimeProtocol("client").prepare_audio(bytes(10_000))
    assert repr(prepared) == (
        "Prepared(type='input_audio_buffer.append', event_id='event_1', text=<13404 characters>)"
    )


@pytest.mark.parametrize("size", [1, 3, 4799])
def test_half_a_sample_of_pcm_is_refused(size: int) -> None:
    protocol = RealtimeProtocol("client")
    for event in (InputAudioBufferAppend(audio=bytes(size)), append(bytes(size))):
        with refused(protocol, f"{size} bytes are an odd number", "in front of the next chunk"):
            protocol.send(event)
        assert append_size(protocol.send(event, strict=False)) == size
    with refused(protocol, "odd"):
        protocol.prepare_audio(bytes(size))
    for cls in (InputAudioBufferAppend, SessionInputAudioBufferAppend):
        with refused(protocol, "odd"):
            protocol.send(cls(audio=bytes(size), event_id="mine"))


@pytest.mark.parametrize("kind", G711)
def test_a_session_in_g711_has_samples_of_one_byte(kind: Any) -> None:
    protocol = in_session(RealtimeSessionConfig(audio=AudioConfig(input=AudioInput(format=kind))))
    for event in (InputAudioBufferAppend(audio=b"\1\2\3"), append(b"\1\2\3")):
        assert append_size(protocol.send(event)) == 3
    assert append_size(protocol.prepare_audio(b"\1").text) == 1
    session = RealtimeSessionConfig(audio=AudioConfig(input=AudioInput(format=AudioPCM())))
    protocol.receive_text(encode(SessionUpdated(session=session)))
    with refused(protocol, "odd"):
        protocol.prepare_audio(b"\1")


@pytest.mark.parametrize(
    "session",
    [
        RealtimeSessionConfig(),
        RealtimeSessionConfig(audio=None),
        RealtimeSessionConfig(audio=AudioConfig(input=None)),
        RealtimeSessionConfig(audio=AudioConfig(input=AudioInput(format=None))),
        RealtimeSessionConfig(audio=AudioConfig(output=AudioOutput(format=AudioPCMU()))),
        TranscriptionSession(),
    ],
    ids=repr,
)
def test_a_session_that_does_not_say_has_pcm(session: Any) -> None:
    protocol = in_session(session)
    with refused(protocol, "odd"):
        protocol.prepare_audio(b"\1")


def test_more_than_15_mib_in_one_append_is_refused_and_15_mib_are_not() -> None:
    assert MAX_APPEND_BYTES == 15 * 1024 * 1024
    protocol = RealtimeProtocol("client")
    too_much = bytes(MAX_APPEND_BYTES + 2)
    for event in (
        InputAudioBufferAppend(audio=too_much),
        InputAudioBufferAppend(audio=too_much, event_id="mine"),
        SessionInputAudioBufferAppend(audio=too_much),
        append(too_much),
    ):
        with refused(protocol, str(MAX_APPEND_BYTES + 2), str(MAX_APPEND_BYTES), "send_audio()"):
            protocol.send(event)
    with refused(protocol, "send_audio()"):
        protocol.prepare_audio(memoryview(too_much))
    assert append_size(protocol.prepare_audio(too_much[2:]).text) == MAX_APPEND_BYTES
    assert append_size(protocol.send(append(too_much[2:]))) == MAX_APPEND_BYTES


@pytest.mark.parametrize("audio", [None, "AAA=", "AAAAAAAA", 3, [0, 1]])
def test_audio_that_is_not_bytes_is_refused(audio: Any) -> None:
    protocol = RealtimeProtocol("client")
    with refused(protocol, "audio is bytes, and not"):
        protocol.prepare_audio(audio)
    with refused(protocol, "audio is bytes, and not"):
        protocol.send(InputAudioBufferAppend(audio=audio))


def test_prepared_is_a_value_and_preparing_changes_nothing() -> None:
    protocol = RealtimeProtocol("client")
    before = snapshot(protocol)
    prepared = protocol.prepare(ResponseCreate())
    assert snapshot(protocol) == before
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        prepared.text = ""  # type: ignore[misc]
    assert protocol.advance(prepared) == prepared.text
    assert protocol.turn_in_flight
    assert protocol.state is State.CONNECTING


def test_what_was_prepared_before_the_end_can_not_happen_after_it() -> None:
    protocol = RealtimeProtocol("client")
    prepared = protocol.prepare(ResponseCreate())
    protocol.receive_text(None)
    with refused(protocol, "the session is ended", "start a new session"):
        protocol.advance(prepared)


def test_a_role_is_one_of_two() -> None:
    with pytest.raises(LocalProtocolError, match="'proxy'"):
        RealtimeProtocol("proxy")  # type: ignore[arg-type]


def test_a_translation_session_is_updated_without_its_type() -> None:
    update_of = {"type": "session.update", "session": {"audio": {"output": {"language": "fr"}}}}
    with refused(RealtimeProtocol("client"), "needs a `type`"):
        RealtimeProtocol("client").send(update_of)
    text = in_session(TranslationSession()).send(update_of)
    assert json.loads(text) == {**update_of, "event_id": "event_1"}


@pytest.mark.parametrize("kind", ["g711_ulaw", "g711_alaw"])
def test_a_session_of_the_beta_wire_may_have_samples_of_one_byte_as_well(kind: str) -> None:
    assert append_size(in_session({"input_audio_format": kind}).prepare_audio(b"\1").text) == 1
    with refused(in_session({"input_audio_format": "pcm16"}), "odd"):
        in_session({"input_audio_format": "pcm16"}).prepare_audio(b"\1")


def manual(kind: Any = None) -> RealtimeProtocol:
    """Return a client whose server does not detect turns."""
    entrance = AudioInput(format=kind or AudioPCM(), turn_detection=None)
    return in_session(RealtimeSessionConfig(audio=AudioConfig(input=entrance)))


@pytest.mark.parametrize(("kind", "shortest"), [(AudioPCM(), 4800), *((k, 800) for k in G711)])
@pytest.mark.parametrize(
    "send",
    [
        lambda protocol, audio: protocol.advance(protocol.prepare_audio(audio)),
        lambda protocol, audio: protocol.send(append(audio)),
        lambda protocol, audio: protocol.send(append(audio), strict=False),
        lambda protocol, audio: protocol.send(InputAudioBufferAppend(audio=audio), strict=False),
        lambda protocol, audio: protocol.send(InputAudioBufferAppend(audio=audio, event_id="e")),
    ],
)
def test_a_commit_of_less_than_100_ms_is_refused_where_the_client_ends_the_turns(
    kind: Any, shortest: int, send: Any
) -> None:
    protocol = manual(kind)
    send(protocol, bytes(shortest - 2))
    with refused(protocol, "the server refuses less than 100 ms"):
        protocol.send(InputAudioBufferCommit())
    send(protocol, bytes(2))
    protocol.send(InputAudioBufferCommit())
    with refused(protocol, "0 ms of audio were appended"):
        protocol.send({"type": "input_audio_buffer.commit"})
    protocol.send(InputAudioBufferCommit(), strict=False)


def test_a_cleared_buffer_has_nothing_to_commit() -> None:
    protocol = manual()
    protocol.advance(protocol.prepare_audio(bytes(9600)))
    protocol.send(InputAudioBufferClear())
    with refused(protocol, "0 ms of audio were appended"):
        protocol.send(InputAudioBufferCommit())


def test_audio_that_was_only_prepared_is_not_in_the_buffer() -> None:
    protocol = manual()
    protocol.prepare_audio(bytes(9600))
    with refused(protocol, "0 ms of audio were appended"):
        protocol.send(InputAudioBufferCommit())


@pytest.mark.parametrize(
    "session",
    [
        RealtimeSessionConfig(),
        RealtimeSessionConfig(audio=AudioConfig(input=AudioInput())),
        RealtimeSessionConfig(audio=AudioConfig(input=AudioInput(turn_detection=ServerVad()))),
        {"type": "new_session"},
    ],
    ids=repr,
)
def test_where_the_server_may_end_the_turns_a_commit_of_enough_is_sent_again(session: Any) -> None:
    protocol = in_session(session)
    protocol.send(InputAudioBufferAppend(audio=bytes(4800)))
    protocol.send(InputAudioBufferCommit())
    protocol.send(InputAudioBufferCommit())
