"""What was measured, as tables; failures are shown too."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .comparison import Row, rows_of
from .markdown import NONE_YET, table
from .results import Measured, Run

QUICK = "A quick run: little of everything, once. It shows that all of it runs."


def report(run: Run) -> str:
    """Return the tables of all axes but those of the page on scaling."""
    axes = [some for some in run.axes if some[0].axis.chosen_by != "scaling"]
    if not axes:
        return NONE_YET
    all_rows = [rows for measured in axes for rows in _rows_of_metrics(measured)]
    parts = [QUICK] if run.about["quick"] else []
    parts += map(_part, all_rows)
    parts += summary([row for rows in all_rows for row in rows])
    return "\n\n".join([*parts, software(run.about)])


def _rows_of_metrics(measured: Sequence[Measured]) -> Iterator[list[Row]]:
    for metric in measured[0].axis.metrics:
        yield rows_of(measured, metric)


def _part(rows: list[Row]) -> str:
    metric = rows[0].metric
    better = "more is better" if metric.more_is_better else "less is better"
    title = f"**{metric.title}** ({metric.unit}; {better})"
    errors = [f"{row.kind.title} failed: `{row.errors[0]}`" for row in rows if row.errors]
    return "\n\n".join([title, table(_lines(rows)), *errors])


def _lines(rows: list[Row]) -> list[list[str]]:
    has_bars = any(row.verdicts for row in rows)
    peers = [f"to {peer.library}" for peer in rows[0].ratios]
    head = ["library", "median", "lowest to highest", *peers, "the bar"]
    lines = [head, *(list(_cells(row)) for row in rows)]
    return lines if has_bars else [line[:-1] for line in lines]


def _cells(row: Row) -> Iterator[str]:
    yield row.kind.title
    yield "failed" if row.median is None else row.shown(row.median)
    yield "" if len(row.values) <= 1 else " to ".join(map(row.shown, row.spread))
    for ratio in row.ratios.values():
        yield "" if ratio is None else f"{ratio:.3g}"
    yield "; ".join(map(str, row.verdicts))


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """Say how many bars are met, and which are not; nothing where there is none."""
    judged = [(row, verdict) for row in rows for verdict in row.verdicts]
    if not judged:
        return
    runs = max(len(verdict.in_runs) for _, verdict in judged)
    always = f", in each of {runs} runs" if runs > 1 else ""
    failed = [
        f"- {row.metric.title}, {row.kind.title}: {verdict}"
        for row, verdict in judged
        if not verdict.passed_always
    ]
    yield f"{len(judged) - len(failed)} of {len(judged)} bars are met{always}."
    if failed:
        yield "\n".join(failed)


def software(about: Mapping[str, Any]) -> str:
    """Say with which versions a run was made."""
    found = [f"{name} {version}" for name, version in about["versions"].items()]
    return f"Measured with {', '.join(found)}, {about['python']}, on {about['cpus']} cores."
