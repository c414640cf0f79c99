"""What runs Autobahn's test suite runs it, counts what it says, and says why where it can't."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# A package of the checkout, of which what is installed knows nothing.
sys.path.append(str(Path(__file__).parents[1]))

from conformance import suite
from conformance.__main__ import is_good, measure
from conformance.catalogue import Trial, note, trials
from conformance.install import VARIABLE, NotHereError, find_python, install
from conformance.suite import Case, Run, SuiteError
from reliability.promises import Figure, Promise
from reliability.report import put_between_markers, tables
from reliability.runner import Measured

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "reliability.md"
LOOP = "Trio" if find_spec("trio") else "asyncio"
GOOD = Case("OK", "OK")

unix = pytest.mark.skipif(sys.platform == "win32", reason="its stand-ins are scripts")

# Two cases, a word each: the suite's own server and client in the little that the runner sees.
STAND_IN = f"""#!{sys.executable}
import json, pathlib, sys
from urllib.parse import parse_qs, urlsplit
from websockets.sync.client import connect
from websockets.sync.server import serve

mode, spec = sys.argv[2], json.loads(pathlib.Path(sys.argv[4]).read_text())
found = {{}}

def verdict(came):
    return {{"behavior": "OK" if came == "word" else "FAILED", "behaviorClose": "OK"}}

def report():
    text = json.dumps({{"meshrt": found}})
    pathlib.Path(spec["outdir"], "index.json").write_text(text)

def answer(connection):
    parts = urlsplit(connection.request.path)
    if parts.path == "/getCaseCount":
        connection.send("2")
    elif parts.path == "/runCase":
        connection.send("word")
        number = parse_qs(parts.query)["case"][0]
        came = connection.recv()
        if number in spec["cases"]:
            found["1." + number] = verdict(came)
    elif parts.path == "/getCaseStatus":
        connection.send("{{}}")
    else:
        report()

if mode == "fuzzingserver":
    with serve(answer, "127.0.0.1", urlsplit(spec["url"]).port) as server:
        server.serve_forever()
for number in ("1.1", "1.2"):
    with connect(spec["servers"][0]["url"]) as connection:
        connection.send("word")
        found[number] = verdict(connection.recv())
report()
"""


@pytest.fixture
def wstest(tmp_path: Path) -> Path:
    path = tmp_path / "wstest"
    path.write_text(STAND_IN, encoding="utf-8")
    path.chmod(0o755)
    return path


@unix
def test_the_suite_s_server_asks_our_client(wstest: Path) -> None:
    run = suite.ask_client(wstest, LOOP, "meshrt", ("1", "2"))

    assert run.cases == {"1.1": GOOD, "1.2": GOOD}
    assert run.peak_bytes > 2**20 or not Path("/proc/self/status").exists()


@unix
def test_a_case_that_is_not_reported_is_told(wstest: Path) -> None:
    with pytest.raises(SuiteError, match="1 of 2 cases"):
        suite.ask_client(wstest, LOOP, "meshrt", ("1",))


@unix
def test_the_suite_s_client_asks_our_server(wstest: Path) -> None:
    assert suite.ask_server(wstest, LOOP, ("1.*",)).cases == {"1.1": GOOD, "1.2": GOOD}


@unix
def test_a_suite_that_does_not_run_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "wstest"
    broken.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)

    with pytest.raises(SuiteError, match="does not begin"):
        suite.ask_client(broken, LOOP, "meshrt", ("1.*",))
    with pytest.raises(SuiteError):
        suite.ask_server(broken, LOOP, ("1.*",))


def trial(*, is_judged: bool = True) -> Trial:
    figures = tuple(Figure(key, key) for key in ("failed", "unclean", "rss"))
    promise = Promise("x", "Chapter", "", figures, usual={}, quick={}, full={}, loops=(LOOP,))

    def run(wstest: Path, loop: str) -> Run:
        if wstest.name == "nothing":
            raise SuiteError("it broke")
        return Run({"1.1": GOOD, "7.1.6": Case("INFORMATIONAL", "INFORMATIONAL")}, 2**20)

    return Trial(promise, run, is_judged)


def noted(*cases: Case) -> Measured:
    measured = Measured(trial().promise)
    run = Run({f"1.{number}": case for number, case in enumerate(cases)}, 3 * 2**20)
    note(measured, LOOP, [Run({"1.0": GOOD}, 2**20), run])
    return measured


def test_what_is_not_strict_or_informational_is_counted_and_good() -> None:
    measured = noted(GOOD, Case("NON-STRICT", "OK"), Case("INFORMATIONAL", "INFORMATIONAL"))

    remark = "of 4 (1 not strict, 1 informational)"
    assert measured.found[LOOP] == {
        "failed": (0, remark), "unclean": (0, "of 4"), "rss": (3, ""),
    }  # fmt: skip
    assert is_good(trial(), measured)


@pytest.mark.parametrize(
    ("case", "key"),
    [
        (Case("FAILED", "OK"), "failed"),
        (Case("UNIMPLEMENTED", "OK"), "failed"),
        (Case("OK", "UNCLEAN"), "unclean"),
        (Case("OK", "WRONG CODE"), "unclean"),
        (Case("OK", "FAILED BY CLIENT"), "unclean"),
    ],
)
def test_any_other_word_is_a_failure_and_is_named(case: Case, key: str) -> None:
    measured = noted(GOOD, case)

    assert measured.found[LOOP][key] == (1, "of 3: 1.1 in run 2")
    assert not is_good(trial(), measured)
    assert is_good(trial(is_judged=False), measured)
    assert "**1 of 3: 1.1 in run 2**" in tables([measured], amount="usual")


def test_each_trial_is_run_so_many_times_on_each_loop() -> None:
    (measured,) = measure([trial()], [], wstest=Path("wstest"), runs=3)

    assert measured.found[LOOP]["failed"] == (0, "of 6 (1 informational)")
    assert is_good(trial(), measured)


def test_a_run_without_a_result_is_a_failure() -> None:
    (measured,) = measure([trial()], [], wstest=Path("nothing"), runs=1)

    assert measured.errors == {LOOP: "it broke"}
    assert not is_good(trial(), measured)


def test_trio_websocket_is_tried_where_its_transport_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trio_websocket")
    for is_here in (True, False):
        monkeypatch.setattr("conformance.catalogue.find_spec", lambda _, found=is_here: found)
        found = {trial.promise.name: trial for trial in trials()}
        assert ("trio-websocket" in found) is is_here
        assert all(each.is_judged for name, each in found.items() if name != "trio-websocket")
        if is_here:
            assert found["trio-websocket"].promise.loops == ("Trio",)
            assert not found["trio-websocket"].is_judged


def test_without_a_python_2_7_one_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotHereError, match=f"or name it in {VARIABLE}"):
        find_python()

    command = [sys.executable, "-m", "conformance.install", str(tmp_path / "suite")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python 2.7" in done.stderr


@unix
@pytest.mark.parametrize("named", [True, False])
def test_a_python_2_7_is_found_by_name_and_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: bool
) -> None:
    python = tmp_path / ("other" if named else "python2.7")
    python.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(VARIABLE, str(python) if named else "")
    assert find_python() == str(python)

    python.write_text("#!/bin/sh\necho not here\nexit 127\n", encoding="utf-8")
    with pytest.raises(NotHereError, match="can't be run"):
        find_python()


def test_a_suite_that_is_there_is_not_installed_again(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "wstest").touch()
    install(tmp_path)


def test_the_page_has_a_place_for_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "new" in put_between_markers(text, "new", name="autobahn")
    with pytest.raises(ValueError, match="no place"):
        put_between_markers(text, "new", name="nothing")
