"""What one side says: checked before it is sent, so that a mistake is found where it was made."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, final

import attrs
import msgspec

from ..errors import LocalProtocolError, MeshWarning
from ..events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    UNSET,
    AudioPCMA,
    AudioPCMU,
    InputAudioBufferAppend,
    Session,
    SessionInputAudioBufferAppend,
    TranslationSession,
    class_of,
)
from ..events._plan import mapping_of, reader_of
from ._checks import (
    beta_problem,
    check_audio,
    event_id_problem,
    missing_session_type,
    unknown_fields,
)
from ._codec import AnyEvent, as_mapping, decode_object, encode, encode_append
from ._conversation import Conversation
from ._fields import field_of
from ._values import odd_values

_APPEND: Final = InputAudioBufferAppend.type
_BETA_G711: Final = ("g711_ulaw", "g711_alaw")


@attrs.frozen(kw_only=True)
class Prepared:
    """An event that was checked and written, and has not happened yet.

    Attributes:
        type: Its wire name.
        event_id: Its id.
        text: The text to put on the transport.
        body: What it is, as a mapping of its own; empty for an append of audio, of which there are
            many.
        audio_bytes: How much audio it appends, in bytes.
    """

    type: str
    event_id: str
    text: str = attrs.field(repr=lambda text: f"<{len(text)} characters>")
    body: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    audio_bytes: int = attrs.field(default=0, repr=False)


@final
class Outgoing:
    """The checks on what one side sends. It warns of each thing that nobody knows once.

    Args:
        role: ``"client"`` or ``"server"``.
        make_id: Makes the ``event_id`` of events that have none.
        conversation: The session's, of which the session as the server described it counts.
    """

    def __init__(self, role: str, make_id: Callable[[], str], conversation: Conversation) -> None:
        self._role = role
        self._known = CLIENT_EVENTS if role == "client" else SERVER_EVENTS
        self.make_id = make_id
        self._conversation = conversation
        self._warned: set[str] = set()
        self._described: Session | None = None
        self._is_pcm16 = True  # as it is by default

    def prepare(self, event: AnyEvent | Mapping[str, Any], *, strict: bool) -> Prepared:
        """Check and write an event; see :meth:`RealtimeProtocol.prepare`."""
        if strict and isinstance(event, InputAudioBufferAppend) and event.event_id is UNSET:
            return self.prepare_audio(event.audio)
        mapping = dict(as_mapping(event))
        self._check_side(mapping["type"])
        problem = (beta_problem(mapping) or self._missing_type(mapping)) if strict else None
        if problem:
            raise LocalProtocolError(f"nothing was sent: {problem}")
        if mapping.get("event_id") is None:
            mapping["event_id"] = self.make_id()
        _check_id(mapping["event_id"])
        text = encode(mapping)
        if strict:
            self._check_shape(mapping, text)
        is_append = mapping["type"] == _APPEND
        return Prepared(
            type=mapping["type"],
            event_id=mapping["event_id"],
            text=text,
            # Read from the text: what was given is somebody's to change until this happens.
            body={} if is_append else decode_object(text),
            audio_bytes=_size_of(mapping.get("audio")) if is_append else 0,
        )

    def prepare_audio(self, audio: bytes | bytearray | memoryview) -> Prepared:
        """Check and write an append; see :meth:`RealtimeProtocol.prepare_audio`."""
        size = check_audio(audio, whole_samples=self._input_is_pcm16())
        if self._role != "client":
            self._check_side(_APPEND)
        event_id = self.make_id()
        _check_id(event_id)
        return Prepared(
            type=_APPEND,
            event_id=event_id,
            text=encode_append(audio, event_id),
            audio_bytes=size,
        )

    def _check_side(self, wire_name: str) -> None:
        """Refuse what is certainly not ours to send; let pass what nobody knows."""
        cls = class_of(wire_name)
        if cls is not None and cls.type not in self._known:
            raise LocalProtocolError(
                f"nothing was sent: {wire_name} is sent by the other side, and we are the "
                f"{self._role}"
            )

    def _check_shape(self, mapping: Mapping[str, Any], text: str) -> None:
        """Read our own text as the other side would, and refuse what does not fit."""
        cls = class_of(mapping["type"])
        event, problem = None, None
        if cls is not None:
            try:
                event = reader_of(cls)(text)
            except msgspec.ValidationError as error:
                problem = f"nothing was sent: {mapping['type']} does not fit the wire: {error}"
        if problem is not None:
            raise LocalProtocolError(problem)
        if isinstance(event, InputAudioBufferAppend | SessionInputAudioBufferAppend):
            check_audio(event.audio, whole_samples=self._input_is_pcm16())
        if self._role == "client":
            self._warn_of_unknown(mapping, mapping_of(event) if event is not None else None)

    def _missing_type(self, mapping: Mapping[str, Any]) -> str | None:
        """Ask for the session's ``type``, which only a translation session goes without."""
        if isinstance(self._conversation.session, TranslationSession):
            return None
        return missing_session_type(mapping)

    def _input_is_pcm16(self) -> bool:
        """Tell whether appended audio has two bytes per sample, as it has by default."""
        session = self._conversation.session
        if session is not self._described:  # a session is a frozen value, and appends are many
            self._described, self._is_pcm16 = session, _is_pcm16(session)
        return self._is_pcm16

    def _warn_of_unknown(
        self, mapping: Mapping[str, Any], known: Mapping[str, Any] | None
    ) -> None:
        """Warn once of each thing that only the server can judge."""
        wire_name = mapping["type"]
        for path, what in _doubts(mapping, known):
            place = f"{wire_name} {path}"
            if place not in self._warned:
                self._warned.add(place)
                warnings.warn(
                    f"{what}; it is sent as it is, and the server decides",
                    MeshWarning,
                    stacklevel=6,
                )


def _doubts(
    mapping: Mapping[str, Any], known: Mapping[str, Any] | None
) -> Iterator[tuple[str, str]]:
    """Yield the path and what is to be said of each field and each value that nobody knows."""
    wire_name = mapping["type"]
    paths = unknown_fields(mapping, known) if known is not None else iter(("type",))
    for path in paths:
        yield path, f"meshrt does not know {path} of {wire_name}"
    for path, text in odd_values(mapping) if known is not None else ():
        yield path, f"meshrt does not know the value at {path} of {wire_name}, but only {text}"


def _is_pcm16(session: Session | None) -> bool:
    entrance = field_of(field_of(session, "audio"), "input")
    if field_of(session, "input_audio_format") in _BETA_G711:
        return False
    return not isinstance(field_of(entrance, "format"), AudioPCMU | AudioPCMA)


def _check_id(event_id: object) -> None:
    problem = event_id_problem(event_id)
    if problem:
        raise LocalProtocolError(f"nothing was sent: {problem}")


def _size_of(audio: object) -> int:
    """Return how many bytes are in a base64 text."""
    return len(audio) // 4 * 3 - audio[-2:].count("=") if isinstance(audio, str) else 0
