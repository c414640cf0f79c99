"""Autobahn's ``wstest``: its server asks our client, its client asks our server."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

ROOT = Path(__file__).parents[1]
USUAL = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
LARGE = ("9.*",)

_PYTHON = (sys.executable, "-W", "error", "-m")
_PATIENCE_S = 900.0
_BEGINNING_S = 30.0


class SuiteError(Exception):
    """A run came to no result; the message says why."""


@dataclass(frozen=True)
class Case:
    """What the suite says of one case; its words."""

    behavior: str
    close: str


@dataclass(frozen=True)
class Run:
    """What came of all cases, by their number, and the memory it took."""

    cases: Mapping[str, Case]
    peak_bytes: int


def ask_client(wstest: Path, loop: str, kind: str, cases: Sequence[str]) -> Run:
    """Let the suite's server try a client of ours.

    Args:
        wstest: The suite's program.
        loop: The client's event loop.
        kind: The client's transport: ``"meshrt"`` or ``"trio-websocket"``.
        cases: Which, by number, with a star for all of a chapter.

    Raises:
        SuiteError: It came to no result.
    """
    port = _free_port()
    url = f"127.0.0.1:{port}"
    with TemporaryDirectory() as folder:
        spec = _spec(Path(folder), cases, url=f"ws://{url}")
        command = (str(wstest), "--mode", "fuzzingserver", "--spec", spec, "--webport", "0")
        with _process(command) as process:
            _wait_for(port, process)
            said = _work("conformance.client", loop, kind, f"http://{url}", "meshrt")
        count, peak = map(int, said.split())
        run = Run(_results(Path(folder)), peak)
    if len(run.cases) != count:
        raise SuiteError(f"the suite reports {len(run.cases)} of {count} cases")
    return run


def ask_server(wstest: Path, loop: str, cases: Sequence[str]) -> Run:
    """Let the suite's client try our server; the arguments are those of :func:`ask_client`.

    Raises:
        SuiteError: It came to no result.
    """
    with (
        TemporaryDirectory() as folder,
        _process((*_PYTHON, "conformance.server", loop), out=subprocess.PIPE) as ours,
    ):
        reading, writing = cast("IO[str]", ours.stdout), cast("IO[str]", ours.stdin)
        url = f"ws://127.0.0.1:{reading.readline().strip()}/v1/realtime"
        spec = _spec(Path(folder), cases, servers=[{"agent": "meshrt", "url": url}])
        _do((str(wstest), "--mode", "fuzzingclient", "--spec", spec))
        writing.close()
        said = reading.readline()
        if ours.wait(_PATIENCE_S) or not said:
            raise SuiteError(f"our server ended with {ours.returncode}")
        return Run(_results(Path(folder)), int(said))


def _spec(folder: Path, cases: Sequence[str], **more: Any) -> str:
    path = folder / "spec.json"
    spec = {"outdir": str(folder), "cases": cases, "exclude-cases": [], **more}
    path.write_text(json.dumps({**spec, "exclude-agent-cases": {}}), "utf-8")
    return str(path)


def _results(folder: Path) -> dict[str, Case]:
    index = folder / "index.json"
    if not index.exists():
        raise SuiteError("the suite has written no report")
    cases = json.loads(index.read_text("utf-8"))["meshrt"]
    return {
        number: Case(case["behavior"], case["behaviorClose"]) for number, case in cases.items()
    }


def _free_port() -> int:
    # The suite takes no listening socket and tells no port.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + _BEGINNING_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise SuiteError("the suite's server does not begin to listen")


def _work(*words: str) -> str:
    """Run a module of ours to its end and return the last line that it prints."""
    return _do((*_PYTHON, *words)).strip().rpartition("\n")[2]


def _do(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SuiteError(f"not done after {_PATIENCE_S:g} s") from None
    if done.returncode:
        raise SuiteError(done.stderr.strip().rpartition("\n")[2])
    return done.stdout


@contextmanager
def _process(
    command: Sequence[str], *, out: int = subprocess.DEVNULL
) -> Iterator["subprocess.Popen[str]"]:
    """Run a program for as long as the block lasts."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
