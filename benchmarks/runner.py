"""Measure in rounds, each client in a fresh process, all against one load server."""

import json
from collections.abc import Iterator, Sequence

from .axes import AXES
from .axis import Axis, Sizes
from .kinds import Kind
from .processes import MeasurementError, Server, figures_of, running_gateway, running_server
from .results import Measured


def measure(
    names: Sequence[str], *, quick: bool, rounds: int | None = None
) -> Iterator[list[Measured]]:
    """Measure one axis after the other, and yield what each gave.

    Args:
        names: The axes; none for all.
        quick: Whether to take little of everything, once.
        rounds: How often, in place of what the axis asks for.
    """
    with running_server() as server:
        for axis in AXES:
            sizes = axis.quick if quick else axis.full
            if sizes is not None and (not names or axis.chosen_by in names):
                times = rounds or (1 if quick else axis.rounds)
                yield _measure(server, axis, sizes, quick=quick, rounds=times)


def _measure(
    server: Server, axis: Axis, sizes: Sizes, *, quick: bool, rounds: int
) -> list[Measured]:
    kinds = [kind for kind in axis.kinds if not (quick and _is_extra(kind))]
    measured = [Measured(axis, kind) for kind in kinds]
    for number in range(rounds):
        first = number % len(measured)  # nobody always comes after the same one
        for each in measured[first:] + measured[:first]:
            try:
                each.rounds.append(_figures(server, axis, each.kind, sizes))
            except MeasurementError as error:
                each.errors.append(str(error))
    return measured


def _is_extra(kind: Kind) -> bool:
    return kind.library != "meshrt" and kind.loop == "uvloop"


def _figures(server: Server, axis: Axis, kind: Kind, sizes: Sizes) -> dict[str, float]:
    """Measure one thing once, in a fresh process.

    Raises:
        MeasurementError: The process failed, or took too long.
    """
    url = server.tls_url if axis.tls else server.url
    program, amount = f"benchmarks.{axis.program}", json.dumps(sizes)
    match axis.program:
        case "worker":
            return figures_of([program, kind.name, url, axis.job, amount], server.environment)
        case "stages":
            return figures_of([program, kind.name, url, amount], server.environment)
        case "startup":
            return figures_of([program, kind.name, url, *kind.imports], server.environment)
        case "gateway":
            with running_gateway(kind.loop) as (pid, port):
                return figures_of([program, str(pid), str(port), amount], server.environment)
        case _:
            return figures_of([program, kind.name, amount], server.environment)
