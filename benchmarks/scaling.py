"""The page on scaling: a line for each size, a column for each loop."""

from collections.abc import Iterator, Sequence

from .axis import Axis, Metric
from .kinds import MESHRT, Kind
from .markdown import NONE_YET, table
from .report import QUICK, software
from .results import Measured, Run
from .scaling_axes import SESSION_AXES, SIZE_AXES
from .wire import PERIOD_S

_LOOPS = [kind.loop for kind in MESHRT]
_OF_A_CORE = "sessions-100"  # enough that what is done once does not count, and no crowd


def scaling(run: Run) -> str:
    """Return the tables of how cost grows."""
    axes = run.of_group("scaling")
    if not axes:
        return NONE_YET
    parts = [QUICK] if run.about["quick"] else []
    measured = {some[0].axis.name for some in axes}
    parts += _tables(run, "sessions", [axis for axis in SESSION_AXES if axis.name in measured])
    parts += _tables(run, "size", [axis for axis in SIZE_AXES if axis.name in measured])
    parts += [_sessions_of_a_core(run), *_failures(axes)]
    return "\n\n".join([*parts, software(run.about)])


def _tables(run: Run, head: str, axes: Sequence[Axis]) -> Iterator[str]:
    for metric in axes[0].metrics if axes else ():
        lines = [
            [_size(axis), *(_shown(run, axis, metric, kind) for kind in MESHRT)] for axis in axes
        ]
        yield f"**{metric.title}** ({metric.unit})"
        yield table([[head, *_LOOPS], *lines])


def _size(axis: Axis) -> str:
    return f"{axis.full['kib']} KiB" if "kib" in axis.full else f"{axis.full['sessions']:,}"


def _shown(run: Run, axis: Axis, metric: Metric, kind: Kind) -> str:
    found = run.median_of(axis.name, metric.key, kind)
    return "failed" if found is None else f"{found:,.{metric.digits}f}"


def sessions_of_a_core(run: Run, kind: Kind) -> float | None:
    """Return how many sessions of 50 deltas a second would take all of one core's time."""
    cpu = run.median_of(_OF_A_CORE, "cpu", kind)
    return None if cpu is None else PERIOD_S / (cpu / 1e6)


def _sessions_of_a_core(run: Run) -> str:
    found = [sessions_of_a_core(run, kind) for kind in MESHRT]
    cells = ["not measured" if each is None else f"{each:,.0f}" for each in found]
    return "**Sessions that one core holds**\n\n" + table([_LOOPS, cells])


def _failures(axes: Sequence[Sequence[Measured]]) -> Iterator[str]:
    for each in (each for some in axes for each in some):
        if each.errors:
            yield f"{each.axis.name} of {each.kind.title} failed: `{each.errors[0]}`"
