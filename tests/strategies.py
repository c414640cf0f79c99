"""Hypothesis strategies that the rooms share: JSON, text, and each event of the wire.

Importing this module registers what ``st.builds`` needs to know for itself about the annotations
of the events: that ``UNSET`` is one value, and which mappings, sequences and numbers are JSON.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias, get_args

import attrs
from hypothesis import strategies as st

from meshrt import events as wire
from meshrt.events import (
    BETA_NAMES,
    CLIENT_EVENTS,
    SERVER_EVENTS,
    UNSET,
    Event,
    UnknownEvent,
    UnsetType,
)
from meshrt.events._plan import constants_of

JSON: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None

VALUES: Final = tuple(
    thing for thing in vars(wire).values() if isinstance(thing, type) and attrs.has(thing)
)
"""Every attrs class of the wire, events included."""
WIRE_NAMES: Final = frozenset({*CLIENT_EVENTS, *SERVER_EVENTS, *BETA_NAMES})
"""Every name that an event with a class can have on the wire."""
TAGS: Final = frozenset(
    constants["type"] for constants in map(constants_of, VALUES) if "type" in constants
)
"""Every ``type`` by which meshrt tells one class from another."""

texts: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Text without lone surrogates, which are no characters and can't be UTF-8."""
names: Final = texts.filter(lambda name: name not in TAGS and name not in WIRE_NAMES)
"""Text that is the ``type`` of nothing that meshrt knows."""
integers: Final = st.integers(-(2**63), 2**64 - 1)
floats: Final = st.floats(allow_nan=False, allow_infinity=False)
scalars: Final[st.SearchStrategy[JSON]] = st.none() | st.booleans() | integers | floats | texts
json_values: Final[st.SearchStrategy[JSON]] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Whatever JSON can say, in small."""

_tags: Final[st.SearchStrategy[dict[str, Any]]] = st.one_of(
    st.just({}),
    st.just({"role": "user"}),
    st.fixed_dictionaries({"type": names | st.none() | st.integers()}),
    # An item needs its role as well, a part is never a message.
    st.just({"type": "message"}),
    st.fixed_dictionaries({"type": st.just("message"), "role": names}),
)
objects: Final[st.SearchStrategy[dict[str, Any]]] = st.builds(
    lambda fields, tags: {**fields, **tags},
    st.dictionaries(
        texts.filter(lambda key: key not in ("type", "role")), json_values, max_size=3
    ),
    _tags,
)
"""JSON objects that are not taken for any class of the wire, be their ``type`` near to one."""


def _sequences(annotation: Any) -> st.SearchStrategy[Any]:
    """Give lists only: a tuple is one on this wire too, and comes back as a list."""
    return st.lists(st.from_type(get_args(annotation)[0]), max_size=2)


def _mappings(annotation: Any) -> st.SearchStrategy[Any]:
    """Give objects that are no class's, unless the annotation says what is in them."""
    if get_args(annotation) == (str, str):
        return st.dictionaries(texts, texts, max_size=2)
    return objects


def _of_class(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Fill every field, also those with a default."""
    return st.builds(cls, **{field.name: ... for field in attrs.fields(cls)})


st.register_type_strategy(UnsetType, st.just(UNSET))
st.register_type_strategy(str, texts)
st.register_type_strategy(int, integers)
st.register_type_strategy(float, floats)
st.register_type_strategy(Mapping, _mappings)
st.register_type_strategy(Sequence, _sequences)

unknown_events: Final[st.SearchStrategy[UnknownEvent]] = st.builds(
    lambda wire_name, fields: UnknownEvent(type=wire_name, data={"type": wire_name, **fields}),
    names.filter(bool),
    st.dictionaries(texts.filter(lambda key: key != "type"), json_values, max_size=4),
)
"""Events of a type that nobody knows."""

for _cls in VALUES:
    st.register_type_strategy(_cls, _of_class(_cls))
st.register_type_strategy(UnknownEvent, unknown_events)

EVENTS: Final[Mapping[type[Event], st.SearchStrategy[Event]]] = MappingProxyType(
    {cls: st.from_type(cls) for cls in (*CLIENT_EVENTS.values(), *SERVER_EVENTS.values())}
)
"""For each class of event, its values: each field with whatever its annotation allows."""
client_events: Final = st.one_of([EVENTS[cls] for cls in CLIENT_EVENTS.values()])
server_events: Final = st.one_of([EVENTS[cls] for cls in SERVER_EVENTS.values()])
known_events: Final = client_events | server_events

pcm: Final = st.binary(max_size=64).map(lambda data: data[: len(data) // 2 * 2])
"""Audio of whole samples."""


@st.composite
def mutated_bytes(draw: st.DrawFn, source: bytes) -> bytes:
    """Damage one place: cut, replace, insert, double, or stop there."""
    start = draw(st.integers(0, len(source)))
    end = draw(st.integers(start, min(start + 8, len(source))))
    before, middle, after = source[:start], source[start:end], source[end:]
    patch = draw(st.binary(max_size=4) | st.sampled_from([b'"', b"}", b"{", b"[", b",", b"null"]))
    results = [before + after, before + patch + after, before + middle * 2 + after, before]
    return draw(st.sampled_from(results))


@st.composite
def mutated_json(draw: st.DrawFn, source: JSON) -> JSON:
    """Put other JSON in one place of it, or take that place away."""
    inside = isinstance(source, dict | list) and bool(source) and draw(st.integers(0, 4)) > 0
    if isinstance(source, dict) and inside:
        name = draw(st.sampled_from(sorted(source)))
        if draw(st.integers(0, 4)) == 0:
            return {key: value for key, value in source.items() if key != name}
        return {**source, name: draw(mutated_json(source[name]))}
    if isinstance(source, list) and inside:
        index = draw(st.integers(0, len(source) - 1))
        return [*source[:index], draw(mutated_json(source[index])), *source[index + 1 :]]
    return draw(json_values)
