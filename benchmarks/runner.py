"""Measure in rounds, each client in a fresh process, all against one load server."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, cast

from .axes import AXES, Axis, Metric, Sizes
from .kinds import Kind

ROOT = Path(__file__).parents[1]
_TIMEOUT_S = 180
_LAST_WORDS = 300  # of what a worker wrote before it failed


class MeasurementError(Exception):
    """A worker failed; the message is its last word."""


@dataclass
class Measured:
    """What the rounds of one axis gave for one client."""

    axis: Axis
    kind: Kind
    rounds: list[Mapping[str, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def values(self, metric: Metric) -> list[float]:
        """Return one figure of all rounds."""
        return [figures[metric.key] for figures in self.rounds]

    def median(self, metric: Metric) -> float | None:
        """Return the median of one figure; ``None`` if any round failed."""
        return None if self.errors or not self.rounds else median(self.values(metric))


@dataclass(frozen=True)
class Server:
    """The load server that runs, and what a client needs to trust it."""

    url: str
    tls_url: str
    environment: Mapping[str, str]


@contextmanager
def running_server() -> Iterator[Server]:
    """Start the load server, with TLS and without, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, environment = _certify(Path(folder))
        arguments = [sys.executable, "-m", "benchmarks.server", "--certificate", str(certificate)]
        with subprocess.Popen(
            arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                ports = cast("IO[str]", process.stdout)
                plain, tls = (int(ports.readline()) for _ in range(2))
                yield Server(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}", environment)
            finally:
                process.kill()


def _certify(folder: Path) -> tuple[Path, Mapping[str, str]]:
    """Make a certificate, and say in the environment of the clients where its root is."""
    import certifi
    import trustme

    authority = trustme.CA()
    root, bundle, own = folder / "root.pem", folder / "bundle.pem", folder / "own.pem"
    authority.cert_pem.write_to_path(root)
    # meshapi reads all of certifi's roots for each session, and shall do so here.
    bundle.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(own)
    return own, {**os.environ, "SSL_CERT_FILE": str(root), "BENCHMARKS_BUNDLE": str(bundle)}


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
            if sizes is not None and (not names or axis.name in names):
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
                each.rounds.append(run_worker(server, axis, each.kind, sizes))
            except MeasurementError as error:
                each.errors.append(str(error))
    return measured


def _is_extra(kind: Kind) -> bool:
    return kind.library != "meshrt" and kind.loop == "uvloop"


def run_worker(server: Server, axis: Axis, kind: Kind, sizes: Sizes) -> dict[str, float]:
    """Measure one thing once, in a fresh process.

    Raises:
        MeasurementError: The process failed, or took too long.
    """
    url = server.tls_url if axis.tls else server.url
    if axis.job == "startup":
        words = ["benchmarks.startup", kind.name, url, *kind.imports]
    else:
        words = ["benchmarks.worker", kind.name, url, axis.job, json.dumps(sizes)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=dict(server.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"not done after {_TIMEOUT_S} s") from None
    if done.returncode:
        raise MeasurementError(_last_words(done.stderr))
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _last_words(stderr: str) -> str:
    """Return the last line that is not part of how a group of exceptions is drawn."""
    lines = [line.strip(" |+-") for line in stderr.splitlines()]
    return next((line for line in reversed(lines) if line), "no word of why")[:_LAST_WORDS]
