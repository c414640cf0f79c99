"""How a frozen attrs class and a JSON object become one another, worked out once per class.

msgspec fills flat attrs classes by itself, and fast. It refuses what this wire is full of: unions
of two classes, or of a class with a plain mapping, told apart by ``type``; and it decodes base64
slowly. Such fields come in as raw JSON and go through a reader that their annotation describes.

A class takes part with its attrs fields and with its constants: string class variables, such as
``type`` and ``role``, which tell the members of a union apart and are written back.
"""

import binascii
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias, Union, get_args, get_origin

import attrs
import msgspec
import pybase64
from msgspec import UNSET, Raw, UnsetType, ValidationError

Reader: TypeAlias = Callable[[bytes | str | Raw], Any]
_PartReader: TypeAlias = Callable[[Raw], Any]
_Shape: TypeAlias = tuple[dict[str, str], tuple[tuple[str, Callable[[Any], Any]], ...]]


class _Head(msgspec.Struct):
    """The two constants by which this wire tells the members of a union apart."""

    type: str | None = None
    role: str | None = None


_head = msgspec.json.Decoder(_Head)
_list = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)
_object = msgspec.json.Decoder(dict[str, Any])

_readers: dict[type, Reader] = {}
_shapes: dict[type, _Shape] = {}


def constants_of(cls: type) -> dict[str, str]:
    """Return the string class variables of a class: what it always writes."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        for name, annotation in inspect.get_annotations(base).items():
            origin: Any = get_origin(annotation)
            if origin is ClassVar and name in vars(base):
                found[name] = vars(base)[name]
    return found


def mapping_of(value: Any) -> dict[str, Any]:
    """Return the JSON object of an attrs value: constants first, nothing that is ``UNSET``."""
    cls = type(value)
    constants, fields = _shapes.get(cls) or _shapes.setdefault(cls, _shape_of(cls))
    mapping: dict[str, Any] = dict(constants)
    for name, convert in fields:
        member = getattr(value, name)
        if member is not UNSET:
            mapping[name] = convert(member)
    return mapping


def reader_of(cls: type) -> Reader:
    """Return the function that reads one JSON object into a class.

    The function raises ``msgspec.ValidationError`` with the path where the object does not fit,
    and ``msgspec.DecodeError``, ``RecursionError`` or ``UnicodeError`` where it is not JSON.
    """
    return _readers.get(cls) or _readers.setdefault(cls, _make_reader(cls))


def _make_reader(cls: type) -> Reader:
    parts = {field.name: _reader(field.type) for field in attrs.fields(cls)}
    if not any(parts.values()):
        return msgspec.json.Decoder(cls).decode
    return _assembler(cls, {name: reader for name, reader in parts.items() if reader})


def _shape_of(cls: type) -> _Shape:
    fields = attrs.fields(cls)
    audio = {field.name for field in fields if bytes in _options(field.type)}
    return constants_of(cls), tuple(
        (field.name, _base64 if field.name in audio else _builtin) for field in fields
    )


def _builtin(value: Any) -> Any:
    if attrs.has(type(value)):
        return mapping_of(value)
    if isinstance(value, (list, tuple)):
        return [_builtin(item) for item in value]
    return value


def _base64(value: Any) -> Any:
    if isinstance(value, memoryview):
        value = value.tobytes()  # it may have gaps, which base64 does not take
    return pybase64.b64encode_as_string(value) if isinstance(value, (bytes, bytearray)) else value


def _assembler(cls: type, readers: Mapping[str, _PartReader]) -> Reader:
    """Read a twin of the class whose difficult fields are raw, then read those."""
    twin = msgspec.defstruct(
        cls.__name__,
        [_twin_field(field, raw=field.name in readers) for field in attrs.fields(cls)],
        kw_only=True,
    )
    decoder = msgspec.json.Decoder(twin)
    names = tuple(field.name for field in attrs.fields(cls))

    def read(source: bytes | str | Raw) -> Any:
        loose = decoder.decode(source)
        values = {name: getattr(loose, name) for name in names}
        for name, reader in readers.items():
            if isinstance(values[name], Raw):
                values[name] = _read_at(f".{name}", reader, values[name])
        return cls(**values)

    return read


def _twin_field(field: "attrs.Attribute[Any]", *, raw: bool) -> tuple[Any, ...]:
    kind = Raw if raw else field.type
    return (field.name, kind) if field.default is attrs.NOTHING else (field.name, kind, UNSET)


def _reader(annotation: Any) -> _PartReader | None:
    """Return a reader for what msgspec can't read by itself; ``None`` for what it can."""
    options = _options(annotation)
    classes = [option for option in options if isinstance(option, type) and attrs.has(option)]
    if any(option is bytes for option in options):
        return _nullable(options, _read_base64)
    if any(get_origin(option) is Sequence for option in options):
        return _sequence_reader(options)
    if not classes or (len(options) - len(classes) - _nulls(options) == 0 and _is_flat(classes)):
        return None
    return _nullable(options, _union_reader(classes, options))


def _is_flat(classes: Sequence[type]) -> bool:
    """Tell whether msgspec reads this alone: one class, and nothing difficult inside."""
    return len(classes) == 1 and not any(_reader(f.type) for f in attrs.fields(classes[0]))


def _nulls(options: Sequence[Any]) -> int:
    return sum(option in (types.NoneType, UnsetType) for option in options)


def _options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _nullable(options: Sequence[Any], reader: _PartReader) -> _PartReader:
    if types.NoneType not in options:
        return reader
    return lambda source: None if _starts(source, b"n") else reader(source)


def _starts(source: Raw, sign: bytes) -> bool:
    return memoryview(source)[:1].tobytes() == sign


def _sequence_reader(options: Sequence[Any]) -> _PartReader | None:
    (sequence,) = [option for option in options if get_origin(option) is Sequence]
    item = _reader(get_args(sequence)[0])
    if item is None:
        return None

    def read(source: Raw) -> list[Any]:
        parts = _list.decode(source)
        return [_read_at(f"[{index}]", item, part) for index, part in enumerate(parts)]

    return _nullable(options, read)


def _union_reader(classes: Sequence[type], options: Sequence[Any]) -> _PartReader:
    table = {_key(constants_of(cls)): cls for cls in classes}
    untagged = next((cls for cls in classes if not constants_of(cls)), None)
    scalars = [o for o in options if o in (str, int, float, bool)]
    plain: Any = Union[tuple(scalars)] if scalars else None  # noqa: UP007  made at run time
    scalar = msgspec.json.Decoder(plain).decode if scalars else None

    def read(source: Raw) -> Any:
        if scalar is not None and not _starts(source, b"{"):
            return scalar(source)
        cls = _choose(table, source) or untagged
        if cls is not None:
            return reader_of(cls)(source)
        return _object.decode(source)

    return read


def _choose(table: Mapping[tuple[str | None, str | None], type], source: Any) -> type | None:
    try:
        head = _head.decode(source)
    except ValidationError:
        return None
    return table.get((head.type, head.role)) or table.get((head.type, None))


def _key(constants: Mapping[str, str]) -> tuple[str | None, str | None]:
    return constants.get("type"), constants.get("role")


def _read_base64(source: Raw) -> bytes:
    try:
        return pybase64.b64decode(_text.decode(source), validate=True)
    except (binascii.Error, ValueError) as error:
        if isinstance(error, (msgspec.MsgspecError, UnicodeDecodeError)):
            raise
    raise ValidationError("Invalid base64 encoded string")


def _read_at(step: str, reader: _PartReader, source: Raw) -> Any:
    """Read a part, and put its place in front of the path that an error names."""
    try:
        return reader(source)
    except ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise ValidationError(f"{message} - at `${step}{path.rstrip('`')}`") from None
