"""``python -m conformance``: run Autobahn's test suite against both of our sides."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from reliability.promises import LOOPS
from reliability.report import as_json, put_between_markers, tables
from reliability.runner import Measured

from .catalogue import Trial, note, trials
from .suite import Run, SuiteError


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Run Autobahn's test suite against our client and our server, on each loop.",
        epilog="Exits with 1 if a case failed, did not end cleanly, or came to no result.",
    )
    made.add_argument("--suite", type=Path, required=True, help="where conformance.install put it")
    made.add_argument("--runs", type=int, default=1, metavar="N", help="all of it N times")
    names = [trial.promise.name for trial in trials()]
    for option, choices in (("--only", names), ("--loop", LOOPS)):
        words = "this alone; may be given several times"
        made.add_argument(option, action="append", default=[], choices=choices, help=words)
    made.add_argument("--json", type=Path, metavar="FILE", help="write every value to a file")
    made.add_argument(
        "--write", type=Path, metavar="PAGE", help="write the table between a page's markers"
    )
    return made


def measure(
    chosen: Sequence[Trial], loops: Sequence[str], *, wstest: Path, runs: int
) -> list[Measured]:
    """Run each trial so many times on each loop, and tell what comes of it."""
    done = []
    for trial in chosen:
        measured = Measured(trial.promise)
        for loop in (loop for loop in trial.promise.loops if not loops or loop in loops):
            try:
                note(measured, loop, [_run(trial, wstest, loop, n) for n in range(runs)])
            except SuiteError as error:
                measured.errors[loop] = str(error)
        done.append(measured)
    return done


def _run(trial: Trial, wstest: Path, loop: str, number: int) -> Run:
    print(f"running: {trial.promise.name} on {loop}, {number + 1}", file=sys.stderr, flush=True)
    return trial.run(wstest, loop)


def is_good(trial: Trial, measured: Measured) -> bool:
    """Tell whether all cases came to a result, and passed; memory is shown and not judged."""
    wrong = sum(
        found[key][0] for found in measured.found.values() for key in ("failed", "unclean")
    )
    return not trial.is_judged or not (wrong or measured.errors)


def main() -> int:
    """Run, print and write; return the exit code."""
    options = parser().parse_args()
    chosen = [t for t in trials() if not options.only or t.promise.name in options.only]
    wstest = options.suite / "bin" / "wstest"
    found = measure(chosen, options.loop, wstest=wstest, runs=options.runs)
    text = tables(found, amount="usual")
    print(text)
    if options.json is not None:
        values = {"runs": options.runs, **as_json(found, amount="usual")}
        options.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    if options.write is not None:
        page = options.write.read_text(encoding="utf-8")
        page = put_between_markers(page, text, name="autobahn")
        options.write.write_text(page, encoding="utf-8")
    return int(not all(map(is_good, chosen, found)))


if __name__ == "__main__":
    sys.exit(main())
