"""The processes of a run: the servers, and the programs that measure."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

ROOT = Path(__file__).parents[1]
_TIMEOUT_S = 180
_LAST_WORDS = 300  # of what a worker wrote before it failed


class MeasurementError(Exception):
    """A program failed; the message is its last word."""


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
        with _running(["benchmarks.server", "--certificate", str(certificate)]) as process:
            ports = cast("IO[str]", process.stdout)
            plain, tls = (int(ports.readline()) for _ in range(2))
            yield Server(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}", environment)


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


@contextmanager
def running_gateway(loop: str) -> Iterator[tuple[int, int]]:
    """Start ``meshrt serve``, and end it; give its process and its port."""
    words = ["meshrt", "serve", "--port", "0", "--voice", "echo", "--max-connections", "4096"]
    with _running([*words, "--backend", loop.lower()]) as process:
        line = cast("IO[str]", process.stdout).readline()
        found = re.search(r":(\d+)$", line.strip())
        if found is None:
            raise MeasurementError(f"the gateway does not say where it is: {line!r}")
        yield process.pid, int(found[1])


@contextmanager
def _running(words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    arguments = [sys.executable, "-m", *words]
    with subprocess.Popen(arguments, cwd=ROOT, stdin=nothing, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def figures_of(words: Sequence[str], environment: Mapping[str, str]) -> dict[str, float]:
    """Run a program of this package that measures one thing once.

    Raises:
        MeasurementError: The process failed, or took too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=dict(environment),
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
