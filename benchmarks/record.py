"""A run as JSON, for programs and for tables that are made later."""

from collections.abc import Mapping
from typing import Any

from .axes import AXIS_OF_NAME
from .axis import Axis
from .comparison import Row, rows_of
from .kinds import KINDS, Kind
from .results import Measured, Run


def as_json(run: Run) -> dict[str, Any]:
    """Return everything, the values of each round included."""
    return {**run.about, "axes": {some[0].axis.name: _axis_as_json(some) for some in run.axes}}


def _axis_as_json(some: list[Measured]) -> dict[str, Any]:
    found: dict[str, Any] = {
        each.kind.name: {"errors": each.errors, "runs": each.runs, "figures": {}} for each in some
    }
    for metric in some[0].axis.metrics:
        for row in rows_of(some, metric):
            found[row.kind.name]["figures"][metric.key] = _row_as_json(row)
    return found


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "unit": row.metric.unit,
        "values": row.values,
        "median": row.median,
        "ratios": {peer.name: ratio for peer, ratio in row.ratios.items()},
        "bars": [{"bar": v.sentence, "passed": v.passed, "runs": v.in_runs} for v in row.verdicts],
    }


def from_json(found: Mapping[str, Any]) -> Run:
    """Return the run that :func:`as_json` was given.

    Raises:
        KeyError: It is of an axis or of a client that is no longer there.
    """
    axes = [
        [_measured(AXIS_OF_NAME[axis], KINDS[kind], each) for kind, each in some.items()]
        for axis, some in found["axes"].items()
    ]
    return Run({key: value for key, value in found.items() if key != "axes"}, axes)


def _measured(axis: Axis, kind: Kind, found: Mapping[str, Any]) -> Measured:
    columns = [found["figures"][metric.key]["values"] for metric in axis.metrics]
    keys = [metric.key for metric in axis.metrics]
    rounds: list[Mapping[str, float]] = [
        dict(zip(keys, values, strict=True)) for values in zip(*columns, strict=True)
    ]
    return Measured(axis, kind, rounds, found["errors"], found.get("runs", []))
