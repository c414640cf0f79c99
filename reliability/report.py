"""What was found, as tables for people and as JSON for programs; failures are shown too."""

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import Any

from .promises import LOOPS, Figure
from .runner import Measured

_PACKAGES = ("meshrt", "anyio", "trio", "uvloop", "websockets")
_HEADER = ("promised", "bound", *LOOPS, "", "the best of others")
_WORDS = {True: "pass", False: "**FAIL**", None: "**not measured**"}


def verdict(measured: Measured, figure: Figure) -> bool | None:
    """Tell whether a promise was kept on every loop; ``None`` if that is not known."""
    values = [found[figure.key][0] for found in measured.found.values()]
    if any(value > figure.limit for value in values):
        return False
    return True if values and not measured.errors else None


def tables(all_measured: Iterable[Measured], *, amount: str) -> str:
    """Return all tables as Markdown that reads well in a terminal too."""
    all_measured = list(all_measured)
    parts = [] if amount != "quick" else ["A quick run: it shows that all of it runs."]
    for chapter, some in groupby(all_measured, lambda measured: measured.promise.chapter):
        parts.append(_table(chapter, list(some)))
    parts += [_failure(measured, loop) for measured in all_measured for loop in measured.errors]
    parts.append(summary(all_measured))
    parts.append(f"Measured with {_software()}.")
    return "\n\n".join(parts)


def _table(chapter: str, some: Sequence[Measured]) -> str:
    cells = [_HEADER, *(tuple(_cells(each, figure)) for each, figure in _lines(some))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return f"**{chapter}**\n\n" + "\n".join(lines)


def _lines(some: Iterable[Measured]) -> Iterator[tuple[Measured, Figure]]:
    for measured in some:
        for figure in measured.promise.figures:
            yield measured, figure


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _cells(measured: Measured, figure: Figure) -> Iterator[str]:
    yield figure.title
    yield figure.bound
    for loop in LOOPS:
        yield _cell(measured, figure, loop)
    yield _WORDS[verdict(measured, figure)]
    yield figure.peer


def _cell(measured: Measured, figure: Figure, loop: str) -> str:
    if loop in measured.errors:
        return "failed"
    if loop not in measured.found:
        return ""
    value, remark = measured.found[loop][figure.key]
    shown = (
        f"{value:.3f}" if figure.unit == "s" else f"{value:,.3g}" if value % 1 else f"{value:,.0f}"
    )
    text = " ".join(filter(None, (shown, figure.unit, remark)))
    return f"**{text}**" if value > figure.limit else text


def _failure(measured: Measured, loop: str) -> str:
    return f"{measured.promise.name} on {loop} failed: `{measured.errors[loop]}`"


def summary(all_measured: Sequence[Measured]) -> str:
    """Say how many promises are kept, and which are not."""
    judged = [
        (f"{each.promise.name}: {figure.title}", verdict(each, figure))
        for each, figure in _lines(all_measured)
    ]
    broken = [f"- {title}: {_WORDS[kept]}" for title, kept in judged if not kept]
    kept = f"{len(judged) - len(broken)} of {len(judged)} lines pass."
    return "\n".join([kept, "", *broken]) if broken else kept


def _software() -> str:
    found = [f"{name} {_version(name)}" for name in _PACKAGES]
    return f"{', '.join(found)}, {platform.python_implementation()} {platform.python_version()}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def as_json(all_measured: Sequence[Measured], *, amount: str) -> dict[str, Any]:
    """Return everything, by promise, figure and loop."""
    return {
        "amount": amount,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "promises": {
            each.promise.name: {
                "sizes": each.promise.sizes(amount),
                "errors": each.errors,
                "figures": [_figure_as_json(each, figure) for figure in each.promise.figures],
            }
            for each in all_measured
        },
    }


def _figure_as_json(measured: Measured, figure: Figure) -> dict[str, Any]:
    return {
        "figure": figure.key,
        "title": figure.title,
        "limit": figure.limit,
        "unit": figure.unit,
        "found": {loop: found[figure.key] for loop, found in measured.found.items()},
        "passed": verdict(measured, figure),
    }


def put_between_markers(page: str, text: str, *, name: str = "reliability") -> str:
    """Return a page with a text in place of what stands between the markers of that name.

    Raises:
        ValueError: The page has no such markers.
    """
    begin_here, end_here = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = page.partition(begin_here)
    _, end, after = rest.partition(end_here)
    if not (begin and end):
        raise ValueError(f"the page has no place for it: it needs {begin_here}, then {end_here}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"
