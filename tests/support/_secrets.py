"""A look into all the places where a key could show."""

import base64
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import meshrt

_HOME = str(Path(meshrt.__file__).parent)


def places_of(key: str, error: BaseException) -> list[str]:
    """Name where an exception shows a key: its words, its causes, the locals of our frames."""
    forms = {key, quote(key, safe=""), base64.b64encode(key.encode()).decode()}
    return [
        place
        for place, text in _texts(error, set())
        if any(form and form in text for form in forms)
    ]


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
    yield from _locals(name, error.__traceback__)
    for part in getattr(error, "exceptions", ()):
        yield from _texts(part, seen)
    yield from _texts(error.__cause__, seen)
    yield from _texts(error.__context__, seen)


def _locals(name: str, place: TracebackType | None) -> Iterator[tuple[str, str]]:
    while place is not None:
        code = place.tb_frame.f_code
        if code.co_filename.startswith(_HOME):
            for variable, value in place.tb_frame.f_locals.items():
                yield f"{variable} in {code.co_qualname} ({name})", repr(value)
        place = place.tb_next
