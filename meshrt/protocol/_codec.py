"""Text to event and event to text: tolerant where we receive, strict where we send."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
import pybase64

from ..errors import LocalProtocolError, RemoteProtocolError
from ..events import BETA_NAMES, CLIENT_EVENTS, SERVER_EVENTS, Event, UnknownEvent, class_of
from ..events._base import remember_source
from ..events._plan import mapping_of, reader_of
from ._audio_delta import read_audio_delta
from ._checks import MAX_DEPTH, depth_problem, json_problem

AnyEvent: TypeAlias = Event | UnknownEvent


class _Head(msgspec.Struct):
    type: str


_head = msgspec.json.Decoder(_Head)
_object = msgspec.json.Decoder(dict[str, Any])
_AUDIO = frozenset(
    {
        "input_audio_buffer.append",
        "response.output_audio.delta",
        "session.input_audio_buffer.append",
        "session.output_audio.delta",
    }
)
# Made once: every text comes by here.
_READERS: dict[str, Callable[[str], Event]] = {
    name: reader_of(cls)
    for name in (*BETA_NAMES, *SERVER_EVENTS, *CLIENT_EVENTS)
    if (cls := class_of(name)) is not None
}
_NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, UnicodeEncodeError)


def _plain(value: Any) -> object:
    """Turn what is JSON to Python's own types, but not to msgspec, into what is to both."""
    if isinstance(value, Mapping):
        return dict(value)
    return next(kind for kind in (str, int, float) if isinstance(value, kind))(value)


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_encoder_in_order = msgspec.json.Encoder(enc_hook=_plain, order="sorted")


def decode(
    text: str | bytes | bytearray | memoryview, *, keep_audio_text: bool = False
) -> AnyEvent:
    """Read one event, of either direction, from JSON text.

    A JSON object with a string ``type`` is an event. One whose type is unknown, or that does not
    fit the class of its type, is an :class:`~meshrt.events.UnknownEvent`, in the second case with
    the ``problem`` and its path. Beta names give the class of their GA twin.

    Args:
        text: One message of the wire, as text or as its UTF-8 bytes, in whatever holds bytes.
        keep_audio_text: Whether events with audio keep their text too, for ``data``: it is larger
            than everything else together.

    What is decoded can be encoded: both refuse what is nested deeper than 100 levels, and numbers
    of more digits than Python reads and writes.

    Raises:
        RemoteProtocolError: It is not a JSON object with a string ``type``. No other error is
            raised, whatever the text: any other one is a bug.
    """
    # A class of somebody's own that is text is text: msgspec wants the plain one.
    if type(text) is not str:
        text = str.__str__(text) if isinstance(text, str) else _text_of(bytes(text))
    event: AnyEvent = read_audio_delta(text) or read_event(text)
    if isinstance(event, Event) and (keep_audio_text or event.type not in _AUDIO):
        remember_source(event, text)
    return event


def read_event(text: str) -> AnyEvent:
    """Read one event in the general way, without its text; see :func:`decode`."""
    wire_name = _type_of(text)
    if text.count("{") + text.count("[") > MAX_DEPTH:  # at most: see what it is only then
        _check_depth(text)
    read = _READERS.get(wire_name)
    if read is None:
        return UnknownEvent(type=wire_name, data=decode_object(text))
    try:
        return read(text)
    except _NOT_JSON as error:  # if it is not even JSON, this says so
        return UnknownEvent(type=wire_name, data=decode_object(text), problem=str(error))


def encode(event: AnyEvent | Mapping[str, Any]) -> str:
    """Write one event, of either direction, as JSON text.

    A mapping is written as it is; of a typed event, what is ``UNSET`` is left out. It is not
    checked against the rules of the wire: :meth:`RealtimeProtocol.send` does that.

    Raises:
        LocalProtocolError: It has no string ``type``, or holds what is not JSON: NaN, bytes, a
            set, a key that is not text, a lone surrogate.
    """
    mapping = as_mapping(event)
    problem = json_problem(mapping)
    if problem:
        raise LocalProtocolError(f"this {mapping['type']} can't be sent: {problem}")
    return _encoder.encode(mapping).decode()


def encode_append(audio: bytes | bytearray | memoryview, event_id: str) -> str:
    """Write an append without a detour through a mapping, as it is by far the most frequent.

    Args:
        audio: The bytes to append.
        event_id: Its id.
    """
    if isinstance(audio, memoryview) and not audio.c_contiguous:
        audio = audio.tobytes()
    encoded = pybase64.b64encode_as_string(audio)
    # What is an identifier has nothing to escape, as are the ids that we count ourselves.
    quoted = f'"{event_id}"' if event_id.isidentifier() else _encoder.encode(event_id).decode()
    return f'{{"type":"input_audio_buffer.append","event_id":{quoted},"audio":"{encoded}"}}'


def canonical(value: object) -> bytes:
    """Write any JSON so that what is equal is written alike."""
    return _encoder_in_order.encode(value)


def as_mapping(event: AnyEvent | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON object of an event, which a mapping is already.

    Raises:
        LocalProtocolError: It is no event, or has no string ``type``.
    """
    mapping = _shape_of(event)
    wire_name = mapping.get("type")
    if isinstance(wire_name, str) and wire_name:
        return mapping
    raise LocalProtocolError(
        "this event has no `type`, so nothing was sent: an event is a mapping such as "
        '{"type": "response.create"} or a class of meshrt.events, such as ResponseCreate()'
    )


def _shape_of(event: object) -> Mapping[str, Any]:
    if isinstance(event, Event):
        return mapping_of(event)
    if isinstance(event, UnknownEvent):
        event = event.data
    if isinstance(event, Mapping):
        return event
    raise LocalProtocolError(
        f"{type(event).__name__} is not an event, so nothing was sent: give a mapping with a "
        "`type` or a class of meshrt.events; for audio there is send_audio()"
    )


def _text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        problem = _not_json(error)
    raise problem


def _type_of(text: str) -> str:
    try:
        return _head.decode(text).type
    except _NOT_JSON as error:
        problem = _not_json(error)
    raise problem


def _check_depth(text: str) -> None:
    problem = depth_problem(text)
    if problem:
        raise _not_json(ValueError(problem))


def decode_object(text: str) -> dict[str, Any]:
    """Read the JSON object that an event is; see :func:`decode` for what it raises."""
    try:
        return _object.decode(text)
    except _NOT_JSON as error:
        problem = _not_json(error)
    raise problem


def _not_json(error: Exception) -> RemoteProtocolError:
    cause = str(error) or type(error).__name__
    return RemoteProtocolError(
        f"the other side sent text that is not a JSON object with a string `type`: {cause}"
    )
