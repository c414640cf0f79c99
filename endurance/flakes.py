"""``python -m endurance.flakes``: run the tests many times, each time in another order."""

import argparse
import random
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
_PYTHON = (sys.executable, "-X", "dev", "-W", "error", "-m", "pytest", "-W", "error")
_QUIET = ("-q", "--tb=short", "-p", "no:cacheprovider")
# Fifteen examples of each property: here the order is tried, and not what Hypothesis thinks of.
_PROFILE = "--hypothesis-profile=mutants"
_HUNG_S = 7200.0


@dataclass
class Count:
    """What came of all runs.

    Attributes:
        runs: How many there were.
        tests: How many tests they ran.
        failed: The tests that failed, and how often.
        seeds: The orders in which something failed.
    """

    runs: int = 0
    tests: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    seeds: list[int] = field(default_factory=list)

    def add(self, seed: int, report: Path, returncode: int) -> None:
        """Count a run by the report that pytest wrote."""
        self.runs += 1
        before = self.failed.total()
        for case, has_failed in _cases(report):
            self.tests += 1
            self.failed[case] += has_failed
        # Warnings while collecting, a broken fixture of the session, a crash: of no test.
        if returncode and self.failed.total() == before:
            self.failed[f"pytest ended with {returncode}"] += 1
        if self.failed.total() > before:
            self.seeds.append(seed)
        self.failed = +self.failed

    def __str__(self) -> str:
        lines = [
            f"{self.runs} runs, {self.tests:,} tests, {self.failed.total()} failures or warnings"
        ]
        lines += [f"{count} times: {name}" for name, count in self.failed.most_common()]
        lines += [f"again: --runs 1 --seed {seed}" for seed in self.seeds]
        return "\n".join(lines)


def _cases(report: Path) -> Iterator[tuple[str, bool]]:
    if not report.exists():
        return
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  pytest's own
        name = f"{case.get('classname')}::{case.get('name')}"
        yield name, case.find("failure") is not None or case.find("error") is not None


def run(seed: int, bucket: str, words: Sequence[str], report: Path) -> int:
    """Run the tests once in the order that a seed gives; return pytest's exit code."""
    order = ("--random-order", f"--random-order-bucket={bucket}", f"--random-order-seed={seed}")
    command = (*_PYTHON, *_QUIET, _PROFILE, *order, f"--junit-xml={report}", *words)
    try:
        return subprocess.run(command, cwd=ROOT, timeout=_HUNG_S, check=False).returncode
    except subprocess.TimeoutExpired:
        return -1


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m endurance.flakes",
        description="Run the tests many times, each time in another order; stop at no failure.",
        epilog="Warnings are failures. Other arguments go to pytest.",
    )
    made.add_argument("--runs", type=int, default=20, metavar="N")
    made.add_argument("--seed", type=int, help="of the first order; the others follow from it")
    made.add_argument(
        "--bucket",
        default="module",
        choices=("global", "package", "module"),
        help="what is shuffled as a whole: by default modules, and the tests in each",
    )
    return made


def main() -> int:
    """Run them and say what failed; return the exit code."""
    options, words = parser().parse_known_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    count = Count()
    with TemporaryDirectory() as folder:
        for number in range(options.runs):
            report = Path(folder) / f"{number}.xml"
            returncode = run(seed + number, options.bucket, words, report)
            count.add(seed + number, report, returncode)
            print(count, file=sys.stderr, flush=True)
    print(count)
    return int(count.failed.total() > 0)


if __name__ == "__main__":
    sys.exit(main())
