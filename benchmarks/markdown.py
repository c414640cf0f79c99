"""Tables in Markdown that read well in a terminal too, and their place in a page."""

from collections.abc import Sequence

NONE_YET = (
    "None yet: `nox -s bench -- --json FILE --write PAGE --plot FILE` measures, and writes here."
)


def table(cells: Sequence[Sequence[str]]) -> str:
    """Return a table, the first line of which is its head."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def has_place(page: str, name: str) -> bool:
    """Tell whether a page has the markers of a name."""
    return all(marker in page for marker in _markers(name))


def put_between_markers(page: str, name: str, text: str) -> str:
    """Return a page with a text in place of what stands between its markers of that name."""
    begin, end = _markers(name)
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
