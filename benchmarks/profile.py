"""Where a client spends its time: ``python -m benchmarks.profile KIND JOB``.

The job is run in this process, under cProfile, against the load server in its own. What the
profile itself costs falls on functions that are called often, so this says where to look and not
how long it takes. Time in ``poll`` is time in which there was nothing to do.
"""

import argparse
import cProfile
import pstats
from functools import partial
from pathlib import Path
from typing import Any, cast

from . import loops
from .client_axes import CLIENT_AXES
from .clients import opener
from .kinds import CLIENTS, KINDS, Kind
from .markdown import table
from .processes import running_server
from .worker import JOBS

_AXES = {axis.name: axis for axis in CLIENT_AXES if "count" in axis.full and axis.quick}
_FUNCTIONS = 25
_WARM_COUNT = 20  # enough to import what is imported when it is needed

Function = tuple[str, int, str]


def events_of(sizes: dict[str, int]) -> int:
    """Return how many events a job of these sizes makes, those to warm up included."""
    count = sizes["count"]
    return count * sizes["sessions"] if "sessions" in sizes else count + count // 10


def profile(kind: Kind, job: str, url: str, sizes: dict[str, int]) -> pstats.Stats:
    """Run a job, first a little of it and then under the profiler."""
    connect = opener(kind, url)
    loops.run(kind.loop, partial(JOBS[job], connect, **{**sizes, "count": _WARM_COUNT}))
    profiler = cProfile.Profile()
    profiler.runcall(loops.run, kind.loop, partial(JOBS[job], connect, **sizes))
    return pstats.Stats(profiler)


def report(stats: pstats.Stats, events: int) -> str:
    """Return the functions that took most, each without those that it called."""
    found = cast("Any", stats).stats.items()
    most = sorted(found, key=lambda pair: pair[1][2], reverse=True)[:_FUNCTIONS]
    lines = [
        [f"{1e6 * own / events:.2f}", f"{calls / events:.2f}", _named(function)]
        for function, (_, calls, own, _, _) in most
    ]
    return table([["µs per event", "calls per event", "function"], *lines])


def _named(function: Function) -> str:
    file, line, name = function
    return name if file == "~" else f"{name} ({'/'.join(Path(file).parts[-2:])}:{line})"


def main() -> None:
    """Read the command line, run, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("kind", choices=[kind.name for kind in CLIENTS])
    parser.add_argument("job", choices=_AXES)
    parser.add_argument("--count", type=int, help="how many events, of each session")
    options = parser.parse_args()
    kind, sizes = KINDS[options.kind], dict(_AXES[options.job].full)
    sizes["count"] = options.count or sizes["count"]
    with running_server() as server:
        stats = profile(kind, _AXES[options.job].job, server.url, sizes)
    print(f"{kind.title}, {options.job}: {events_of(sizes):,} events\n")
    print(report(stats, events_of(sizes)))


if __name__ == "__main__":
    main()
