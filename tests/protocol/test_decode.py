"""From text to event: what is known is typed, what is not is kept, nothing else is raised."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, example, find, given, settings, strategies as st

from meshrt.errors import RemoteProtocolError
from meshrt.events import (
    BETA_NAMES,
    CLIENT_EVENTS,
    SERVER_EVENTS,
    UNSET,
    AudioPCM,
    ConversationItemCreate,
    Event,
    FunctionTool,
    InputAudioBufferAppend,
    ItemReference,
    RealtimeSessionConfig,
    ResponseCreate,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputTextDelta,
    RetentionRatio,
    SessionUpdate,
    StatusDetails,
    ToolChoiceFunction,
    Tracing,
    TranscriptionSession,
    UnknownEvent,
    UserMessage,
    VoiceID,
    class_of,
)
from meshrt.protocol import AnyEvent, RealtimeProtocol, decode, encode
from tests.strategies import (
    EVENTS,
    TAGS,
    json_values,
    known_events,
    mutated_bytes,
    mutated_json,
    objects,
    scalars,
    texts,
    unknown_events,
)

EVENT_CLASSES = sorted(EVENTS, key=lambda cls: cls.type)
each_event_class = pytest.mark.parametrize("cls", EVENT_CLASSES, ids=lambda cls: cls.type)

CLOSE_INVALID_DATA = 1007
AUDIO = {
    "input_audio_buffer.append",
    "response.output_audio.delta",
    "session.input_audio_buffer.append",
    "session.output_audio.delta",
}
PLACE = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
SESSION = {"type": "realtime"}
MESSAGE = {"type": "message", "role": "user", "content": []}
REQUIRED: dict[str, dict[str, Any]] = {
    "conversation.created": {"conversation": {}},
    "conversation.item.input_audio_transcription.segment": {
        "item_id": "i",
        "content_index": 0,
        "id": "s",
        "text": "t",
        "speaker": "A",
        "start": 0.5,
        "end": 1.5,
    },
    "input_audio_buffer.dtmf_event_received": {"event": "9", "received_at": 1},
    "mcp_list_tools.completed": {"item_id": "i"},
    "mcp_list_tools.failed": {"item_id": "i"},
    "mcp_list_tools.in_progress": {"item_id": "i"},
    "output_audio_buffer.clear": {},
    "output_audio_buffer.cleared": {"response_id": "r"},
    "output_audio_buffer.started": {"response_id": "r"},
    "output_audio_buffer.stopped": {"response_id": "r"},
    "response.mcp_call.completed": {"item_id": "i", "output_index": 0},
    "response.mcp_call.failed": {"item_id": "i", "output_index": 0},
    "response.mcp_call.in_progress": {"item_id": "i", "output_index": 0},
    "response.mcp_call_arguments.delta": {
        "response_id": "r",
        "item_id": "i",
        "output_index": 0,
        "delta": "",
    },
    "response.mcp_call_arguments.done": {
        "response_id": "r",
        "item_id": "i",
        "output_index": 0,
        "arguments": "",
    },
    "session.close": {},
    "session.closed": {},
    "session.input_audio_buffer.append": {"audio": "AAA="},
    "session.input_transcript.delta": {"delta": ""},
    "session.output_audio.delta": {"delta": "AAA="},
    "session.output_transcript.delta": {"delta": ""},
    "conversation.item.added": {"item": MESSAGE},
    "conversation.item.create": {"item": MESSAGE},
    "conversation.item.created": {"item": MESSAGE},
    "conversation.item.delete": {"item_id": "i"},
    "conversation.item.deleted": {"item_id": "i"},
    "conversation.item.done": {"item": MESSAGE},
    "conversation.item.input_audio_transcription.completed": {
        "item_id": "i",
        "content_index": 0,
        "transcript": "t",
    },
    "conversation.item.input_audio_transcription.delta": {"item_id": "i"},
    "conversation.item.input_audio_transcription.failed": {
        "item_id": "i",
        "content_index": 0,
        "error": {},
    },
    "conversation.item.retrieve": {"item_id": "i"},
    "conversation.item.retrieved": {"item": MESSAGE},
    "conversation.item.truncate": {"item_id": "i", "content_index": 0, "audio_end_ms": 1},
    "conversation.item.truncated": {"item_id": "i", "content_index": 0, "audio_end_ms": 1},
    "error": {"error": {}},
    "input_audio_buffer.append": {"audio": "AAA="},
    "input_audio_buffer.clear": {},
    "input_audio_buffer.cleared": {},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.committed": {"item_id": "i"},
    "input_audio_buffer.speech_started": {"item_id": "i", "audio_start_ms": 0},
    "input_audio_buffer.speech_stopped": {"item_id": "i", "audio_end_ms": 0},
    "input_audio_buffer.timeout_triggered": {
        "item_id": "i",
        "audio_start_ms": 0,
        "audio_end_ms": 0,
    },
    "rate_limits.updated": {"rate_limits": []},
    "response.cancel": {},
    "response.content_part.added": {**PLACE, "part": {}},
    "response.content_part.done": {**PLACE, "part": {}},
    "response.create": {},
    "response.created": {"response": {}},
    "response.done": {"response": {}},
    "response.function_call_arguments.delta": {
        "response_id": "r",
        "item_id": "i",
        "output_index": 0,
        "call_id": "c",
        "delta": "",
    },
    "response.function_call_arguments.done": {
        "response_id": "r",
        "item_id": "i",
        "output_index": 0,
        "call_id": "c",
        "arguments": "",
    },
    "response.output_audio.delta": {**PLACE, "delta": "AAA="},
    "response.output_audio.done": PLACE,
    "response.output_audio_transcript.delta": {**PLACE, "delta": ""},
    "response.output_audio_transcript.done": {**PLACE, "transcript": ""},
    "response.output_item.added": {"response_id": "r", "output_index": 0, "item": MESSAGE},
    "response.output_item.done": {"response_id": "r", "output_index": 0, "item": MESSAGE},
    "response.output_text.delta": {**PLACE, "delta": ""},
    "response.output_text.done": {**PLACE, "text": ""},
    "session.created": {"session": SESSION},
    "session.update": {"session": SESSION},
    "session.updated": {"session": SESSION},
}
REQUIRED_FIELDS = [(name, field) for name, fields in REQUIRED.items() for field in fields]
each_required_field = pytest.mark.parametrize(("wire_name", "field"), REQUIRED_FIELDS)


def read(payload: dict[str, Any]) -> AnyEvent:
    """Decode a payload, and see that text and bytes are read alike."""
    text = json.dumps(payload)
    event = decode(text)
    assert decode(text.encode()) == event
    return event


def event_or_violation(text: str | bytes) -> AnyEvent | None:
    """Decode anything; None where it is not of this wire."""
    try:
        event = decode(text)
    except RemoteProtocolError as violation:
        return None if violation.close_code == CLOSE_INVALID_DATA else pytest.fail(str(violation))
    assert isinstance(event, Event | UnknownEvent)
    assert isinstance(event.data, dict)
    return event


def fields_in(value: Any, path: str = "$") -> Iterator[tuple[str, list[str | int]]]:
    """Yield the path of each field inside a JSON object, in words and in steps."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        step = f".{key}" if isinstance(key, str) else f"[{key}]"
        yield path + step, [key]
        if isinstance(item, dict | list):
            for below, steps in fields_in(item, path + step):
                yield below, [key, *steps]


def with_field(value: Any, steps: list[str | int], new: Any) -> Any:
    """Return a copy of a JSON object with something else in one place."""
    if not steps:
        return new
    other = value.copy()
    other[steps[0]] = with_field(value[steps[0]], steps[1:], new)
    return other


@each_event_class
def test_an_event_goes_round_by_its_text_and_its_text_by_the_event(cls: type[Event]) -> None:
    @given(EVENTS[cls])
    def check(event: Event) -> None:
        text = encode(event)
        again = decode(text)
        assert again == event == decode(text.encode())
        assert type(again) is cls
        assert again.data == json.loads(text) == json.loads(encode(again))

    check()


@given(unknown_events)
def test_an_unknown_event_goes_round_as_well(event: UnknownEvent) -> None:
    again = decode(encode(event))
    assert again == event
    assert isinstance(again, UnknownEvent)
    assert again.problem is None


CORNERS: dict[str, tuple[type[Event], Callable[[Any], object]]] = {
    "message": (
        ConversationItemCreate,
        lambda e: isinstance(e.item, UserMessage) and e.item.content,
    ),
    "mapping": (ConversationItemCreate, lambda e: isinstance(e.item, dict) and "type" in e.item),
    "null": (ConversationItemCreate, lambda e: e.previous_item_id is None and e.event_id is UNSET),
    "details": (ResponseDone, lambda e: isinstance(e.response.status_details, StatusDetails)),
    "text": (ResponseDone, lambda e: isinstance(e.response.status_details, str)),
    "reference": (ResponseCreate, lambda e: isinstance(e.response.input[0], ItemReference)),
    "session": (SessionUpdate, lambda e: isinstance(e.session, TranscriptionSession)),
    "tool": (SessionUpdate, lambda e: isinstance(e.session.tools[0], FunctionTool)),
    "choice": (SessionUpdate, lambda e: isinstance(e.session.tool_choice, ToolChoiceFunction)),
    "truncation": (SessionUpdate, lambda e: isinstance(e.session.truncation, RetentionRatio)),
    "tracing": (SessionUpdate, lambda e: isinstance(e.session.tracing, Tracing)),
    "format": (SessionUpdate, lambda e: isinstance(e.session.audio.input.format, AudioPCM)),
    "voice": (SessionUpdate, lambda e: isinstance(e.session.audio.output.voice, VoiceID)),
    "no class": (SessionUpdate, lambda e: isinstance(e.session, dict)),
}


# That the properties above see what they are about is itself worth a look.
@pytest.mark.parametrize(("cls", "seen"), CORNERS.values(), ids=CORNERS)
def test_the_strategies_reach_every_corner(
    cls: type[Event], seen: Callable[[Any], object]
) -> None:
    def is_there(event: Event) -> bool:
        try:
            return bool(seen(event))
        except (AttributeError, IndexError, TypeError):
            return False

    no_shrinking = settings(phases=[Phase.generate], max_examples=5_000, database=None)
    find(EVENTS[cls], is_there, settings=no_shrinking, random=Random(1))


@given(st.text() | st.binary())
@example("")
@example(b"")
@example("\ufeff{}")
@example('{"type": "\ud800"}')
def test_any_text_is_an_event_or_a_violation_and_nothing_else(text: str | bytes) -> None:
    event_or_violation(text)


@given(json_values)
def test_any_json_is_an_event_only_if_it_is_an_object_with_a_type(value: object) -> None:
    is_event = isinstance(value, dict) and isinstance(value.get("type"), str)
    assert (event_or_violation(json.dumps(value)) is not None) == is_event


@given(st.data())
def test_a_damaged_event_is_an_event_or_a_violation_and_nothing_else(data: st.DataObject) -> None:
    source = encode(data.draw(known_events)).encode()
    damaged = data.draw(mutated_bytes(source))
    event = event_or_violation(damaged)
    try:
        text = damaged.decode()
    except UnicodeDecodeError:
        assert event is None
    else:
        assert event_or_violation(text) == event


@given(st.data())
def test_an_event_with_other_json_in_it_is_an_event_or_a_violation(data: st.DataObject) -> None:
    payload = json.loads(encode(data.draw(known_events)))
    changed = data.draw(mutated_json(data.draw(mutated_json(payload))))
    event = event_or_violation(json.dumps(changed))
    is_event = isinstance(changed, dict) and isinstance(changed.get("type"), str)
    assert (event is not None) == is_event
    if isinstance(event, UnknownEvent):
        assert event.data == changed
        assert (event.problem is None) == (class_of(event.type) is None)


@given(st.data())
def test_a_client_raises_nothing_but_remote_protocol_errors(data: st.DataObject) -> None:
    source = encode(data.draw(known_events | unknown_events)).encode()
    damaged = data.draw(mutated_bytes(source) | st.binary())
    text = damaged.decode(errors=data.draw(st.sampled_from(["replace", "surrogateescape"])))
    protocol = RealtimeProtocol("client")
    try:
        protocol.receive_text(text)
    except RemoteProtocolError:
        assert protocol.events() == []
    else:
        assert len(protocol.events()) == 1


def test_every_class_has_its_required_fields_in_the_table_below() -> None:
    assert set(REQUIRED) == {*CLIENT_EVENTS, *SERVER_EVENTS}


@each_event_class
def test_an_event_with_its_required_fields_alone_is_one_of_its_class(cls: type[Event]) -> None:
    event = read({"type": cls.type, **REQUIRED[cls.type]})
    assert type(event) is cls
    assert event.data == {"type": cls.type, **REQUIRED[cls.type]}


@each_required_field
def test_an_event_without_a_required_field_is_unknown_and_says_which(
    wire_name: str, field: str
) -> None:
    payload = {"type": wire_name, **REQUIRED[wire_name]}
    del payload[field]
    event = read(payload)
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.data) == (wire_name, payload)
    assert event.problem == f"Object missing required field `{field}`"


@each_required_field
def test_a_required_field_that_is_null_makes_the_event_unknown_and_says_where(
    wire_name: str, field: str
) -> None:
    event = read({"type": wire_name, **REQUIRED[wire_name], field: None})
    assert isinstance(event, UnknownEvent)
    assert event.problem is not None
    assert event.problem.endswith(f"got `null` - at `$.{field}`")


WRONG: list[Any] = [{"x": 1}, [[]], 4.5]
"""No field takes all three."""
FULL: list[dict[str, Any]] = [
    {
        "type": "session.updated",
        "event_id": "e",
        "session": {
            "type": "realtime",
            "id": "s",
            "expires_at": 1,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": {"model": "m", "languages": ["en"]},
                    "noise_reduction": {"type": "near_field"},
                    "turn_detection": {"type": "server_vad", "silence_duration_ms": 1},
                },
                "output": {"voice": {"id": "v"}},
            },
            "tools": [{"type": "function", "name": "f"}],
            "tool_choice": {"type": "function", "name": "f"},
            "max_output_tokens": 1,
            "truncation": {"type": "retention_ratio", "token_limits": {"post_instructions": 1}},
            "prompt": {"id": "p"},
        },
    },
    {
        "type": "response.done",
        "response": {
            "id": "r",
            "status_details": {"type": "failed", "error": {"code": "c"}},
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_audio", "transcript": "t", "audio": "AAA="}],
                },
                {"type": "function_call", "name": "f", "arguments": "{}"},
            ],
            "usage": {
                "total_tokens": 1,
                "input_token_details": {"cached_tokens_details": {"text_tokens": 1}},
            },
        },
    },
    {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "i",
        "content_index": 0,
        "transcript": "t",
        "logprobs": [{"token": "t", "bytes": [1]}],
        "usage": {"type": "tokens", "input_token_details": {"text_tokens": 1}},
    },
    {"type": "rate_limits.updated", "rate_limits": [{"name": "n", "limit": 1}]},
    {"type": "error", "error": {"code": "c", "event_id": "e"}},
]
FULL[0]["session"]["truncation"]["retention_ratio"] = 0.5
FULL[2]["logprobs"][0]["logprob"] = -0.5
PLACES = [
    (payload, path, steps)
    for payload in FULL
    for path, steps in fields_in(payload)
    if path != "$.type"
]


@pytest.mark.parametrize("payload", FULL, ids=lambda payload: payload["type"])
def test_the_full_events_are_of_their_classes(payload: dict[str, Any]) -> None:
    event = read(payload)
    assert isinstance(event, Event)
    assert json.loads(encode(event)) == payload


def is_discriminator(payload: Any, steps: list[str | int]) -> bool:
    """Tell whether a place picks the class of its object: with another, that is a mapping."""
    for step in steps[:-1]:
        payload = payload[step]
    return steps[-1] == "role" or (steps[-1] == "type" and payload["type"] in TAGS)


@pytest.mark.parametrize(
    ("payload", "path", "steps"), PLACES, ids=[f"{p['type']} {path}" for p, path, _ in PLACES]
)
def test_a_field_of_a_wrong_type_makes_the_event_unknown_and_says_where(
    payload: dict[str, Any], path: str, steps: list[str | int]
) -> None:
    problems = []
    for wrong in WRONG:
        changed = with_field(payload, steps, wrong)
        event = read(changed)
        if isinstance(event, UnknownEvent):
            assert event.data == changed
            assert path in str(event.problem)
            problems.append(event.problem)
    assert bool(problems) != is_discriminator(payload, steps)


def test_a_problem_names_the_path_through_objects_and_arrays() -> None:
    broken = {"type": "input_text", "text": 4}
    item = {"type": "message", "role": "user", "content": [{"type": "input_text"}, broken]}
    for payload, path in [
        ({"type": "response.done", "response": {"usage": {"total_tokens": "many"}}},
         "$.response.usage.total_tokens"),
        ({"type": "response.done", "response": {"output": [MESSAGE, item]}},
         "$.response.output[1].content[1].text"),
        ({"type": "session.updated", "session": {**SESSION, "audio": {"output": {"voice": {}}}}},
         "$.session.audio.output.voice"),
    ]:  # fmt: skip
        event = read(payload)
        assert isinstance(event, UnknownEvent)
        assert event.problem is not None
        assert event.problem.endswith(f" - at `{path}`")


@given(objects, st.sampled_from(["session.created", "conversation.item.added"]))
def test_an_object_that_is_of_no_class_stays_a_mapping(value: dict[str, Any], name: str) -> None:
    field = "session" if name == "session.created" else "item"
    event = read({"type": name, field: value})
    assert isinstance(event, Event)
    assert getattr(event, field) == value


@pytest.mark.parametrize("white", ["", " ", "\n", "\r\n\t "])
def test_white_space_between_the_tokens_says_nothing(white: str) -> None:
    text = (
        '{~"type"~:~"response.done"~,~"response"~:~{~"audio"~:~null~,~"output"~:~[~{~"type"~:~'
        '"message"~,~"role"~:~"user"~,~"content"~:~[~{~"type"~:~"input_audio"~,~"audio"~:~"AAA="'
        '~}~,~{~"type"~:~"input_audio"~,~"audio"~:~null~}~]~}~]~}~}~'
    )
    assert decode(text.replace("~", white)) == decode(text.replace("~", ""))
    assert isinstance(decode(text.replace("~", white)), ResponseDone)


@given(st.dictionaries(texts.map("x_{}".format), json_values, min_size=1, max_size=3), st.data())
def test_data_is_the_whole_mapping_with_what_nobody_knows(
    more: dict[str, Any], data: st.DataObject
) -> None:
    wire_name = data.draw(st.sampled_from(sorted(set(REQUIRED) - AUDIO)))
    payload = {**more, "type": wire_name, **REQUIRED[wire_name]}
    event = read(payload)
    assert isinstance(event, Event)
    assert event.data == payload
    assert event.data is not event.data
    assert json.loads(encode(event)) == {"type": wire_name, **REQUIRED[wire_name]}


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 100_000])
def test_a_number_beyond_python_in_a_field_that_nobody_knows_harms_nothing(number: str) -> None:
    event = decode(f'{{"type":"input_audio_buffer.cleared","event_id":"e","x":{number}}}')
    assert event.data == {"type": "input_audio_buffer.cleared", "event_id": "e"}


@pytest.mark.parametrize(("beta", "name"), BETA_NAMES.items())
def test_a_beta_name_gives_the_class_of_its_twin(beta: str, name: str) -> None:
    twin = read({"type": name, **REQUIRED[name]})
    event = read({"type": beta, **REQUIRED[name]})
    assert type(event) is class_of(name)
    assert event == twin
    assert event.type == name
    if name not in AUDIO:
        assert event.data["type"] == beta


@pytest.mark.parametrize("beta", BETA_NAMES)
def test_an_event_under_a_beta_name_that_does_not_fit_keeps_that_name(beta: str) -> None:
    event = read({"type": beta, "response_id": 3})
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.data) == (beta, {"type": beta, "response_id": 3})


# The text of a delta would be kept beside its audio for as long as somebody keeps the event.
def test_of_audio_the_text_is_not_kept_and_data_is_what_would_be_sent() -> None:
    append = read({"type": "input_audio_buffer.append", "audio": "AAA=", "more": 1})
    assert isinstance(append, InputAudioBufferAppend)
    assert append.audio == b"\0\0"
    assert append.data == {"type": "input_audio_buffer.append", "audio": "AAA="}
    delta = read({"type": "response.audio.delta", **PLACE, "delta": "AAA=", "more": 1})
    assert isinstance(delta, ResponseOutputAudioDelta)
    assert delta.data == {"type": "response.output_audio.delta", **PLACE, "delta": "AAA="}
    for wire_name in AUDIO:
        event = read({"type": wire_name, **REQUIRED[wire_name]})
        assert not hasattr(event, "_source")


def test_undeclared_fields_of_real_servers_are_typed_or_kept() -> None:
    text = '{"type":"response.output_text.delta","response_id":"r","item_id":"i",'
    text += '"output_index":0,"content_index":0,"delta":"d","obfuscation":"zz"}'
    delta = decode(text)
    assert isinstance(delta, ResponseOutputTextDelta)
    assert delta.obfuscation == "zz"
    session = read({"type": "session.updated", "session": {**SESSION, "expires_at": 7}})
    assert session.data["session"]["expires_at"] == 7
    assert getattr(session, "session", None) == RealtimeSessionConfig(expires_at=7)


@pytest.mark.parametrize(
    "text", ["AAA", "A", "AA=A", "AAA=AAA=", "====", "AA-_", "AA\\nAA", "\\u0000AAA", "é", " AAA="]
)
def test_what_is_not_base64_makes_the_event_unknown(text: str) -> None:
    content = f'"content":[{{"type":"input_audio","audio":"{text}"}}]}}}}'
    for source, path in [
        (f'{{"type":"input_audio_buffer.append","audio":"{text}"}}', "$.audio"),
        (
            f'{{"type":"conversation.item.added","item":{{"type":"message","role":"user",{content}',
            "$.item.content[0].audio",
        ),
    ]:
        event = decode(source)
        assert isinstance(event, UnknownEvent)
        assert event.problem == f"Invalid base64 encoded string - at `{path}`"


@given(scalars)
def test_a_type_that_is_no_text_is_no_event(wire_name: object) -> None:
    event = event_or_violation(json.dumps({"type": wire_name}))
    assert (event is not None) == isinstance(wire_name, str)
