"""What a run has found."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from statistics import median
from typing import Any

from .axis import Axis, Metric
from .kinds import Kind

_PACKAGES = (
    *("meshrt", "openai", "meshapi", "anyio", "trio", "uvloop", "websockets", "msgspec"),
    *("pybase64", "trio-websocket", "wsproto"),
)


@dataclass
class Measured:
    """What the rounds of one axis gave for one client.

    Attributes:
        axis: The axis.
        kind: The client.
        rounds: The figures of each round.
        errors: What went wrong.
        runs: How many rounds and errors each run had, where several were put together.
    """

    axis: Axis
    kind: Kind
    rounds: list[Mapping[str, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    runs: list[list[int]] = field(default_factory=list)

    @property
    def of_each_run(self) -> "list[Measured]":
        """What each run gave by itself."""
        rounds, errors = iter(self.rounds), iter(self.errors)
        return [
            Measured(self.axis, self.kind, [*islice(rounds, good)], [*islice(errors, bad)])
            for good, bad in self.sizes
        ]

    @property
    def sizes(self) -> list[list[int]]:
        """How many rounds and errors each run had."""
        return self.runs or [[len(self.rounds), len(self.errors)]]

    def values(self, metric: Metric) -> list[float]:
        """Return one figure of all rounds."""
        return [figures[metric.key] for figures in self.rounds]

    def median(self, metric: Metric) -> float | None:
        """Return the median of one figure; ``None`` if any round failed."""
        return None if self.errors or not self.rounds else median(self.values(metric))


@dataclass
class Run:
    """All that was measured at one time, and with what."""

    about: Mapping[str, Any] = field(default_factory=dict)
    axes: list[list[Measured]] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether any measurement has."""
        return any(each.errors for measured in self.axes for each in measured)

    @property
    def measured(self) -> list[tuple[str, Kind]]:
        """What was measured, and of whom, in order."""
        return [(each.axis.name, each.kind) for some in self.axes for each in some]

    def of_group(self, name: str) -> list[list[Measured]]:
        """Return the axes that are chosen by a name."""
        return [some for some in self.axes if some[0].axis.chosen_by == name]

    def median_of(self, axis: str, metric: str, kind: Kind) -> float | None:
        """Return one median; ``None`` if it was not measured."""
        for each in (each for some in self.axes for each in some):
            if (each.axis.name, each.kind) == (axis, kind):
                found = next(some for some in each.axis.metrics if some.key == metric)
                return each.median(found)
        return None


def joined(runs: Sequence[Run]) -> Run:
    """Put the rounds of several runs together.

    Raises:
        ValueError: They were not made alike.
    """
    if any(run.about != runs[0].about for run in runs):
        raise ValueError("these runs were not made with the same versions on the same machine")
    if any(run.measured != runs[0].measured for run in runs):
        raise ValueError("these runs did not measure the same things in the same order")
    axes = [
        [_joined(each) for each in zip(*measured, strict=True)]
        for measured in zip(*(run.axes for run in runs), strict=True)
    ]
    return Run(runs[0].about, axes)


def _joined(parts: Sequence[Measured]) -> Measured:
    return Measured(
        parts[0].axis,
        parts[0].kind,
        [figures for part in parts for figures in part.rounds],
        [error for part in parts for error in part.errors],
        [sizes for part in parts for sizes in part.sizes],
    )


def about(*, quick: bool) -> dict[str, Any]:
    """Return how and with what is measured."""
    return {
        "quick": quick,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
