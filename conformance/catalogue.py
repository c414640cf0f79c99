"""What is tried with Autobahn's test suite, and what must come of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from reliability.promises import LOOPS, Figure, Promise
from reliability.runner import Measured

from . import suite
from .suite import Run

_CHAPTER = "Autobahn's test suite"
_PEER = (
    "aiohttp 3.14: 1 failed; websockets 17.4: 1 failed; trio-websocket 0.12: 1 or 2 failed and 3 "
    "or 4 more not clean, 2026-11-22"
)
_MIB = 2**20
# What is wanted of a case and of how it ends. The suite calls a case not strict where the rules
# leave a choice, and informational where they say nothing.
_GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
_GOOD_ENDS = {"OK", "INFORMATIONAL"}


@dataclass(frozen=True, eq=False)
class Trial:
    """Some cases against one of our sides.

    Attributes:
        promise: How it stands in the table.
        run: Runs them all once, on a loop.
        is_judged: Whether what fails is a failure of the run.
    """

    promise: Promise
    run: Callable[[Path, str], Run]
    is_judged: bool = True


def _trial(
    name: str,
    title: str,
    run: Callable[[Path, str], Run],
    *,
    loops: tuple[str, ...] = LOOPS,
    is_judged: bool = True,
    peer: str = "",
) -> Trial:
    figures = (
        Figure("failed", f"{title}: cases that failed", peer=peer),
        Figure("unclean", "The same: ends that were not clean, or with a wrong code"),
        Figure("rss", "The same: the memory of the whole process, at its most", 64, "MiB"),
    )
    promise = Promise(name, _CHAPTER, "", figures, usual={}, quick={}, full={}, loops=loops)
    return Trial(promise, run, is_judged)


def trials() -> tuple[Trial, ...]:
    """Return what can be tried here."""
    usual, large, both = suite.USUAL, suite.LARGE, ("Our client", "Our server")
    found = [
        _trial("client", both[0], _client("meshrt", usual), peer=_PEER),
        _trial("client-large", f"{both[0]}, messages to 16 MiB", _client("meshrt", large)),
        _trial("server", both[1], lambda wstest, loop: suite.ask_server(wstest, loop, usual)),
        _trial(
            "server-large",
            f"{both[1]}, messages to 16 MiB",
            lambda wstest, loop: suite.ask_server(wstest, loop, large),
        ),
    ]
    if find_spec("meshrt.transports.trio_websocket") and find_spec("trio_websocket"):
        found.append(
            _trial(
                "trio-websocket",
                "A connection of trio-websocket",
                _client("trio-websocket", usual),
                loops=LOOPS[:1],
                is_judged=False,
            )
        )
    return tuple(found)


def _client(kind: str, cases: Sequence[str]) -> Callable[[Path, str], Run]:
    return lambda wstest, loop: suite.ask_client(wstest, loop, kind, cases)


def note(measured: Measured, loop: str, runs: Sequence[Run]) -> None:
    """Note what came of a trial on one loop, over all its runs."""
    failed: list[str] = []
    unclean: list[str] = []
    for number, run in enumerate(runs, start=1):
        for case, found in run.cases.items():
            if found.behavior not in _GOOD:
                failed.append(f"{case} in run {number}")
            if found.close not in _GOOD_ENDS:
                unclean.append(f"{case} in run {number}")
    count = sum(len(run.cases) for run in runs)
    measured.found[loop] = {
        "failed": (len(failed), _remark(count, failed) + _leeway(runs)),
        "unclean": (len(unclean), _remark(count, unclean)),
        "rss": (max(run.peak_bytes for run in runs) / _MIB, ""),
    }


def _remark(count: int, wrong: Sequence[str]) -> str:
    return f"of {count:,}" + "".join(f": {first}" for first in wrong[:1])


def _leeway(runs: Sequence[Run]) -> str:
    """Say how many were not strict, and how many informational, in the run with most of them."""
    words = {"NON-STRICT": "not strict", "INFORMATIONAL": "informational"}
    parts = []
    for word, name in words.items():
        most = max(sum(found.behavior == word for found in run.cases.values()) for run in runs)
        if most:
            parts.append(f"{most} {name}")
    return f" ({', '.join(parts)})" if parts else ""
