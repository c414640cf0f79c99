"""``python -m benchmarks``: measure meshrt beside the clients of others."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .axes import AXES
from .markdown import NONE_YET, has_place, put_between_markers
from .plot import plot
from .record import as_json, from_json
from .report import report
from .results import Run, about, joined
from .runner import measure
from .scaling import scaling

PARTS = {"benchmarks": report, "scaling": scaling}


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
        choices=list(dict.fromkeys(axis.chosen_by for axis in AXES)),
        help="this axis alone; may be given several times",
    )
    made.add_argument("--rounds", type=int, help="how often, in place of what an axis asks for")
    made.add_argument(
        "--from",
        type=Path,
        metavar="FILE",
        dest="sources",
        action="append",
        default=[],
        help="measure nothing: read a --json; several are put together",
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write every value to a file")
    made.add_argument(
        "--write",
        type=Path,
        metavar="PAGE",
        action="append",
        default=[],
        help="write the tables between a page's markers; may be given several times",
    )
    made.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios, as SVG")
    return made


def main() -> int:
    """Measure, print and write; return the exit code."""
    options = parser().parse_args()
    run = _read(options.sources) if options.sources else _measured(options)
    texts = [make(run) for make in PARTS.values()]
    print("\n\n".join([text for text in texts if text != NONE_YET] or [NONE_YET]))
    if options.json is not None:
        text = json.dumps(as_json(run), indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.plot is not None:
        options.plot.write_text(plot(run), encoding="utf-8")
    for page in options.write:
        _write(page, run)
    return int(run.failed)


def _measured(options: argparse.Namespace) -> Run:
    run = Run(about(quick=options.quick))
    for measured in measure(options.only, quick=options.quick, rounds=options.rounds):
        print(f"measured: {measured[0].axis.name}", file=sys.stderr, flush=True)
        run.axes.append(measured)
    return run


def _read(sources: Sequence[Path]) -> Run:
    if len({source.resolve() for source in sources}) < len(sources):
        sys.exit("a run counts once: --from has the same file twice")
    runs = [from_json(json.loads(each.read_text(encoding="utf-8"))) for each in sources]
    try:
        return joined(runs)
    except ValueError as error:
        sys.exit(str(error))


def _write(page: Path, run: Run) -> None:
    text = page.read_text(encoding="utf-8")
    names = [name for name in PARTS if has_place(text, name)]
    if not names:
        sys.exit(f"{page} has no place for figures: it needs markers, as docs/explanation/ has")
    for name in names:
        text = put_between_markers(text, name, PARTS[name](run))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
