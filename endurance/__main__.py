"""``python -m endurance chaos``, or ``soak``: hold sessions over bad networks, many, or long."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from reliability.promises import LOOPS, Promise
from reliability.report import as_json, put_between_markers, tables, verdict
from reliability.runner import Measured, measure

from .catalogue import CHAOS, LONG, SOAK


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m endurance",
        description="Hold sessions over bad networks, or many of them, or a long one.",
        epilog="Exits with 1 if a promise is not kept, or came to no result.",
    )
    kinds = made.add_subparsers(dest="kind", required=True)
    chaos = kinds.add_parser("chaos", help="1,000 sessions over bad networks, on each loop")
    chaos.add_argument("--seed", type=int, default=0, help="of the first session")
    chaos.add_argument("--sessions", type=int, help="how many")
    soak = kinds.add_parser("soak", help="1,000 sessions of a minute, 100 at a time")
    soak.add_argument("--long", action="store_true", help="one session of two hours instead")
    for each in (chaos, soak):
        each.add_argument("--quick", action="store_true", help="a little, in under a minute")
        each.add_argument(
            "--loop",
            action="append",
            default=[],
            choices=LOOPS,
            help="this event loop alone; may be given several times",
        )
        each.add_argument("--json", type=Path, metavar="FILE", help="write every value to a file")
        each.add_argument(
            "--write", type=Path, metavar="PAGE", help="write the table between a page's markers"
        )
    return made


def chosen(options: argparse.Namespace) -> tuple[Promise, ...]:
    """Return what is to be measured, and how much of it."""
    if options.kind == "soak":
        return LONG if options.long else SOAK
    sizes = {"seed": options.seed}
    if options.sessions is not None:
        sizes["sessions"] = options.sessions
    (promise,) = CHAOS
    usual, quick = {**promise.usual, **sizes}, {**promise.quick, **sizes}
    return (replace(promise, usual=usual, quick=quick),)


def is_kept(measured: Measured) -> bool:
    """Tell whether each of its figures is within its bound on each loop."""
    return all(verdict(measured, figure) for figure in measured.promise.figures)


def main() -> int:
    """Measure, print and write; return the exit code."""
    options = parser().parse_args()
    amount = "quick" if options.quick else "usual"
    found = measure(chosen(options), options.loop, amount=amount, tell=_tell)
    text = tables(found, amount=amount)
    print(text)
    if options.json is not None:
        values = as_json(found, amount=amount)
        options.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    if options.write is not None:
        name = "long" if getattr(options, "long", False) else options.kind
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(put_between_markers(page, text, name=name), encoding="utf-8")
    return int(not all(map(is_kept, found)))


def _tell(what: str) -> None:
    print(f"measured: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
