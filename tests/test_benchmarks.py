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
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "explanation"
SVG = "{http://www.w3.org/2000/svg}"
PAGES = {"benchmarks": "performance.md", "scaling": "scaling.md"}

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
CODECS = {
    "meshrt-events": ("codecs", "meshrt"),
    "openai-events": ("codecs", "openai"),
    "meshapi-events": ("codecs", "meshapi"),
    "msgspec-events": ("codecs", "trio_websocket"),
    "meshrt-frames": ("frames", "meshrt"),
    "websockets-frames": ("frames", "websockets"),
    "wsproto-frames": ("frames", "wsproto"),
}
GATEWAYS = {"gateway-trio": "trio", "gateway-asyncio": "h11"}
JOBS: tuple[tuple[str, dict[str, int]], ...] = (
    ("text", {"count": 300}),
    ("audio", {"count": 60}),
    ("audio", {"count": 10, "kib": 64}),
    ("appends", {"count": 100}),
    ("echo", {"count": 20}),
    ("paced", {"sessions": 3, "count": 10}),
    ("memory", {"sessions": 3, "settle_ms": 1}),
)


def command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = command(module, *arguments)
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def start(stack: ExitStack, words: list[str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def is_here(module: str) -> bool:
    return find_spec(module) is not None


@pytest.fixture(scope="module")
def workers() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Let all clients run at once: that is bad for measuring, and good for a test."""
    jobs = [word for job, sizes in JOBS for word in (job, json.dumps(sizes))]
    with ExitStack() as stack:
        server = start(stack, command("benchmarks.server"))
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        yield {
            kind: start(stack, command("benchmarks.worker", kind, url, *jobs))
            for kind, module in NEEDS.items()
            if is_here(module)
        }


@pytest.mark.parametrize("kind", NEEDS)
def test_each_client_gets_all_of_it(workers: dict[str, Any], kind: str) -> None:
    if kind not in workers:
        pytest.skip(f"what {kind} needs is not installed")
    out, err = workers[kind].communicate(timeout=50)

    assert workers[kind].returncode == 0, err
    text, audio, large, appends, echo, paced, memory = map(json.loads, out.splitlines())
    assert min(flood["per_second"] for flood in (text, audio, large, appends)) > 0
    assert large["mib"] == pytest.approx(large["per_second"] * 64 / 1024)
    assert 0 < echo["p50"] <= echo["p99"]
    assert paced["cpu"] > 0
    assert (paced["delivered"], paced["disordered"]) == (1, 0)
    assert memory.keys() == {"kib"}


@pytest.mark.parametrize("kind", CODECS)
def test_each_codec_gives_what_was_put_into_it(kind: str) -> None:
    program, module = CODECS[kind]
    if not is_here(module):
        pytest.skip(f"what {kind} needs is not installed")
    done = run(f"benchmarks.{program}", kind, '{"count": 200}')

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == {"text", "audio", "append"} | (
        {"texts"} if program == "frames" else set()
    )
    assert min(found.values()) > 0


def test_a_run_measures_each_in_a_process_of_its_own(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    kinds = {
        "startup": NEEDS.keys() - {"meshrt-trio-websocket"},
        "frames": {kind for kind, (program, _) in CODECS.items() if program == "frames"},
        "gateway": GATEWAYS.keys(),
        "stages": {"meshrt-trio", "meshrt-asyncio", "meshrt-uvloop"},
    }
    only = [word for name in kinds for word in ("--only", name)]
    done = run("benchmarks", "--quick", *only, "--json", str(figures))

    axes = json.loads(figures.read_text(encoding="utf-8"))["axes"]
    assert {name: each.keys() for name, each in axes.items()} == kinds
    found = {kind: each for some in axes.values() for kind, each in some.items()}
    needs = NEEDS | GATEWAYS | {kind: module for kind, (_, module) in CODECS.items()}
    missing = {kind for kind in found if not is_here(needs[kind])}
    assert {kind for kind, each in found.items() if each["errors"]} == missing, done.stderr
    assert done.returncode == bool(missing)
    assert found["meshrt-frames"]["figures"]["texts"]["median"] > 0
    assert "bars are met" in done.stdout


def measured(**values: list[float]) -> dict[str, Any]:
    return {"errors": [], "figures": {key: {"values": each} for key, each in values.items()}}


def write_figures(folder: Path) -> Path:
    failed = {"errors": ["it fell over"], "figures": {"per_second": {"values": []}}}
    paced = measured(cpu=[90.0, 100.0, 130.0], delivered=[1.0, 1.0, 1.0])
    text = {
        "meshrt-trio": measured(per_second=[900.0, 1000.0, 1100.0]),
        "meshrt-uvloop": measured(per_second=[3000.0]),
        "openai": measured(per_second=[100.0]),
        "meshapi": measured(per_second=[500.0]),
        "websockets": failed,
    }
    whole = {
        "quick": False,
        "python": "CPython 3.11.0",
        "cpus": 2,
        "versions": {"meshrt": "0.1.0"},
        "axes": {"text": text, "sessions-100": {"meshrt-trio": paced}},
    }
    path = folder / "figures.json"
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


def cells_of(text: str, first: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_table_shows_median_spread_ratios_and_bars(tmp_path: Path) -> None:
    done = run("benchmarks", "--from", str(write_figures(tmp_path)))

    assert done.returncode == 1  # a client failed
    assert cells_of(done.stdout, "meshrt on Trio") == [
        *("meshrt on Trio", "1,000", "900 to 1,100", "10", "2"),
        "≥ 25 of openai: **FAIL**; ≥ 4 of meshapi: **FAIL**",
    ]
    assert cells_of(done.stdout, "meshrt on uvloop")[-1].count(": pass") == 2
    assert "websockets on asyncio failed: `it fell over`" in done.stdout
    assert "2 of 4 bars are met." in done.stdout
    assert "Measured with meshrt 0.1.0, CPython 3.11.0, on 2 cores." in done.stdout


def test_of_several_runs_all_rounds_count_and_each_run_has_its_verdict(tmp_path: Path) -> None:
    first = write_figures(tmp_path)
    second = tmp_path / "second.json"
    found = json.loads(first.read_text(encoding="utf-8"))
    better = found["axes"]["text"]["meshrt-trio"]["figures"]["per_second"]
    better["values"] = [2400.0, 2500.0, 2600.0]
    second.write_text(json.dumps(found), encoding="utf-8")
    both = ["--from", str(first), "--from", str(second)]
    done = run("benchmarks", *both, "--json", str(tmp_path / "both.json"))

    assert cells_of(done.stdout, "meshrt on Trio") == [
        *("meshrt on Trio", "1,750", "900 to 2,600", "17.5", "3.5"),
        "≥ 25 of openai: **FAIL** (1 of 2 runs); ≥ 4 of meshapi: **FAIL** (1 of 2 runs)",
    ]
    assert "2 of 4 bars are met, in each of 2 runs." in done.stdout
    again = run("benchmarks", "--from", str(tmp_path / "both.json"))
    assert again.stdout == done.stdout


def test_a_bar_that_one_run_misses_is_named_though_all_rounds_together_meet_it(
    tmp_path: Path,
) -> None:
    first = write_figures(tmp_path)
    second = tmp_path / "second.json"
    found = json.loads(first.read_text(encoding="utf-8"))
    found["axes"]["text"]["meshrt-trio"]["figures"]["per_second"]["values"] = [9000.0] * 7
    second.write_text(json.dumps(found), encoding="utf-8")
    done = run("benchmarks", "--from", str(first), "--from", str(second))

    assert "≥ 25 of openai: pass (1 of 2 runs)" in cells_of(done.stdout, "meshrt on Trio")[-1]
    listed = [line for line in done.stdout.splitlines() if line.startswith("- ")]
    assert "- Text deltas received, flood, meshrt on Trio: ≥ 25 of openai: pass (1 of 2 runs)" in (
        listed
    )


def test_a_round_that_failed_voids_the_verdict_of_its_own_run_alone(tmp_path: Path) -> None:
    first, second = write_figures(tmp_path), tmp_path / "second.json"
    found = json.loads(first.read_text(encoding="utf-8"))
    text = found["axes"]["text"]
    text["meshrt-trio"]["figures"]["per_second"]["values"] = [9000.0]
    first.write_text(json.dumps(found), encoding="utf-8")
    text["openai"]["errors"] = ["it was not there"]
    second.write_text(json.dumps(found), encoding="utf-8")
    both = ["--from", str(first), "--from", str(second), "--json", str(tmp_path / "both.json")]
    done = run("benchmarks", *both)

    assert cells_of(done.stdout, "meshrt on Trio")[-1] == (
        "≥ 25 of openai: **not measured** (1 of 2 runs); ≥ 4 of meshapi: pass (2 of 2 runs)"
    )
    again = run("benchmarks", "--from", str(tmp_path / "both.json"))
    assert again.stdout == done.stdout


def test_the_same_run_does_not_count_twice(tmp_path: Path) -> None:
    once = ["--from", str(write_figures(tmp_path))]
    done = run("benchmarks", *once, *once)

    assert done.returncode == 1
    assert "the same file twice" in done.stderr


@pytest.mark.parametrize(("key", "why"), [("cpus", "same machine"), ("axes", "same things")])
def test_runs_that_were_not_made_alike_are_not_put_together(
    tmp_path: Path, key: str, why: str
) -> None:
    first = write_figures(tmp_path)
    other = tmp_path / "other.json"
    found = json.loads(first.read_text(encoding="utf-8"))
    found[key] = {} if key == "axes" else 64
    other.write_text(json.dumps(found), encoding="utf-8")
    done = run("benchmarks", "--from", str(first), "--from", str(other))

    assert done.returncode == 1
    assert why in done.stderr


def test_a_core_holds_as_many_sessions_as_its_time_is_enough_for(tmp_path: Path) -> None:
    done = run("benchmarks", "--from", str(write_figures(tmp_path)))

    # 100 µs for each of 50 deltas a second are 5 ms of every second.
    assert "| 200  | not measured | not measured |" in done.stdout
    assert "| 100      | 100.0 | failed  | failed |" in done.stdout


def test_pages_plot_and_figures_are_made_of_the_same_run(tmp_path: Path) -> None:
    source, copy, plot = write_figures(tmp_path), tmp_path / "copy.json", tmp_path / "plot.svg"
    pages = {name: tmp_path / page for name, page in PAGES.items()}
    for name, page in pages.items():
        markers = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        page.write_text(
            f"Before.\n{markers[0]}\nlast year\n{markers[1]}\nAfter.\n", encoding="utf-8"
        )
    files = ["--json", str(copy), "--plot", str(plot)]
    words = [word for page in pages.values() for word in ("--write", str(page))]
    done = run("benchmarks", "--from", str(source), *files, *words)

    for page in pages.values():
        written = page.read_text(encoding="utf-8")
        assert written.startswith("Before.\n") and written.endswith("\nAfter.\n")  # noqa: PT018
        assert "last year" not in written
        assert written.split("-->")[1].rpartition("<!--")[0].strip() in done.stdout
    again = run("benchmarks", "--from", str(copy), "--plot", str(tmp_path / "again.svg"))
    assert again.stdout == done.stdout
    assert (tmp_path / "again.svg").read_text("utf-8") == plot.read_text("utf-8")
    ratios = json.loads(copy.read_text("utf-8"))["axes"]["text"]["meshrt-trio"]["figures"]
    assert ratios["per_second"]["ratios"] == {"openai": 10.0, "meshapi": 2.0}


def test_a_page_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Nothing.\n", encoding="utf-8")
    done = run("benchmarks", "--from", str(write_figures(tmp_path)), "--write", str(page))

    assert "has no place for figures" in done.stderr
    assert page.read_text(encoding="utf-8") == "Nothing.\n"


def drawn(tmp_path: Path) -> ET.Element:
    plot = tmp_path / "plot.svg"
    run("benchmarks", "--from", str(write_figures(tmp_path)), "--plot", str(plot))
    return ET.fromstring(plot.read_text(encoding="utf-8"))  # noqa: S314 -- our own


def test_a_bar_is_as_long_as_the_ratio(tmp_path: Path) -> None:
    picture = drawn(tmp_path)
    _, _, *bars = picture.iter(f"{SVG}rect")  # the first two are the legend's
    to_openai, to_meshapi = (float(bar.attrib["width"]) for bar in bars)

    assert to_openai / to_meshapi == pytest.approx(3.32, abs=0.01)  # log 10 / log 2
    words = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"Text deltas received", "10\N{MULTIPLICATION SIGN}"} <= set(words)


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("background", ["#ffffff", "#131416"])  # those of the pages
def test_each_colour_can_be_told_from_the_page(tmp_path: Path, background: str) -> None:
    nodes = list(drawn(tmp_path).iter())
    colours = {node.get(key) for node in nodes for key in ("fill", "stroke")} - {None, "none"}

    assert len(colours) == 3
    for colour in colours:
        low, high = sorted((luminance(str(colour)), luminance(background)))
        assert (high + 0.05) / (low + 0.05) > 4


def test_a_profile_names_functions_with_their_share_of_an_event() -> None:
    done = run("benchmarks.profile", "meshrt-asyncio", "text", "--count", "100")

    assert done.returncode == 0, done.stderr
    assert "meshrt on asyncio, text: 110 events" in done.stdout
    lines = [line.strip("|").split("|") for line in done.stdout.splitlines()[4:]]
    assert len(lines) == 25
    shares = [float(line[0]) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]
    assert any("(session/" in line[2] for line in lines)


def test_what_is_published_is_made_of_the_figures_beside_it(tmp_path: Path) -> None:
    words = ["--from", str(DOCS / "performance.json"), "--plot", str(tmp_path / "performance.svg")]
    for name in PAGES.values():
        tmp_path.joinpath(name).write_text(DOCS.joinpath(name).read_text("utf-8"), "utf-8")
        words += ["--write", str(tmp_path / name)]
    done = run("benchmarks", *words)

    assert done.returncode == 0, done.stderr
    for name in (*PAGES.values(), "performance.svg"):
        made, published = tmp_path.joinpath(name), DOCS.joinpath(name)
        assert made.read_text("utf-8") == published.read_text("utf-8"), f"{name} is of another run"
