"""The session's configuration, as it is sent in ``session.update`` and comes back."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import attrs

from ._base import UNSET, Maybe


@attrs.frozen(kw_only=True)
class AudioPCM:
    """PCM16 little-endian, mono."""

    type: ClassVar[str] = "audio/pcm"
    rate: Maybe[int] = UNSET
    """Samples per second, in Hz; the server takes 24000 only."""


@attrs.frozen(kw_only=True)
class AudioPCMU:
    """G.711 µ-law, 8 kHz, mono."""

    type: ClassVar[str] = "audio/pcmu"


@attrs.frozen(kw_only=True)
class AudioPCMA:
    """G.711 A-law, 8 kHz, mono."""

    type: ClassVar[str] = "audio/pcma"


AudioFormat: TypeAlias = AudioPCM | AudioPCMU | AudioPCMA | Mapping[str, Any]


@attrs.frozen(kw_only=True)
class NoiseReduction:
    """Noise reduction on the input audio, before turn detection hears it."""

    type: Maybe[str] = UNSET
    """``"near_field"`` (a headset) or ``"far_field"`` (a laptop, a room)."""
    strength: Maybe[float] = UNSET
    """How strong."""


@attrs.frozen(kw_only=True)
class AudioTranscription:
    """Transcription of the input audio, by a model beside the one that answers."""

    model: Maybe[str] = UNSET
    """The transcribing model's id."""
    language: Maybe[str] = UNSET
    """The language spoken, ISO 639-1."""
    languages: Maybe[Sequence[str]] = UNSET
    """The languages that may be spoken, at least one."""
    prompt: Maybe[str] = UNSET
    """Text that guides the transcription."""
    keywords: Maybe[Sequence[str]] = UNSET
    """Words to expect."""
    delay: Maybe[str] = UNSET
    """How long it may wait for context: ``"minimal"``, ``"low"``, … ``"xhigh"``."""


@attrs.frozen(kw_only=True)
class ServerVad:
    """Turn detection by the loudness of the input."""

    type: ClassVar[str] = "server_vad"
    threshold: Maybe[float] = UNSET
    """Activation threshold, 0 to 1."""
    prefix_padding_ms: Maybe[int] = UNSET
    """Audio kept from before the speech, in ms."""
    silence_duration_ms: Maybe[int] = UNSET
    """Silence that ends a turn, in ms."""
    idle_timeout_ms: Maybe[int] = UNSET
    """Silence after which the model speaks up by itself, 5000 to 30000 ms."""
    create_response: Maybe[bool] = UNSET
    """Whether the end of a turn starts a response."""
    interrupt_response: Maybe[bool] = UNSET
    """Whether the start of speech cancels the running response."""


@attrs.frozen(kw_only=True)
class SemanticVad:
    """Turn detection by what was said."""

    type: ClassVar[str] = "semantic_vad"
    eagerness: Maybe[str] = UNSET
    """``"low"``, ``"medium"``, ``"high"`` (wait at most 8, 4, 2 s) or ``"auto"``."""
    create_response: Maybe[bool] = UNSET
    """Whether the end of a turn starts a response."""
    interrupt_response: Maybe[bool] = UNSET
    """Whether the start of speech cancels the running response."""


TurnDetection: TypeAlias = ServerVad | SemanticVad | Mapping[str, Any]


@attrs.frozen(kw_only=True)
class VoiceID:
    """A voice of one's own."""

    id: str
    """The voice's id."""


@attrs.frozen(kw_only=True)
class AudioInput:
    """What we send and what is done with it."""

    format: Maybe[AudioFormat] = UNSET
    """The format of the appended audio."""
    transcription: Maybe[AudioTranscription] = UNSET
    """How the input is transcribed; null switches it off."""
    noise_reduction: Maybe[NoiseReduction] = UNSET
    """How noise is reduced; null switches it off."""
    turn_detection: Maybe[TurnDetection] = UNSET
    """Who decides that a turn is over; null means we do, by committing."""


@attrs.frozen(kw_only=True)
class AudioOutput:
    """What the model's speech is like."""

    format: Maybe[AudioFormat] = UNSET
    """The format of the audio deltas."""
    voice: Maybe[str | VoiceID] = UNSET
    """The voice; it can't change after the first audio."""
    speed: Maybe[float] = UNSET
    """Speed of speech, 0.25 to 1.5, where 1 is the voice's own."""
    language: Maybe[str] = UNSET
    """The language to translate into, in translation sessions."""


@attrs.frozen(kw_only=True)
class AudioConfig:
    """Audio in both directions."""

    input: Maybe[AudioInput] = UNSET
    """What we send."""
    output: Maybe[AudioOutput] = UNSET
    """What we hear."""


@attrs.frozen(kw_only=True)
class FunctionTool:
    """A function of ours that the model may call."""

    type: ClassVar[str] = "function"
    name: Maybe[str] = UNSET
    """The function's name."""
    description: Maybe[str] = UNSET
    """What it does, and when to call it."""
    parameters: Maybe[Mapping[str, Any]] = UNSET
    """Its arguments, as a JSON Schema."""


@attrs.frozen(kw_only=True)
class McpToolFilter:
    """Some of the tools of an MCP server."""

    tool_names: Maybe[Sequence[str]] = UNSET
    """Those with these names."""
    read_only: Maybe[bool] = UNSET
    """Those that only read, or only the others."""


@attrs.frozen(kw_only=True)
class McpApprovalFilter:
    """Which tools of an MCP server need an approval."""

    always: Maybe[McpToolFilter] = UNSET
    """Those that always do."""
    never: Maybe[McpToolFilter] = UNSET
    """Those that never do."""


@attrs.frozen(kw_only=True)
class McpTool:
    """The tools of an MCP server; exactly one of its three addresses is needed."""

    type: ClassVar[str] = "mcp"
    server_label: str
    """What to call the server."""
    server_url: Maybe[str] = UNSET
    """Its URL."""
    connector_id: Maybe[str] = UNSET
    """Or a connector of the vendor's."""
    tunnel_id: Maybe[str] = UNSET
    """Or a tunnel of the vendor's."""
    server_description: Maybe[str] = UNSET
    """What it is for."""
    authorization: Maybe[str] = attrs.field(default=UNSET, repr=False)
    """A token for the server; it does not show in the repr."""
    headers: Maybe[Mapping[str, str]] = attrs.field(default=UNSET, repr=False)
    """Headers for the server; they do not show in the repr."""
    allowed_tools: Maybe[Sequence[str] | McpToolFilter] = UNSET
    """Which of its tools may be called."""
    require_approval: Maybe[str | McpApprovalFilter] = UNSET
    """``"always"``, ``"never"``, or which tools do; always if absent."""
    defer_loading: Maybe[bool] = UNSET
    """Whether its tools are listed only when needed."""
    allowed_callers: Maybe[Sequence[str]] = UNSET
    """``"direct"``, ``"programmatic"``, or both."""


Tool: TypeAlias = FunctionTool | McpTool | Mapping[str, Any]


@attrs.frozen(kw_only=True)
class ToolChoiceFunction:
    """The one function that the model has to call."""

    type: ClassVar[str] = "function"
    name: str
    """The function's name."""


@attrs.frozen(kw_only=True)
class ToolChoiceMcp:
    """The MCP server, or the one tool of it, that the model has to call."""

    type: ClassVar[str] = "mcp"
    server_label: str
    """The server's label."""
    name: Maybe[str] = UNSET
    """The tool's name."""


ToolChoice: TypeAlias = str | ToolChoiceFunction | ToolChoiceMcp | Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Tracing:
    """How the session shows up among the vendor's traces."""

    workflow_name: Maybe[str] = UNSET
    """The name of the workflow."""
    group_id: Maybe[str] = UNSET
    """An id that several sessions share."""
    metadata: Maybe[Mapping[str, Any]] = UNSET
    """Whatever else to note."""


@attrs.frozen(kw_only=True)
class TokenLimits:
    """Limits that truncation obeys."""

    post_instructions: Maybe[int] = UNSET
    """Tokens that may follow the instructions."""


@attrs.frozen(kw_only=True)
class RetentionRatio:
    """Truncation that keeps a share of the conversation."""

    type: ClassVar[str] = "retention_ratio"
    retention_ratio: float
    """The share that stays, 0 to 1."""
    token_limits: Maybe[TokenLimits] = UNSET
    """The limits beside it."""


Truncation: TypeAlias = str | RetentionRatio | Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Prompt:
    """A prompt that the vendor stores."""

    id: str
    """Its id."""
    version: Maybe[str] = UNSET
    """Its version."""
    variables: Maybe[Mapping[str, Any]] = UNSET
    """What to fill in."""


@attrs.frozen(kw_only=True)
class Reasoning:
    """How much the model thinks before it speaks."""

    effort: Maybe[str] = UNSET
    """``"minimal"``, ``"low"``, ``"medium"``, ``"high"`` or ``"xhigh"``."""


@attrs.frozen(kw_only=True)
class RealtimeSessionConfig:
    """A session that listens and answers.

    In ``session.update`` only the fields that are set change anything: ``""`` clears the
    instructions, ``[]`` the tools, null turn detection.
    """

    type: ClassVar[str] = "realtime"
    id: Maybe[str] = UNSET
    """The session's id; the server gives it."""
    object: Maybe[str] = UNSET
    """``"realtime.session"``; the server says it."""
    expires_at: Maybe[int] = UNSET
    """When the server ends the session, in seconds since 1970."""
    model: Maybe[str] = UNSET
    """The model's id; it never changes in a session."""
    instructions: Maybe[str] = UNSET
    """What the model is told before anything else."""
    output_modalities: Maybe[Sequence[str]] = UNSET
    """``["audio"]`` or ``["text"]``, never both."""
    audio: Maybe[AudioConfig] = UNSET
    """Formats, voice, turn detection, transcription."""
    tools: Maybe[Sequence[Tool]] = UNSET
    """What the model may call."""
    tool_choice: Maybe[ToolChoice] = UNSET
    """``"auto"``, ``"none"``, ``"required"``, or one tool."""
    parallel_tool_calls: Maybe[bool] = UNSET
    """Whether one response may call several tools."""
    reasoning: Maybe[Reasoning] = UNSET
    """How much the model thinks."""
    max_output_tokens: Maybe[int | str] = UNSET
    """1 to 4096, or ``"inf"``."""
    truncation: Maybe[Truncation] = UNSET
    """What happens to a conversation that grows too long."""
    tracing: Maybe[str | Tracing] = UNSET
    """``"auto"`` or how to trace; it can't change once on."""
    prompt: Maybe[Prompt] = UNSET
    """A stored prompt."""
    include: Maybe[Sequence[str]] = UNSET
    """Extra fields to send, such as ``"item.input_audio_transcription.logprobs"``."""


@attrs.frozen(kw_only=True)
class TranscriptionSession:
    """A session that only transcribes."""

    type: ClassVar[str] = "transcription"
    id: Maybe[str] = UNSET
    """The session's id; the server gives it."""
    object: Maybe[str] = UNSET
    """``"realtime.transcription_session"``; the server says it."""
    expires_at: Maybe[int] = UNSET
    """When the server ends the session, in seconds since 1970."""
    audio: Maybe[AudioConfig] = UNSET
    """The input's format, transcription, noise reduction and turn detection."""
    include: Maybe[Sequence[str]] = UNSET
    """Extra fields to send."""


@attrs.frozen(kw_only=True)
class TranslationSession:
    """A session that translates speech while it is spoken."""

    type: ClassVar[str] = "translation"
    id: Maybe[str] = UNSET
    """The session's id; the server gives it."""
    expires_at: Maybe[int] = UNSET
    """When the server ends the session, in seconds since 1970."""
    model: Maybe[str] = UNSET
    """The model's id."""
    audio: Maybe[AudioConfig] = UNSET
    """The input's transcription and noise reduction, and the language to translate into."""


Session: TypeAlias = (
    RealtimeSessionConfig | TranscriptionSession | TranslationSession | Mapping[str, Any]
)
