"""Check one promise after the other, each on each loop in a fresh process."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .promises import Found, Promise

ROOT = Path(__file__).parents[1]
_LAST_WORDS = 300  # of the last line that a worker wrote before it failed
# A warning is an exception: of a socket that is left open or a coroutine that is never awaited,
# raised where nobody can catch it, the checks hear by a hook.
_PYTHON = (sys.executable, "-W", "error")


@dataclass
class Measured:
    """What came of one promise, by loop."""

    promise: Promise
    found: dict[str, Found] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def measure(
    chosen: Sequence[Promise], loops: Sequence[str], *, amount: str, tell: Callable[[str], None]
) -> list[Measured]:
    """Check promises and return what came of them, in their order.

    Args:
        chosen: The promises.
        loops: The loops; none for all.
        amount: How much to try: ``"usual"``, ``"quick"`` or ``"full"``.
        tell: Is told of each check that is done.
    """
    with ThreadPoolExecutor() as waiting:
        jobs = list(_jobs(chosen, loops))
        # What waits is begun first and takes no time of the others, which take turns.
        early = {job: waiting.submit(_work, *job, amount) for job in jobs if job[0].waits}
        done: dict[str, Measured] = {promise.name: Measured(promise) for promise in chosen}
        for job in jobs:
            _note(done[job[0].name], job[1], early.get(job) or _now(*job, amount))
            tell(f"{job[0].name} on {job[1]}")
    return list(done.values())


def _jobs(promises: Sequence[Promise], loops: Sequence[str]) -> Iterator[tuple[Promise, str]]:
    # What waits comes last, when it has waited.
    for promise in sorted(promises, key=lambda promise: promise.waits):
        for loop in promise.loops:
            if not loops or loop in loops:
                yield promise, loop


def _now(promise: Promise, loop: str, amount: str) -> "Future[Found]":
    future: Future[Found] = Future()
    try:
        future.set_result(_work(promise, loop, amount))
    except WorkerError as error:
        future.set_exception(error)
    return future


def _note(measured: Measured, loop: str, outcome: "Future[Found]") -> None:
    try:
        measured.found[loop] = outcome.result()
    except WorkerError as error:
        measured.errors[loop] = str(error)


class WorkerError(Exception):
    """A check did not come to a result; the message is its last word."""


def _work(promise: Promise, loop: str, amount: str) -> Found:
    words = [promise.check, loop, json.dumps(promise.sizes(amount))]
    try:
        done = subprocess.run(
            [*_PYTHON, "-m", "reliability.worker", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=promise.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WorkerError(f"not done after {promise.timeout_s:g} s") from None
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise WorkerError(last[:_LAST_WORDS] or f"it ended with {done.returncode}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {key: (value, remark) for key, (value, remark) in found.items()}
