"""The clients beside each other in one metric: ratios to the peers, and the bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import ge, le

from .axis import Bar, Metric
from .kinds import Kind
from .results import Measured


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
    medians = {each.kind: each.median(metric) for each in measured}
    return [
        Row(
            kind=each.kind,
            metric=metric,
            values=each.values(metric),
            median=medians[each.kind],
            ratios={
                peer: _ratio(medians[each.kind], medians.get(peer)) for peer in each.axis.peers
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
    of_whom = f" {metric.unit}" if bar.than is None else f" of {bar.than.library}"
    passed = None if found is None else bool(holds(found, bar.limit))
    return Verdict(bar, f"{sign} {bar.limit:g}{of_whom}", passed)
