"""What meshrt writes is what OpenAI's own models read, strictly and with nothing left over.

The events are made of what OpenAI declares (``tests/data/wire.json``) and go through meshrt's
classes; what comes out is read by the models. So nobody may lose, add or change anything.
"""

import base64
import json
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from meshrt import events as wire
from meshrt.events import BETA_NAMES, CLIENT_EVENTS, SERVER_EVENTS, Event
from meshrt.protocol import decode, encode
from tests.strategies import texts

pydantic = pytest.importorskip("pydantic", reason="openai, a counterpart, is not installed")
realtime = pytest.importorskip("openai.types.realtime", reason="openai is not installed")
beta = pytest.importorskip("openai.types.beta.realtime", reason="openai is not installed")

SPEC: dict[str, Any] = json.loads(
    Path(__file__).parents[1].joinpath("data", "wire.json").read_text("utf-8")
)
SLOW = [HealthCheck.too_slow]
AUDIO = {"response.output_audio.delta.delta", "session.output_audio.delta.delta"}
# One declaration stands for several parts; which fields a part has is in its documentation.
FIELDS_OF_PART = {
    "input_text": {"text"},
    "input_audio": {"audio", "transcript"},
    "input_image": {"image_url", "detail"},
    "output_text": {"text"},
    "output_audio": {"audio", "transcript"},
    "text": {"text"},
    "audio": {"audio", "transcript"},
}


def models(*unions: Any) -> dict[str, Any]:
    """Return the model of each event in some unions, by its type."""
    return {
        name: model
        for union in unions
        for model in typing.get_args(typing.get_args(union)[0])
        for name in typing.get_args(model.model_fields["type"].annotation)
    }


CLIENT = models(realtime.RealtimeClientEvent)
SERVER = models(realtime.RealtimeServerEvent)
TRANSLATION_CLIENT = models(realtime.RealtimeTranslationClientEvent)
TRANSLATION_SERVER = models(realtime.RealtimeTranslationServerEvent)
MODELS = {
    "client": CLIENT,
    "server": SERVER,
    "translation client": TRANSLATION_CLIENT,
    "translation server": TRANSLATION_SERVER,
}
DECLARED = {
    "client": SPEC["client"],
    "server": SPEC["server"],
    "translation client": SPEC["translation"]["client"],
    "translation server": SPEC["translation"]["server"],
}
# For these OpenAI's package has no model, not even among those of the beta wire.
WITHOUT_A_MODEL = {"transcription_session.created"}

any_client_event = pydantic.TypeAdapter(realtime.RealtimeClientEvent)


def undeclared(value: Any, path: str = "$") -> Iterator[str]:
    """Yield the paths of the fields that no model declares: OpenAI's models allow any."""
    if isinstance(value, pydantic.BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from undeclared(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from undeclared(member, f"{path}.{name}")
    elif isinstance(value, list):
        for member in value:
            yield from undeclared(member, f"{path}[]")


def check(model: Any, text: str) -> None:
    """Let one model read one text: strictly, and with nothing left over."""
    event = model.model_validate_json(text, strict=True)
    assert list(undeclared(event)) == []
    assert event.model_dump(mode="json", exclude_unset=True) == json.loads(text)


def base64_audio() -> st.SearchStrategy[str]:
    return st.binary(max_size=8).map(lambda audio: base64.b64encode(audio).decode())


objects = st.dictionaries(texts, texts | st.integers(0, 9) | st.booleans() | st.none(), max_size=2)
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "string": texts,
    "integer": st.integers(0, 2**31),
    "number": st.floats(0, 1e6, width=32),
    "boolean": st.booleans(),
    "any": objects,
}


@cache
def values(declaration: str) -> st.SearchStrategy[Any]:
    """Return what a declared type may be."""
    for prefix, make in MAKERS.items():
        if declaration.startswith(prefix):
            return make(declaration.removeprefix(prefix))
    if declaration in SPEC["unions"]:
        return st.one_of(*map(values, SPEC["unions"][declaration]))
    return PLAIN[declaration] if declaration in PLAIN else declared_object(declaration)


MAKERS: dict[str, Callable[[str], st.SearchStrategy[Any]]] = {
    "nullable ": lambda rest: st.none() | values(rest),
    "union<": lambda rest: st.one_of(*map(values, re.split(r" \| (?![^<]*>)", rest[:-1]))),
    "array<": lambda rest: st.lists(values(rest[:-1]), max_size=2),
    "map<string, ": lambda rest: st.dictionaries(texts, values(rest[:-1]), max_size=2),
    "const:": lambda rest: st.just(json.loads(rest)),
    "enum:": lambda rest: st.sampled_from(json.loads(rest)),
}


def declared_object(name: str) -> st.SearchStrategy[dict[str, Any]]:
    fields = SPEC["objects"][name]
    made = shaped(fields, name)
    kinds = re.findall(r'"(\w+)"', fields.get("type", ""))
    if not kinds or not set(kinds) <= set(FIELDS_OF_PART):
        return made
    return made.map(of_its_kind)


def of_its_kind(part: dict[str, Any]) -> dict[str, Any]:
    return {name: part[name] for name in part if name in {"type", *FIELDS_OF_PART[part["type"]]}}


def shaped(
    fields: Mapping[str, str], name: str, constants: Mapping[str, str] | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with these fields; what tells one object from another is always there."""
    made = {field: values(kind.removeprefix("optional ")) for field, kind in fields.items()}
    for field in made:
        is_audio = field == "audio" and fields[field].endswith("string")
        if is_audio or f"{name}.{field}" in AUDIO:
            made[field] = base64_audio()
    needed = {f for f, kind in fields.items() if not kind.startswith("optional ") or f == "type"}
    optional = {field: made[field] for field in made if field not in needed}
    fixed = {field: st.just(value) for field, value in (constants or {}).items()}
    return st.fixed_dictionaries(
        {**fixed, **{field: made[field] for field in made if field in needed}}, optional=optional
    )


CASES = [(kind, name) for kind, events in DECLARED.items() for name in events]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[": ".join(case) for case in CASES])
def test_what_meshrt_writes_of_an_event_its_model_reads(kind: str, name: str) -> None:
    # They are many, and each draws much: a quarter of what the profile says for each.
    @settings(max_examples=settings().max_examples // 4, suppress_health_check=SLOW)
    @given(shaped(DECLARED[kind][name], name, {"type": name}))
    def run(declared: dict[str, Any]) -> None:
        event = decode(json.dumps(declared))
        assert isinstance(event, Event), event
        text = encode(event)
        assert json.loads(text) == declared
        check(MODELS[kind][name], text)
        if kind == "client":
            assert type(any_client_event.validate_json(text, strict=True)) is CLIENT[name]

    run()


def test_every_event_has_a_model_or_is_known_to_have_none() -> None:
    assert set(CLIENT_EVENTS) == {*CLIENT, *TRANSLATION_CLIENT}
    assert set(SERVER_EVENTS) == {*SERVER, *TRANSLATION_SERVER}
    assert {kind: set(events) for kind, events in DECLARED.items()} == {
        kind: set(found) for kind, found in MODELS.items()
    }
    old = {*models(beta.RealtimeClientEvent), *models(beta.RealtimeServerEvent)}
    assert set(BETA_NAMES) - old == WITHOUT_A_MODEL


def test_the_models_are_strict() -> None:
    good = {"type": "conversation.item.create", "item": {
        "type": "message", "role": "user", "content": [{"type": "input_text", "text": "When?"}],
    }}  # fmt: skip
    check(CLIENT[good["type"]], json.dumps(good))
    for step, new in (("id", 7), ("new", 1), ("role", "nobody"), ("content", [{"text": 1}])):
        bad = {**good, "item": {**good["item"], step: new}}
        with pytest.raises((pydantic.ValidationError, AssertionError)):
            check(CLIENT[good["type"]], json.dumps(bad))
    deep = {**good, "item": {**good["item"], "content": [{"type": "input_text", "new": 1}]}}
    event = CLIENT[good["type"]].model_validate(deep)
    assert list(undeclared(event)) == ["$.item.content[].new"]
    prompt = {"type": "response.create", "response": {"prompt": {"id": "p", "variables": {
        "a": {"type": "input_text", "text": "b", "new": 1},
    }}}}  # fmt: skip
    event = CLIENT["response.create"].model_validate(prompt)
    assert list(undeclared(event)) == ["$.response.prompt.variables.a.new"]


PCM = wire.AudioPCM(rate=24000)
AUDIO_CONFIG = wire.AudioConfig(
    input=wire.AudioInput(
        format=PCM,
        transcription=wire.AudioTranscription(
            model="gpt-4o-transcribe",
            language="en",
            languages=["en", "de"],
            prompt="Trains.",
            keywords=["Bern"],
            delay="low",
        ),
        noise_reduction=wire.NoiseReduction(type="near_field", strength=0.5),
        turn_detection=wire.ServerVad(
            threshold=0.5,
            prefix_padding_ms=300,
            silence_duration_ms=200,
            idle_timeout_ms=5000,
            create_response=True,
            interrupt_response=True,
        ),
    ),
    output=wire.AudioOutput(format=PCM, voice="marin", speed=1.25),
)
TOOLS = [
    wire.FunctionTool(name="when", description="Tell when.", parameters={"type": "object"}),
    wire.McpTool(
        server_label="trains",
        server_url="https://trains.example",
        server_description="Trains.",
        connector_id="connector_gmail",
        tunnel_id="tunnel_1",
        authorization="token",
        headers={"X-A": "b"},
        allowed_tools=wire.McpToolFilter(tool_names=["when"], read_only=True),
        require_approval=wire.McpApprovalFilter(
            always=wire.McpToolFilter(tool_names=["buy"], read_only=False),
            never=wire.McpToolFilter(tool_names=["when"], read_only=True),
        ),
        defer_loading=True,
        allowed_callers=["direct"],
    ),
]
PROMPT = wire.Prompt(id="pmpt_1", version="2", variables={"city": "Bern"})
ITEM_FIELDS: dict[str, Any] = {"id": "item_1", "object": "realtime.item", "status": "completed"}
ITEMS = [
    wire.SystemMessage(content=[wire.InputText(text="Be brief.")], **ITEM_FIELDS),
    wire.UserMessage(
        content=[
            wire.InputText(text="When?"),
            wire.InputAudio(audio=b"\0\1", transcript="When?"),
            wire.InputImage(image_url="data:image/png;base64,AAAA", detail="low"),
        ],
        **ITEM_FIELDS,
    ),
    wire.AssistantMessage(
        content=[wire.OutputText(text="Now."), wire.OutputAudio(audio=b"", transcript="Now.")],
        **ITEM_FIELDS,
    ),
    wire.FunctionCall(call_id="call_1", name="when", arguments="{}", **ITEM_FIELDS),
    wire.FunctionCallOutput(call_id="call_1", output="noon", **ITEM_FIELDS),
    wire.McpListTools(
        id="item_1",
        server_label="trains",
        tools=[
            wire.McpToolDescription(
                name="when", input_schema={}, description="Tell.", annotations={"a": 1}
            )
        ],
    ),
    *(
        wire.McpCall(
            id="item_1",
            server_label="trains",
            name="when",
            arguments="{}",
            approval_request_id="item_0",
            output="noon",
            error=error,
        )
        for error in (
            None,
            wire.McpHttpError(code=500, message="no"),
            wire.McpProtocolError(code=-32600, message="no"),
            wire.McpToolExecutionError(message="no"),
        )
    ),
    wire.McpApprovalRequest(id="item_1", server_label="trains", name="buy", arguments="{}"),
    wire.McpApprovalResponse(
        id="item_1", approval_request_id="item_0", approve=False, reason="no"
    ),
]
SESSION = wire.RealtimeSessionConfig(
    model="gpt-realtime-2",
    instructions="Be brief.",
    output_modalities=["audio"],
    audio=AUDIO_CONFIG,
    tools=TOOLS,
    tool_choice=wire.ToolChoiceMcp(server_label="trains", name="when"),
    parallel_tool_calls=False,
    reasoning=wire.Reasoning(effort="low"),
    max_output_tokens="inf",
    truncation=wire.RetentionRatio(
        retention_ratio=0.8, token_limits=wire.TokenLimits(post_instructions=1000)
    ),
    tracing=wire.Tracing(workflow_name="w", group_id="g", metadata={"a": "b"}),
    prompt=PROMPT,
    include=["item.input_audio_transcription.logprobs"],
)
PARAMS = wire.ResponseParams(
    instructions="Be brief.",
    output_modalities=["text"],
    audio=wire.AudioConfig(
        output=wire.AudioOutput(format=wire.AudioPCMU(), voice=wire.VoiceID(id="voice_1"))
    ),
    conversation="none",
    input=ITEMS,
    metadata={"topic": "trains"},
    tools=TOOLS,
    tool_choice=wire.ToolChoiceFunction(name="when"),
    parallel_tool_calls=True,
    reasoning=wire.Reasoning(effort="minimal"),
    max_output_tokens=4096,
    prompt=PROMPT,
)
ID: dict[str, Any] = {"event_id": "event_1"}
FULL: list[Event] = [
    wire.SessionUpdate(session=SESSION, **ID),
    wire.SessionUpdate(
        session=wire.TranscriptionSession(
            audio=wire.AudioConfig(input=AUDIO_CONFIG.input), include=SESSION.include
        ),
        **ID,
    ),
    wire.InputAudioBufferAppend(audio=b"\0\1", **ID),
    wire.InputAudioBufferCommit(**ID),
    wire.InputAudioBufferClear(**ID),
    *(wire.ConversationItemCreate(previous_item_id="root", item=item, **ID) for item in ITEMS),
    wire.ConversationItemDelete(item_id="item_1", **ID),
    wire.ConversationItemRetrieve(item_id="item_1", **ID),
    wire.ConversationItemTruncate(item_id="item_1", content_index=0, audio_end_ms=100, **ID),
    wire.ResponseCreate(response=PARAMS, **ID),
    wire.ResponseCancel(response_id="resp_1", **ID),
    wire.OutputAudioBufferClear(**ID),
]


@pytest.mark.parametrize("event", FULL, ids=lambda event: str(event.type))
def test_a_whole_event_is_read_by_its_model(event: Event) -> None:
    text = encode(event)
    check(CLIENT[event.type], text)
    assert type(any_client_event.validate_json(text, strict=True)) is CLIENT[event.type]
    assert set(json.loads(text)) == {"type", *SPEC["client"][event.type]}


def test_the_whole_events_are_of_every_type_and_have_every_field() -> None:
    assert {event.type for event in FULL} == set(CLIENT)
    whole = [(SESSION, "RealtimeSessionCreateRequest"), (PARAMS, "RealtimeResponseCreateParams")]
    for value, name in whole:
        given_fields = {field for field in SPEC["objects"][name] if hasattr(value, field)}
        assert given_fields == set(SPEC["objects"][name])
    unset = [field for value, name in whole for field in SPEC["objects"][name]
             if getattr(value, field) is wire.UNSET]  # fmt: skip
    assert unset == []


def test_a_reference_is_declared_for_what_is_sent_only() -> None:
    params = wire.ResponseParams(input=[wire.ItemReference(id="item_1")])
    sent = json.loads(encode(wire.ResponseCreate(response=params)))
    declared = pydantic.TypeAdapter(
        realtime.response_create_event_with_references_param.ResponseCreateEventWithReferencesParam
    )
    assert declared.validate_python(sent)["type"] == "response.create"
    with pytest.raises(pydantic.ValidationError):
        check(CLIENT["response.create"], json.dumps(sent))


def test_an_update_of_a_translation_says_its_type_which_is_not_declared() -> None:
    session = wire.TranslationSession(
        audio=wire.AudioConfig(
            input=wire.AudioInput(
                transcription=wire.AudioTranscription(model="gpt-realtime-whisper"),
                noise_reduction=None,
            ),
            output=wire.AudioOutput(language="de"),
        )
    )
    text = encode(wire.SessionUpdate(session=session, **ID))
    event = TRANSLATION_CLIENT["session.update"].model_validate_json(text, strict=True)
    assert list(undeclared(event)) == ["$.session.type"]
