"""A look into all the places where a key could show, as far as a tracker of errors would look."""

import base64
import functools
import pickle
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import MethodType, TracebackType
from typing import Any
from urllib.parse import quote

from meshrt._secret import Secret

_TESTS = str(Path(__file__).parents[1])
# Whose objects are opened. Of all others the repr has to do, or it would be the whole program.
_CONTAINERS = (dict, list, tuple, set, frozenset, deque)
_OPENED = {"meshrt", "anyio", "websockets", "opentelemetry"}


def forms_of(key: str) -> set[str]:
    """Return the key as it is, percent-encoded, and in base64, also after a word and a colon."""
    data = key.encode()
    # What three bytes begin does not depend on what is before them: the middle is always found.
    encoded = {base64.b64encode(data[at:]).decode().rstrip("=")[:-1] for at in range(3)}
    return {key, quote(key, safe=""), base64.b64encode(data).decode()} | encoded


def places_of(key: str, error: BaseException) -> list[str]:
    """Name where an exception shows a key: its words, its causes, the locals of all frames.

    The tests' own frames are left out: they know the key.
    """
    return _showing(key, _texts(error, set()))


def places_within(key: str, thing: object) -> list[str]:
    """Name where an object shows a key, or any that it holds."""
    return _showing(key, _insides(thing, type(thing).__name__, set()))


def _showing(key: str, told: Iterable[tuple[str, str]]) -> list[str]:
    forms = forms_of(key) if key else set()
    return [place for place, text in told if any(form in text for form in forms)]


def _texts(error: BaseException | None, seen: set[int]) -> Iterator[tuple[str, str]]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    name = type(error).__name__
    yield f"str({name})", str(error)
    yield f"repr({name})", repr(error)
    yield f"args of {name}", repr(error.args)
    yield f"vars of {name}", repr(vars(error))
    yield f"traceback of {name}", "".join(traceback.format_exception(error))
    with suppress(Exception):  # not each can be pickled, such as those with a cause that can't
        yield f"pickle of {name}", pickle.dumps(error).decode("latin-1")
    yield from _locals(name, error.__traceback__)
    for part in getattr(error, "exceptions", ()):
        yield from _texts(part, seen)
    yield from _texts(error.__cause__, seen)
    yield from _texts(error.__context__, seen)


def _locals(name: str, place: TracebackType | None) -> Iterator[tuple[str, str]]:
    seen: set[int] = set()
    while place is not None:
        code = place.tb_frame.f_code
        if not code.co_filename.startswith(_TESTS):
            for variable, value in place.tb_frame.f_locals.items():
                where = f"{variable} in {code.co_qualname} ({name})"
                yield where, repr(value)
                yield from _insides(value, where, seen)
        place = place.tb_next


def _insides(thing: object, where: str, seen: set[int]) -> Iterator[tuple[str, str]]:
    """Open an object and all that it holds, but for the box that is there for the key."""
    todo: deque[tuple[str, object]] = deque([(where, thing)])
    while todo:
        place, found = todo.popleft()
        if id(found) in seen or isinstance(found, Secret):
            continue
        seen.add(id(found))
        if not isinstance(found, _CONTAINERS):
            yield place, repr(found)
        todo.extend((f"{place}.{name}", part) for name, part in _parts(found))


def _parts(thing: Any) -> Iterator[tuple[str, object]]:
    if isinstance(thing, dict):
        yield from (("{}", part) for pair in thing.items() for part in pair)
    elif isinstance(thing, _CONTAINERS):
        yield from (("[]", part) for part in thing)
    elif isinstance(thing, MethodType):
        yield "__self__", thing.__self__
    elif isinstance(thing, functools.partial):
        yield from (("args", part) for part in (thing.func, *thing.args, *thing.keywords.values()))
    elif type(thing).__module__.partition(".")[0] in _OPENED:
        yield from getattr(thing, "__dict__", {}).items()
        for kind in type(thing).__mro__:
            for slot in getattr(kind, "__slots__", ()):
                name = f"_{kind.__name__}{slot}" if slot[:2] == "__" != slot[-2:] else slot
                with suppress(AttributeError):
                    yield slot, getattr(thing, name)
