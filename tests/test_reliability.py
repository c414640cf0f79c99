"""What measures the promises measures what it says, and shows what it finds.

How fast anything is, is not looked at here.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# A package of the checkout, of which what is installed knows nothing.
sys.path.append(str(Path(__file__).parents[1]))

from reliability import report, runner
from reliability.catalogue import PROMISES
from reliability.promises import LOOPS as ALL_LOOPS, Figure, Promise

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "reliability.md"
MARKERS = ("<!-- reliability: begin -->", "<!-- reliability: end -->")
NEEDS = {"Trio": "trio", "uvloop": "uvloop"}
LOOPS = [loop for loop in ("Trio", "asyncio", "uvloop") if find_spec(NEEDS.get(loop, "asyncio"))]

linux = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc, which only Linux has")


@linux
def test_a_run_is_written_down(tmp_path: Path) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    page.write_text(f"Before.\n{MARKERS[0]}\nold\n{MARKERS[1]}\nAfter.\n", encoding="utf-8")
    words = ["--quick", "--only", "exceptions", "--only", "split", "--loop", LOOPS[0]]
    done = subprocess.run(
        [sys.executable, "-m", "reliability", *words, "--json", figures, "--write", page],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text(encoding="utf-8"))["promises"]
    assert [*found] == ["split", "exceptions"]
    for promise in found.values():
        for figure in promise["figures"]:
            value, remark = figure["found"][LOOPS[0]]
            assert (value, figure["passed"]) == (0, True), figure
            assert int(remark.removeprefix("of ")) >= 6
    written = page.read_text(encoding="utf-8")
    assert written.startswith("Before.\n") and written.endswith("\nAfter.\n")  # noqa: PT018
    assert "old" not in written
    assert done.stdout.strip() in written


def measured(value: float, *, remark: str = "", **errors: str) -> runner.Measured:
    figure = Figure("key", "It holds", 0.2, "s", "theirs: 3 s")
    promise = Promise("name", "Chapter", "m:f", (figure,), usual={}, quick={}, full={})
    done = {loop: {"key": (value, remark)} for loop in ALL_LOOPS if loop not in errors}
    return runner.Measured(promise, done, errors)


def test_what_holds_passes() -> None:
    text = report.tables([measured(0.1)], amount="usual")

    assert "| It holds | ≤ 0.2 s | 0.100 s | 0.100 s | 0.100 s | pass | theirs: 3 s " in text
    assert "1 of 1 lines pass." in text


def test_what_does_not_hold_is_shown() -> None:
    text = report.tables([measured(0.3, remark="of 5: that")], amount="usual")

    assert "**0.300 s of 5: that**" in text
    assert "**FAIL**" in text
    assert "0 of 1 lines pass.\n\n- name: It holds: **FAIL**" in text


def test_what_came_to_no_result_does_not_pass() -> None:
    text = report.tables([measured(0.1, asyncio="it broke")], amount="usual")

    assert "| 0.100 s | failed  | 0.100 s | **not measured** |" in text
    assert "name on asyncio failed: `it broke`" in text


@linux
def test_a_check_that_breaks_says_so() -> None:
    figure = Figure("key", "It holds")
    promise = Promise("x", "C", "wire:nothing", (figure,), usual={}, quick={}, full={})
    with pytest.raises(runner.WorkerError, match="nothing"):
        runner._work(promise, LOOPS[0], "usual")


def test_every_promise_has_a_check_and_a_name_of_its_own() -> None:
    names = [promise.name for promise in PROMISES]
    assert len(names) == len(set(names))
    for promise in PROMISES:
        module, _, function = promise.check.partition(":")
        source = (ROOT / "reliability" / f"{module}.py").read_text(encoding="utf-8")
        assert f"async def {function}(setting: Setting) -> Found:" in source


def test_the_page_has_a_place_for_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert [text.count(marker) for marker in MARKERS] == [1, 1]
