"""``python -m benchmarks``: measure meshrt beside the clients of others."""

import argparse
import json
import sys
from pathlib import Path

from .axes import AXES
from .report import as_json, put_between_markers, tables
from .runner import Measured, measure


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure meshrt beside openai's and meshapi's clients, all in one run.",
        epilog="Exits with 1 if a measurement failed. A bar that is not met is shown, and no "
        "failure of the run: on a busy machine, figures are noise.",
    )
    made.add_argument("--quick", action="store_true", help="little of everything, once")
    made.add_argument(
        "--only",
        action="append",
        default=[],
        choices=[axis.name for axis in AXES],
        help="this axis alone; may be given several times",
    )
    made.add_argument("--rounds", type=int, help="how often, in place of what an axis asks for")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every value to a file")
    made.add_argument(
        "--write", type=Path, metavar="PAGE", help="write the tables between a page's markers"
    )
    return made


def main() -> int:
    """Measure, print and write; return the exit code."""
    options = parser().parse_args()
    axes: list[list[Measured]] = []
    for measured in measure(options.only, quick=options.quick, rounds=options.rounds):
        print(f"measured: {measured[0].axis.name}", file=sys.stderr, flush=True)
        axes.append(measured)
    text = tables(axes, quick=options.quick)
    print(text)
    if options.json is not None:
        found = as_json(axes, quick=options.quick)
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.write is not None:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(put_between_markers(page, text), encoding="utf-8")
    return int(any(each.errors for measured in axes for each in measured))


if __name__ == "__main__":
    sys.exit(main())
