"""What holds sessions for hours holds them, counts what goes wrong, and says so."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

# A package of the checkout, of which what is installed knows nothing.
sys.path.append(str(Path(__file__).parents[1]))

from support import Chaos, ordeal
from support._ordeal import Outcome, go_through

from endurance.__main__ import chosen, is_kept, parser
from endurance.catalogue import CHAOS, LONG, SOAK
from endurance.flakes import Count
from endurance.left import Baseline, Memory
from reliability.report import put_between_markers
from reliability.runner import Measured

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "reliability.md"
MIB = 2**20

linux = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc, which only Linux has")


def run(*words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "endurance", *words, "--quick", "--loop", "asyncio"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(Path(words[-1]).read_text(encoding="utf-8"))["promises"])


@linux
@pytest.mark.timeout(120)
def test_a_run_over_bad_networks_is_written_down(tmp_path: Path) -> None:
    found = run("chaos", "--sessions", "4", "--seed", "7", "--json", str(tmp_path / "figures"))

    assert found["chaos"]["sizes"] == {"sessions": 4, "seed": 7, "at_once": 20, "permille": 50}
    for figure in found["chaos"]["figures"]:
        assert figure["found"]["asyncio"][0] == 0
    assert figures_of(found, "wrong")[1].startswith("of 4 (")


@linux
@pytest.mark.timeout(120)
def test_a_long_session_is_written_down(tmp_path: Path) -> None:
    found = run("soak", "--long", "--json", str(tmp_path / "figures"))

    value, remark = figures_of(found, "order", "long")
    assert value == 0
    assert int(remark.removeprefix("of ")) > 10


def figures_of(found: dict[str, Any], key: str, name: str = "chaos") -> tuple[float, str]:
    (figure,) = [each for each in found[name]["figures"] if each["figure"] == key]
    return tuple(figure["found"]["asyncio"])


@pytest.mark.parametrize(
    ("words", "promises"),
    [(["soak"], SOAK), (["soak", "--long"], LONG), (["soak", "--quick"], SOAK)],
)
def test_the_command_line_chooses(words: list[str], promises: object) -> None:
    assert chosen(parser().parse_args(words)) == promises


@pytest.mark.parametrize("quick", [True, False])
def test_the_seed_and_the_number_go_to_the_check(quick: bool) -> None:
    words = ["chaos", "--seed", "9", "--sessions", "3", *["--quick"] * quick]
    (promise,) = chosen(parser().parse_args(words))

    sizes = promise.sizes("quick" if quick else "usual")
    assert (sizes["seed"], sizes["sessions"], sizes["at_once"]) == (9, 3, 20)


def test_a_promise_is_kept_where_all_its_figures_are_within_their_bounds() -> None:
    (promise,) = SOAK
    good = {"order": (0, ""), "session": (1.9, ""), "drift": (4.9, ""), "left": (0, "")}

    assert is_kept(Measured(promise, {"Trio": {**good}}))
    for key in good:
        assert not is_kept(Measured(promise, {"Trio": {**good, key: (5.1, "")}}))
    assert not is_kept(Measured(promise, {"Trio": good}, {"asyncio": "it broke"}))


def test_growth_counts_from_the_warm_up() -> None:
    memory = Memory()
    memory.samples = [10 * MIB, 40 * MIB, 39 * MIB, 42 * MIB]

    assert memory.growth(1) == 2 * MIB
    assert memory.drift(1) == (5.0, "(40.0 to 42.0 MiB)")
    memory.samples.append(30 * MIB)
    assert memory.drift(1) == (0.0, "(40.0 to 30.0 MiB)")


@linux
@pytest.mark.anyio
async def test_what_is_left_is_named() -> None:
    baseline = Baseline()
    assert baseline.left() == (0, "")
    with PAGE.open(encoding="utf-8"):
        assert baseline.left() == (1, "1 descriptors")
    assert baseline.left() == (0, "")


@pytest.mark.anyio
async def test_a_session_that_is_cut_ends_with_a_typed_error() -> None:
    cut = attrs.evolve(ordeal(1, scale=0), to_client=Chaos(end_at=900), to_server=Chaos())
    assert await go_through(cut) == Outcome("ConnectionLost")


@pytest.mark.anyio
async def test_a_session_in_which_something_is_lost_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = attrs.evolve(ordeal(1, scale=0), to_client=Chaos(), to_server=Chaos(), said=9)
    assert await go_through(whole) == Outcome("complete")

    monkeypatch.setattr("support._ordeal.texts_of", lambda _: ["0", "1", "3"])
    assert (await go_through(whole)).problem == "we heard [0, 1, 3]"
    monkeypatch.setattr("support._ordeal.texts_of", lambda _: ["0", "1"])
    assert (await go_through(whole)).problem == "we heard 2 of 9, and it ended well"


def test_every_promise_has_a_check() -> None:
    for promise in (*CHAOS, *SOAK, *LONG):
        module, _, function = promise.check.partition(":")
        source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert f"async def {function}(setting: Setting) -> Found:" in source


def test_the_page_has_a_place_for_each_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ("chaos", "soak", "long"):
        assert "new" in put_between_markers(text, "new", name=name)


REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_good" />
<testcase classname="tests.test_a" name="test_bad[trio]"><failure>no</failure></testcase>
<testcase classname="tests.test_b" name="test_broken"><error>no</error></testcase>
<testcase classname="tests.test_b" name="test_skipped"><skipped /></testcase>
</testsuite></testsuites>"""


def test_failures_are_counted_over_all_orders(tmp_path: Path) -> None:
    count, report = Count(), tmp_path / "report.xml"
    report.write_text(REPORT, encoding="utf-8")
    count.add(7, report, 1)
    count.add(8, report, 1)
    count.add(9, tmp_path / "none", 3)
    report.write_text(REPORT.replace("failure", "skipped").replace("error", "skipped"), "utf-8")
    count.add(10, report, 0)

    assert str(count).splitlines() == [
        "4 runs, 12 tests, 5 failures or warnings",
        "2 times: tests.test_a::test_bad[trio]",
        "2 times: tests.test_b::test_broken",
        "1 times: pytest ended with 3",
        "again: --runs 1 --seed 7",
        "again: --runs 1 --seed 8",
        "again: --runs 1 --seed 9",
    ]


def test_each_run_has_an_order_of_its_own() -> None:
    pytest.importorskip("random_order")
    words = ["--runs", "2", "--seed", "3", "tests/test_extras.py", "-v"]
    command = [sys.executable, "-m", "endurance.flakes", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    seeds = re.findall(r"--random-order-seed=(\d+)", done.stdout)
    assert [*dict.fromkeys(seeds)] == ["3", "4"]
    assert re.search(r"^2 runs, \d+ tests, 0 failures or warnings$", done.stdout, re.MULTILINE)
