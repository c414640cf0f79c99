"""``python -m reliability``: measure what meshrt promises when things go wrong."""

import argparse
import json
import sys
from pathlib import Path

from .catalogue import PROMISES
from .promises import LOOPS
from .report import as_json, put_between_markers, tables
from .runner import measure


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m reliability",
        description="Measure what meshrt promises when things go wrong, on each event loop.",
        epilog="Exits with 1 if a check came to no result. A promise that is not kept is shown, "
        "and no failure of the run: on a busy machine, seconds are noise.",
    )
    amounts = made.add_mutually_exclusive_group()
    for amount, words in (("quick", "little of everything"), ("full", "more of what takes long")):
        amounts.add_argument(
            f"--{amount}",
            action="store_const",
            const=amount,
            default="usual",
            dest="amount",
            help=words,
        )
    made.add_argument(
        "--only",
        action="append",
        default=[],
        choices=[promise.name for promise in PROMISES],
        help="this promise alone; may be given several times",
    )
    made.add_argument(
        "--loop",
        action="append",
        default=[],
        choices=LOOPS,
        help="this event loop alone; may be given several times",
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write every value to a file")
    made.add_argument(
        "--write", type=Path, metavar="PAGE", help="write the tables between a page's markers"
    )
    return made


def main() -> int:
    """Measure, print and write; return the exit code."""
    options = parser().parse_args()
    chosen = [promise for promise in PROMISES if not options.only or promise.name in options.only]
    found = measure(chosen, options.loop, amount=options.amount, tell=_tell)
    text = tables(found, amount=options.amount)
    print(text)
    if options.json is not None:
        values = as_json(found, amount=options.amount)
        options.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    if options.write is not None:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(put_between_markers(page, text), encoding="utf-8")
    return int(any(measured.errors for measured in found))


def _tell(what: str) -> None:
    print(f"measured: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
