"""What was measured, as tables for people and as JSON for programs; failures are shown too."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from operator import ge, le
from typing import Any

from .axes import Bar, Metric
from .kinds import MESHAPI, OPENAI, Kind
from .runner import Measured

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
_PACKAGES = ("meshrt", "openai", "meshapi", "anyio", "trio", "uvloop", "websockets", "msgspec")
_HEADER = ("client", "median", "to openai's", "to meshapi's", "the bar")


@dataclass(frozen=True)
class Verdict:
    """A bar, and whether it was met; ``None`` where a figure is missing."""

    bar: Bar
    sentence: str
    passed: bool | None

    def __str__(self) -> str:
        word = {True: "pass", False: "**FAIL**", None: "**not measured**"}[self.passed]
        return f"{self.sentence}: {word}"


@dataclass(frozen=True)
class Row:
    """One client in the table of one metric."""

    kind: Kind
    metric: Metric
    values: list[float]
    median: float | None
    ratios: Mapping[str, float | None]
    verdicts: list[Verdict]
    errors: list[str]


def rows_of(measured: Sequence[Measured], metric: Metric) -> list[Row]:
    """Compare the clients in one metric."""
    medians = {each.kind: each.median(metric) for each in measured}
    return [
        Row(
            kind=each.kind,
            metric=metric,
            values=each.values(metric),
            median=medians[each.kind],
            ratios={
                peer.name: _ratio(medians[each.kind], medians.get(peer))
                for peer in (OPENAI, MESHAPI)
            },
            verdicts=[_judge(bar, each.kind, medians, metric) for bar in _bars(metric, each)],
            errors=each.errors,
        )
        for each in measured
    ]


def _bars(metric: Metric, measured: Measured) -> tuple[Bar, ...]:
    return metric.bars.get(measured.kind, ())


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs


def _judge(bar: Bar, kind: Kind, medians: Mapping[Kind, float | None], metric: Metric) -> Verdict:
    sign, holds = ("≥", ge) if metric.more_is_better else ("≤", le)
    ours = medians[kind]
    found = ours if bar.than is None else _ratio(ours, medians.get(bar.than))
    of_whom = f" {metric.unit}" if bar.than is None else f" of {bar.than.name}"
    passed = None if found is None else bool(holds(found, bar.limit))
    return Verdict(bar, f"{sign} {bar.limit:g}{of_whom}", passed)


def tables(axes: Iterable[Sequence[Measured]], *, quick: bool) -> str:
    """Return all tables as Markdown that reads well in a terminal too."""
    all_rows = [rows for measured in axes for rows in _tables_of(measured)]
    parts = [_table(rows) for rows in all_rows]
    if quick:
        parts.insert(0, "A quick run: little of everything, once. It shows that all of it runs.")
    parts.append(summary([row for rows in all_rows for row in rows]))
    parts.append(f"Measured with {_software()}.")
    return "\n\n".join(parts)


def _tables_of(measured: Sequence[Measured]) -> Iterator[list[Row]]:
    for metric in measured[0].axis.metrics:
        yield rows_of(measured, metric)


def _table(rows: list[Row]) -> str:
    metric = rows[0].metric
    cells = [_HEADER, *(tuple(_cells(row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    better = "more is better" if metric.more_is_better else "less is better"
    errors = [f"{row.kind.title} failed: `{row.errors[0]}`" for row in rows if row.errors]
    return "\n\n".join(
        [f"**{metric.title}** ({metric.unit}; {better})", "\n".join(lines), *errors]
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _cells(row: Row) -> Iterator[str]:
    yield row.kind.title
    yield "failed" if row.median is None else f"{row.median:,.{row.metric.digits}f}"
    for ratio in row.ratios.values():
        yield "" if ratio is None else f"{ratio:.3g}"
    yield "; ".join(map(str, row.verdicts))


def summary(rows: Sequence[Row]) -> str:
    """Say how many bars are met, and which are not."""
    judged = [(row, verdict) for row in rows for verdict in row.verdicts]
    failed = [
        f"- {row.metric.title}, {row.kind.title}: {verdict}"
        for row, verdict in judged
        if not verdict.passed
    ]
    met = f"{len(judged) - len(failed)} of {len(judged)} bars are met."
    return "\n".join([met, "", *failed]) if failed else met


def _software() -> str:
    found = [f"{name} {_version(name)}" for name in _PACKAGES]
    return f"{', '.join(found)}, {platform.python_implementation()} {platform.python_version()}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def as_json(axes: Iterable[Sequence[Measured]], *, quick: bool) -> dict[str, Any]:
    """Return everything, the values of each round included."""
    return {
        "quick": quick,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "axes": {
            measured[0].axis.name: [
                _row_as_json(row) for rows in _tables_of(measured) for row in rows
            ]
            for measured in axes
        },
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "client": row.kind.name,
        "metric": row.metric.key,
        "unit": row.metric.unit,
        "values": row.values,
        "median": row.median,
        "ratios": dict(row.ratios),
        "bars": [{"bar": v.sentence, "passed": v.passed} for v in row.verdicts],
        "errors": row.errors,
    }


def put_between_markers(page: str, text: str) -> str:
    """Return a page with a text in place of what stands between the markers.

    Raises:
        ValueError: The page has no such markers.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no place for it: it needs {BEGIN} and then {END}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"
