"""One wire, told five times: the spec, the registry, the classes, the catalogue, the reference.

``tests/data/wire.json`` is what OpenAI's package and its OpenAPI description declare, and what was
seen on the wire besides; where meshrt says more or less than that, it is here, with the reason.
"""

import importlib.util
import json
import re
import subprocess
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import attrs
import pytest

from meshrt import events as wire, protocol
from meshrt.events import BETA_NAMES, CLIENT_EVENTS, SERVER_EVENTS, UNSET, Event, class_of
from meshrt.events.__main__ import catalogue
from meshrt.events._plan import constants_of
from tests.strategies import VALUES

ROOT = Path(__file__).parents[2]
SPEC: dict[str, Any] = json.loads(ROOT.joinpath("tests/data/wire.json").read_text("utf-8"))
SIDES = {"client": CLIENT_EVENTS, "server": SERVER_EVENTS}
OBJECT_CLASSES = {cls for cls in VALUES if not issubclass(cls, Event)} - {wire.UnknownEvent}

# The names of the spec are those of OpenAI's package; equal ones are there once.
OBJECTS: dict[str, tuple[type[Any], ...]] = {
    "AllowedToolsMcpToolFilter": (wire.McpToolFilter,),
    "Audio": (wire.AudioConfig,),
    "Audio@realtime_translation_session_update_request": (wire.AudioConfig,),
    "AudioInput": (wire.AudioInput,),
    "AudioInputNoiseReduction": (wire.NoiseReduction,),
    "AudioInputTranscription": (wire.AudioTranscription,),
    "AudioOutput": (wire.AudioOutput,),
    "AudioOutput@realtime_translation_session_update_request": (wire.AudioOutput,),
    "AudioPCM": (wire.AudioPCM,),
    "AudioPCMA": (wire.AudioPCMA,),
    "AudioPCMU": (wire.AudioPCMU,),
    "AudioTranscription": (wire.AudioTranscription,),
    "CachedTokensDetails": (wire.CachedTokensDetails,),
    "Content": (wire.InputText,),
    "Content@realtime_conversation_item_assistant_message": (wire.OutputText, wire.OutputAudio),
    "Content@realtime_conversation_item_user_message": (
        wire.InputText,
        wire.InputAudio,
        wire.InputImage,
    ),
    "Conversation": (wire.ConversationObject,),
    "Error": (wire.TranscriptionFailure,),
    "Error@realtime_response_status": (wire.ResponseFailure,),
    "LogProbProperties": (wire.LogProb,),
    "NoiseReduction": (wire.NoiseReduction,),
    "Output": (wire.AudioOutput,),
    "OutputVoiceID": (wire.VoiceID,),
    "Part": (wire.TextPart, wire.AudioPart),
    "RateLimit": (wire.RateLimit,),
    "RealtimeAudioConfig": (wire.AudioConfig,),
    "RealtimeAudioConfigInput": (wire.AudioInput,),
    "RealtimeAudioConfigOutput": (wire.AudioOutput,),
    "RealtimeConversationItemAssistantMessage": (wire.AssistantMessage,),
    "RealtimeConversationItemFunctionCall": (wire.FunctionCall,),
    "RealtimeConversationItemFunctionCallOutput": (wire.FunctionCallOutput,),
    "RealtimeConversationItemSystemMessage": (wire.SystemMessage,),
    "RealtimeConversationItemUserMessage": (wire.UserMessage,),
    "RealtimeError": (wire.ErrorDetails,),
    "RealtimeFunctionTool": (wire.FunctionTool,),
    "RealtimeMcpApprovalRequest": (wire.McpApprovalRequest,),
    "RealtimeMcpApprovalResponse": (wire.McpApprovalResponse,),
    "RealtimeMcpListTools": (wire.McpListTools,),
    "RealtimeMcpProtocolError": (wire.McpProtocolError,),
    "RealtimeMcpToolCall": (wire.McpCall,),
    "RealtimeMcpToolExecutionError": (wire.McpToolExecutionError,),
    "RealtimeMcphttpError": (wire.McpHttpError,),
    "RealtimeReasoning": (wire.Reasoning,),
    "RealtimeResponse": (wire.Response,),
    "RealtimeResponseCreateAudioOutput": (wire.AudioConfig,),
    "RealtimeResponseCreateMcpTool": (wire.McpTool,),
    "RealtimeResponseCreateParams": (wire.ResponseParams,),
    "RealtimeResponseStatus": (wire.StatusDetails,),
    "RealtimeResponseUsage": (wire.Usage,),
    "RealtimeResponseUsageInputTokenDetails": (wire.InputTokenDetails,),
    "RealtimeResponseUsageOutputTokenDetails": (wire.OutputTokenDetails,),
    "RealtimeSessionCreateRequest": (wire.RealtimeSessionConfig,),
    "RealtimeTranscriptionSessionAudio": (wire.AudioConfig,),
    "RealtimeTranscriptionSessionAudioInput": (wire.AudioInput,),
    "RealtimeTranscriptionSessionCreateRequest": (wire.TranscriptionSession,),
    "RealtimeTranslationSession": (wire.TranslationSession,),
    "RealtimeTranslationSessionUpdateRequest": (wire.TranslationSession,),
    "RealtimeTruncationRetentionRatio": (wire.RetentionRatio,),
    "RequireApprovalMcpToolApprovalFilter": (wire.McpApprovalFilter,),
    "ResponseItemReference": (wire.ItemReference,),
    "SemanticVad": (wire.SemanticVad,),
    "ServerVad": (wire.ServerVad,),
    "TokenLimits": (wire.TokenLimits,),
    "Tool": (wire.McpToolDescription,),
    "TracingConfiguration": (wire.Tracing,),
    "UsageTranscriptTextUsageDuration": (wire.TranscriptionDurationUsage,),
    "UsageTranscriptTextUsageTokens": (wire.TranscriptionTokensUsage,),
    "UsageTranscriptTextUsageTokensInputTokenDetails": (wire.InputTokenDetails,),
    "VoiceID": (wire.VoiceID,),
    "audio.TranscriptionLanguage": (wire.TranscriptionLanguage,),
    "responses.ResponsePrompt": (wire.Prompt,),
    "responses.ToolChoiceFunction": (wire.ToolChoiceFunction,),
    "responses.ToolChoiceMcp": (wire.ToolChoiceMcp,),
}
# What a stored prompt's variables may be is the business of whoever stores prompts: they stay
# mappings, as they come.
NO_CLASS = {
    "responses.PromptCacheBreakpoint",
    "responses.ResponseInputFile",
    "responses.ResponseInputImage",
    "responses.ResponseInputText",
}

PADDING = "seen on the wire; declared only where the arguments of an MCP call come"
SESSION = "seen in every session.created and .updated, which are declared as what makes a session"
MESH = "Mesh's gateway says it"
MORE: dict[tuple[type[Any], str], str] = {
    (wire.ConversationItemInputAudioTranscriptionDelta, "obfuscation"): PADDING,
    (wire.ResponseFunctionCallArgumentsDelta, "obfuscation"): PADDING,
    (wire.ResponseOutputAudioTranscriptDelta, "obfuscation"): PADDING,
    (wire.ResponseOutputTextDelta, "obfuscation"): PADDING,
    (wire.RealtimeSessionConfig, "id"): SESSION,
    (wire.RealtimeSessionConfig, "object"): SESSION,
    (wire.RealtimeSessionConfig, "expires_at"): SESSION,
    (wire.TranscriptionSession, "id"): SESSION,
    (wire.TranscriptionSession, "object"): SESSION,
    (wire.TranscriptionSession, "expires_at"): SESSION,
    (wire.AssistantMessage, "phase"): "seen in items of gpt-realtime-2",
    (wire.OutputTokenDetails, "reasoning_tokens"): "seen in usages of gpt-realtime-2",
    (wire.Error, "request_id"): MESH,
    (wire.ErrorDetails, "provider_code"): MESH,
    (wire.InputAudioBufferDtmfEventReceived, "event_id"): "declared for every other event",
}
# Seen on the wire, and the class that has it; `None` is only in an event's `data`.
OBSERVED: dict[str, type[Any] | None] = {
    "content": None,  # Azure says the part twice
    "item.phase": wire.AssistantMessage,
    "obfuscation": None,  # of the event itself
    "response.output[].phase": wire.AssistantMessage,
    "response.usage.output_token_details.reasoning_tokens": wire.OutputTokenDetails,
    "session.expires_at": wire.RealtimeSessionConfig,
    "session.id": wire.RealtimeSessionConfig,
    "session.object": wire.RealtimeSessionConfig,
}
# Types that are wider here than they are declared.
PARTS = "any part anywhere: xAI has the parts of a response's stream in items"
WIDER: dict[tuple[type[Any], str], str] = {
    (wire.AssistantMessage, "content"): PARTS,
    (wire.Response, "status_details"): "xAI and Azure say it as text",
    (wire.ResponseContentPartAdded, "part"): PARTS,
    (wire.ResponseContentPartDone, "part"): PARTS,
    (wire.ResponseParams, "input"): "references are declared for what is sent, and nowhere else",
    (wire.SystemMessage, "content"): PARTS,
    (wire.UserMessage, "content"): PARTS,
}
# Declared as always there; not asked for, so that a server which leaves them out is understood.
ALSO_ABSENT: dict[type[Any], set[str]] = {
    wire.AudioTranscription: {"model"},  # of a translation only
    wire.ConversationItemInputAudioTranscriptionCompleted: {"usage"},
    wire.ErrorDetails: {"message", "type"},
    wire.LogProb: {"bytes"},
    wire.McpApprovalRequest: {"id"},
    wire.McpApprovalResponse: {"id"},  # the client's own, so the server gives it one
    wire.McpCall: {"id"},
    wire.McpHttpError: {"code", "message"},
    wire.McpProtocolError: {"code", "message"},
    wire.McpToolExecutionError: {"message"},
    wire.NoiseReduction: {"type"},  # of a translation only
    wire.ResponseFunctionCallArgumentsDone: {"name"},  # not on the beta wire
    wire.TranscriptionDurationUsage: {"seconds"},
    wire.TranscriptionLanguage: {"code"},
    wire.TranscriptionTokensUsage: {"input_tokens", "output_tokens", "total_tokens"},
    wire.TranslationSession: {"audio", "expires_at", "id", "model"},  # not in an update
}


def declared(side: str) -> dict[str, list[dict[str, str]]]:
    """Return the events of one side, each with its fields in each kind of session."""
    found: dict[str, list[dict[str, str]]] = {}
    for events in (SPEC[side], SPEC["translation"][side]):
        for name, fields in events.items():
            found.setdefault(name, []).append(fields)
    return found


def all_declared() -> Iterator[tuple[type[Any], str, dict[str, str]]]:
    """Yield each class with each name and each declaration of it."""
    for side in SIDES:
        for name, shapes in declared(side).items():
            for fields in shapes:
                yield SIDES[side][name], name, fields
    for name, classes in OBJECTS.items():
        for cls in classes:
            yield cls, name, SPEC["objects"][name]


DECLARED = list(all_declared())
each_declaration = pytest.mark.parametrize(
    ("cls", "name", "fields"),
    DECLARED,
    ids=[f"{name}-{cls.__name__}" for cls, name, _ in DECLARED],
)


def fields_of(cls: type[Any]) -> set[str]:
    return {field.name for field in attrs.fields(cls)}


def is_declared_for(cls: type[Any], name: str, field: str) -> bool:
    """Tell whether a field is this class's, where several classes share one declaration."""
    return len(OBJECTS.get(name, ())) < 2 or field in fields_of(cls)


def words(declaration: str) -> tuple[set[str], str]:
    """Split off the flags that stand in front of a type."""
    flags = set()
    while declaration.startswith(("optional ", "nullable ")):
        flag, _, declaration = declaration.partition(" ")
        flags.add(flag)
    return flags, declaration


def kinds(declaration: str) -> set[Any]:
    """Return what a declared type may be, in the words of :func:`ours`."""
    for prefix, kinds_of in KINDS.items():
        if declaration.startswith(prefix):
            return kinds_of(declaration.removeprefix(prefix))
    if declaration in SPEC["unions"]:
        return set().union(*map(kinds, SPEC["unions"][declaration]))
    plain = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
    return {plain[declaration]} if declaration in plain else set(OBJECTS[declaration])


KINDS: dict[str, Callable[[str], set[Any]]] = {
    "union<": lambda rest: set().union(*map(kinds, re.split(r" \| (?![^<]*>)", rest[:-1]))),
    "array<": lambda rest: {("array", frozenset(kinds(rest[:-1])))},
    "map<": lambda _: {"map"},
    "any": lambda _: {"map"},
    "const:": lambda rest: {type(json.loads(rest)).__name__},
    "enum:": lambda _: {"str"},
}


def ours(annotation: Any) -> set[Any]:
    """Return what an annotation may be, ``UNSET`` and ``None`` apart."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return set().union(*map(ours, get_args(annotation)))
    if origin is Sequence:
        return {("array", frozenset(ours(get_args(annotation)[0])))}
    if origin is Mapping:
        return {"map"}
    if annotation in (types.NoneType, wire.UnsetType):
        return set()
    if annotation is bytes:
        return {"str"}  # base64 on the wire
    return {annotation.__name__} if annotation in (str, int, float, bool) else {annotation}


def beyond(these: set[Any], those: set[Any]) -> set[Any]:
    """Return what these types have that those have not, mappings apart: they stand for the new."""
    inside, outside = members(these), members(those)
    more = {kind for kind in these - {"map"} if not isinstance(kind, tuple)} - those
    return more | (beyond(inside, outside) if inside else set())


def members(kinds_: set[Any]) -> set[Any]:
    """Return what the arrays among these types may hold."""
    return set().union(*(kind[1] for kind in kinds_ if isinstance(kind, tuple)))


def test_every_event_is_in_the_registry_and_nothing_else_is() -> None:
    for side, known in SIDES.items():
        assert set(declared(side)) == set(known)
        beta = SPEC["beta"][side]
        assert {name for name in BETA_NAMES if BETA_NAMES[name] in known} == set(beta)


@pytest.mark.parametrize("name", BETA_NAMES)
def test_a_beta_event_has_the_fields_of_its_twin(name: str) -> None:
    fields = (SPEC["beta"]["client"] | SPEC["beta"]["server"])[name]
    assert set(fields) == set({**SPEC["client"], **SPEC["server"]}[BETA_NAMES[name]])


def test_every_object_has_its_class_and_every_class_is_declared() -> None:
    assert set(SPEC["objects"]) == set(OBJECTS) | NO_CLASS
    assert set().union(*OBJECTS.values()) == OBJECT_CLASSES


@each_declaration
def test_a_class_has_every_declared_field(
    cls: type[Any], name: str, fields: dict[str, str]
) -> None:
    assert {f for f in fields if is_declared_for(cls, name, f)} <= fields_of(cls) | set(
        constants_of(cls)
    )


@pytest.mark.parametrize(
    ("name", "classes"), [(name, classes) for name, classes in OBJECTS.items() if classes[1:]]
)
def test_classes_that_share_a_declaration_have_all_of_it(
    name: str, classes: tuple[type[Any], ...]
) -> None:
    assert set(SPEC["objects"][name]) == {"type"}.union(*map(fields_of, classes))


def test_what_a_class_has_more_is_known_and_why() -> None:
    said: dict[type[Any], set[str]] = {cls: set() for cls, _, _ in DECLARED}
    for cls, _, fields in DECLARED:
        said[cls] |= set(fields)
    more = {(cls, field) for cls, names in said.items() for field in fields_of(cls) - names}
    assert more == set(MORE)


@each_declaration
def test_a_field_has_the_declared_type(cls: type[Any], name: str, fields: dict[str, str]) -> None:
    for field in attrs.fields(cls):
        if field.name in fields:
            _, kind = words(fields[field.name])
            given = ours(field.type)
            assert not beyond(kinds(kind), given), field.name
            assert ("map" in kinds(kind)) <= ("map" in given), field.name


def test_a_type_is_no_wider_than_it_is_declared_or_it_is_known_why() -> None:
    said: dict[tuple[type[Any], str], set[Any]] = {}
    for cls, _, fields in DECLARED:
        for field in fields_of(cls) & set(fields):
            _, kind = words(fields[field])
            said.setdefault((cls, field), set()).update(kinds(kind))
    wider = {
        (cls, field)
        for (cls, field), kind in said.items()
        if beyond(ours(attrs.fields_dict(cls)[field].type), kind)
    }
    assert wider == set(WIDER)


@each_declaration
def test_what_may_be_null_or_absent_is_understood_so(
    cls: type[Any], name: str, fields: dict[str, str]
) -> None:
    for field in attrs.fields(cls):
        flags, _ = words(fields.get(field.name, "optional any"))
        if "optional" in flags:
            assert field.default is UNSET, field.name
        if "nullable" in flags:
            assert types.NoneType in get_args(field.type), field.name


def test_what_is_declared_as_always_there_is_asked_for_or_known_not_to_be() -> None:
    also: dict[type[Any], set[str]] = {}
    for cls, _, fields in DECLARED:
        for field in attrs.fields(cls):
            is_required = field.name in fields and not words(fields[field.name])[0]
            # No server event is refused for want of its id: one has none.
            if is_required and field.default is UNSET and field.name != "event_id":
                also.setdefault(cls, set()).add(field.name)
    assert also == ALSO_ABSENT


@each_declaration
def test_a_constant_is_the_declared_one(cls: type[Any], name: str, fields: dict[str, str]) -> None:
    for constant, value in constants_of(cls).items():
        if constant in fields:
            assert json.dumps(value) in fields[constant]
        else:
            assert issubclass(cls, Event) or cls is wire.TranslationSession


def test_what_was_seen_and_is_declared_nowhere_has_its_place() -> None:
    seen = {(name, path) for name, paths in SPEC["observed"].items() for path in paths}
    assert {path for _, path in seen} == set(OBSERVED)
    for name, path in seen:
        cls = OBSERVED[path] or class_of(name)
        assert cls is not None
        field = path.rpartition(".")[2]
        assert ((cls, field) in MORE) != (path == "content")


def test_the_reader_of_declarations_reads_them() -> None:
    assert words("optional nullable string") == ({"optional", "nullable"}, "string")
    assert words("union<string | integer>") == (set(), "union<string | integer>")
    assert words('optional enum:["a", "b"]') == ({"optional"}, 'enum:["a", "b"]')
    assert kinds('union<integer | const:"inf">') == {"int", "str"}
    assert kinds("array<union<string | number>>") == {("array", frozenset({"str", "float"}))}
    assert kinds("union<string | array<union<integer | any>> | boolean>") == {
        "str", "bool", ("array", frozenset({"int", "map"})),
    }  # fmt: skip
    assert kinds("map<string, string>") == kinds("any") == {"map"}
    assert ours(attrs.fields_dict(wire.AudioOutput)["voice"].type) == {"str", wire.VoiceID}
    assert beyond(kinds("union<string | integer>"), {"str"}) == {"int"}
    assert beyond(kinds("array<union<string | number>>"), kinds("array<string>")) == {"float"}
    assert beyond(kinds("array<string>"), {"str"}) == {"str"}
    assert not beyond(kinds("array<string>"), kinds("array<union<string | any>>"))


@cache
def entries() -> dict[str, tuple[str, list[str]]]:
    """Return what the catalogue has, by class: the title and the lines of the fields."""
    found = {}
    for entry in catalogue().split("\n\n")[1:-1]:
        title, _, *lines = entry.splitlines()
        name = title.split()[2] if re.search(r"\[(client|server)\]", title) else title.split()[0]
        found[name] = (title, lines)
    return found


def test_the_catalogue_has_every_event_and_every_object_once() -> None:
    titles = [title for title, _ in entries().values()]
    assert [title.split()[0] for title in titles if "[client]" in title] == [*CLIENT_EVENTS]
    assert [title.split()[0] for title in titles if "[server]" in title] == [*SERVER_EVENTS]
    named = {title.split()[0] for title in titles if "[object]" in title}
    assert named == {cls.__name__ for cls in OBJECT_CLASSES}
    assert catalogue().count("[client]") == len(CLIENT_EVENTS)
    head = catalogue().split("\n\n")[0]
    numbers = (len(CLIENT_EVENTS), len(SERVER_EVENTS), len(OBJECT_CLASSES))
    assert tuple(map(int, re.findall(r"\d+", head))) == numbers


@pytest.mark.parametrize("cls", [cls for cls in VALUES if cls is not wire.UnknownEvent])
def test_the_catalogue_has_every_field_with_its_type_and_meaning(cls: type[Any]) -> None:
    title, lines = entries()[cls.__name__]
    for value in constants_of(cls).values():
        assert value in title
    parsed = [re.fullmatch(r"    (\w+)(\??): (\S.*?)  (\S.*)", line) for line in lines]
    fields = [(match[1], match[2], match[3]) for match in parsed if match]
    assert len(fields) == len(lines)
    assert [(name, bool(mark)) for name, mark, _ in fields] == [
        (field.name, field.default is UNSET) for field in attrs.fields(cls)
    ]
    for (_, mark, kind), field in zip(fields, attrs.fields(cls), strict=True):
        typed = eval(kind, {**vars(wire), **TYPING})  # noqa: S307  our own source
        assert field.type == (wire.Maybe[typed] if mark else typed)


TYPING = {"Sequence": Sequence, "Mapping": Mapping, "Any": Any}


def test_the_catalogue_names_the_beta_events_and_the_unions() -> None:
    for beta, name in BETA_NAMES.items():
        title = next(t for t, _ in entries().values() if t.startswith(f"{name} "))
        assert beta in title
    unions = dict(line.split(" = ") for line in catalogue().split("\n\n")[-1].splitlines())
    for name, members in unions.items():
        assert eval(members, {**vars(wire), **TYPING}) == getattr(wire, name)  # noqa: S307
    assert {"Item", "Session", "Tool", "TurnDetection"} <= set(unions)


def test_the_catalogue_is_what_the_module_prints() -> None:
    command = [sys.executable, "-P", "-m", "meshrt.events"]
    run = subprocess.run(command, capture_output=True, check=True, text=True, encoding="utf-8")
    assert run.stdout == catalogue()
    assert run.stderr == ""


def reference(page: str) -> str:
    """Return a page of the reference with all that is generated in it."""
    spec = importlib.util.spec_from_file_location("conf", ROOT / "docs" / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    conf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conf)
    text = [ROOT.joinpath(f"docs/reference/{page}.md").read_text("utf-8")]
    conf.list_objects(None, f"reference/{page}", text)
    return text[0]


def test_the_reference_has_every_event_and_every_object() -> None:
    page = reference("events")
    described = re.findall(r"autoclass:: (\w+)", page)
    assert sorted(described) == sorted({cls.__name__ for cls in VALUES} - {"UnknownEvent"})
    unions = re.findall(r"py:data:: (\w+)\n\n   One of (.*)", page)
    for name, members in unions:
        found = re.findall(r"events\.(\w+)`", members)
        union = get_args(getattr(wire, name))
        assert found == [one.__name__ for one in union if one in VALUES]
    assert {"Item", "InputItem", "Session", "Tool", "ServerEvent"} <= {name for name, _ in unions}


def test_the_reference_has_every_row_of_the_tables() -> None:
    page = reference("protocol")
    named = re.findall(r"py:data:: (\w+)", page)
    modules = {name for name in protocol.__all__ if not callable(getattr(protocol, name))}
    assert modules | {"AnyEvent", "Role"} == set(named)
    for words in (protocol.ACKNOWLEDGEMENTS, protocol.REFUSALS, protocol.BETA_FIELDS):
        assert all(f"``{word}``" in page for word in words)
    for (state, step), then in protocol.TRANSITIONS.items():
        assert f"- {state.name}, {step.value}: {then.name}" in page
