"""The clients beside each other in one metric: ratios to the peers, and the bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import ge, le

from .axis import Bar, Metric
from .kinds import Kind
from .results import Measured


@dataclass(frozen=True)
class Verdict:
    """A bar, and whether it was met; ``None`` where a figure is missing.

    Attributes:
        bar: The bar.
        sentence: What it asks for.
        passed: Whether it was met by all rounds together.
        in_runs: Whether it was by the rounds of each run.
    """

    bar: Bar
    sentence: str
    passed: bool | None
    in_runs: Sequence[bool | None]

    @property
    def passed_always(self) -> bool:
        """Whether it was met by each run, and by all of them together."""
        return bool(self.passed) and all(self.in_runs)

    def __str__(self) -> str:
        word = {True: "pass", False: "**FAIL**", None: "**not measured**"}[self.passed]
        if len(self.in_runs) > 1:
            word += f" ({sum(map(bool, self.in_runs))} of {len(self.in_runs)} runs)"
        return f"{self.sentence}: {word}"


@dataclass(frozen=True)
class Row:
    """One client in the table of one metric."""

    kind: Kind
    metric: Metric
    values: list[float]
    median: float | None
    ratios: Mapping[Kind, float | None]
    verdicts: list[Verdict]
    errors: list[str]

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest of the rounds."""
        return min(self.values), max(self.values)

    def shown(self, value: float) -> str:
        """Return a figure as a table shows it."""
        return f"{value:,.{self.metric.digits}f}"


def rows_of(measured: Sequence[Measured], metric: Metric) -> list[Row]:
    """Compare the clients in one metric."""
    medians = _medians_of(measured, metric)
    runs = [
        _medians_of(run, metric)
        for run in zip(*(each.of_each_run for each in measured), strict=True)
    ]
    return [
        Row(
            kind=each.kind,
            metric=metric,
            values=each.values(metric),
            median=medians[each.kind],
            ratios={
                peer: _ratio(medians[each.kind], medians.get(peer)) for peer in each.axis.peers
            },
            verdicts=[
                Verdict(
                    bar,
                    _sentence(bar, metric),
                    _is_met(bar, each.kind, medians, metric),
                    [_is_met(bar, each.kind, run, metric) for run in runs],
                )
                for bar in _bars(metric, each)
            ],
            errors=each.errors,
        )
        for each in measured
    ]


def _medians_of(measured: Sequence[Measured], metric: Metric) -> Mapping[Kind, float | None]:
    return {each.kind: each.median(metric) for each in measured}


def _bars(metric: Metric, measured: Measured) -> tuple[Bar, ...]:
    return metric.bars.get(measured.kind, ())


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs


def _sentence(bar: Bar, metric: Metric) -> str:
    sign = "≥" if metric.more_is_better else "≤"
    of_whom = f" {metric.unit}" if bar.than is None else f" of {bar.than.library}"
    return f"{sign} {bar.limit:g}{of_whom}"


def _is_met(
    bar: Bar, kind: Kind, medians: Mapping[Kind, float | None], metric: Metric
) -> bool | None:
    ours = medians[kind]
    found = ours if bar.than is None else _ratio(ours, medians.get(bar.than))
    holds = ge if metric.more_is_better else le
    return None if found is None else bool(holds(found, bar.limit))
