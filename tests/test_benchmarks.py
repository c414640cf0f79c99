"""The benchmarks measure what they say: each client gets all that the load server has for it.

How fast anything is, is not looked at here.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "performance.md"
MARKERS = ("<!-- benchmarks: begin -->", "<!-- benchmarks: end -->")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="memory is read from /proc, which only Linux has"
)

NEEDS = {
    "meshrt-trio": "trio",
    "meshrt-asyncio": "meshrt",
    "meshrt-uvloop": "uvloop",
    "meshrt-trio-websocket": "trio_websocket",
    "openai": "openai",
    "meshapi": "meshapi",
    "trio-websocket": "trio_websocket",
    "websockets": "websockets",
}
JOBS: dict[str, dict[str, int]] = {
    "text": {"count": 300},
    "audio": {"count": 60},
    "appends": {"count": 100},
    "echo": {"count": 20},
    "paced": {"sessions": 3, "count": 10},
    "memory": {"sessions": 3, "settle_ms": 1},
}


def command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def start(stack: ExitStack, words: list[str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def is_here(kind: str) -> bool:
    return find_spec(NEEDS[kind]) is not None


@pytest.fixture(scope="module")
def workers() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Let all clients run at once: that is bad for measuring, and good for a test."""
    jobs = [word for job, sizes in JOBS.items() for word in (job, json.dumps(sizes))]
    with ExitStack() as stack:
        server = start(stack, command("benchmarks.server"))
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        yield {
            kind: start(stack, command("benchmarks.worker", kind, url, *jobs))
            for kind in NEEDS
            if is_here(kind)
        }


@pytest.mark.parametrize("kind", NEEDS)
def test_each_client_gets_all_of_it(workers: dict[str, Any], kind: str) -> None:
    if kind not in workers:
        pytest.skip(f"what {kind} needs is not installed")
    out, err = workers[kind].communicate(timeout=50)

    assert workers[kind].returncode == 0, err
    found = dict(zip(JOBS, map(json.loads, out.splitlines()), strict=True))
    assert min(found[job]["per_second"] for job in ("text", "audio", "appends")) > 0
    assert 0 < found["echo"]["p50"] <= found["echo"]["p99"]
    assert found["paced"]["cpu"] > 0
    assert (found["paced"]["delivered"], found["paced"]["disordered"]) == (1, 0)
    assert found["memory"].keys() == {"kib"}


def test_a_run_is_written_down(tmp_path: Path) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    page.write_text(f"Before.\n{MARKERS[0]}\nold\n{MARKERS[1]}\nAfter.\n", encoding="utf-8")
    words = ["--quick", "--only", "startup", "--json", str(figures), "--write", str(page)]
    done = subprocess.run(
        command("benchmarks", *words), cwd=ROOT, capture_output=True, text=True, check=False
    )

    rows = json.loads(figures.read_text(encoding="utf-8"))["axes"]["startup"]
    missing = {row["client"] for row in rows if row["median"] is None}
    assert missing == {kind for kind in NEEDS if not is_here(kind)}, done.stderr
    assert done.returncode == bool(missing)
    written = page.read_text(encoding="utf-8")
    assert written.startswith("Before.\n") and written.endswith("\nAfter.\n")  # noqa: PT018
    assert "old" not in written
    assert done.stdout.strip() in written
    assert "bars are met" in written


def test_the_page_has_a_place_for_the_figures() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert [text.count(marker) for marker in MARKERS] == [1, 1]
