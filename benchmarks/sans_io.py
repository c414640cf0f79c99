"""What the programs without a socket share: a clock, and a coroutine's only step."""

import argparse
import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from itertools import cycle, islice
from time import process_time
from typing import Any, TypeVar

from .kinds import KINDS, Kind

_T = TypeVar("_T")


def finish(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that has nothing to wait for.

    Raises:
        RuntimeError: It waits all the same.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    raise RuntimeError("it waits, and there is nothing to wait for")


def cost(work: Callable[[_T], object], inputs: list[_T], count: int) -> float:
    """Do something to each input in turn, so many times in all; return the µs of CPU of each."""
    cpu = process_time()
    for each in islice(cycle(inputs), count):
        work(each)
    return 1e6 * (process_time() - cpu) / count


def main(
    measure: Callable[[Kind, int], dict[str, float]],
    kinds: Sequence[Kind],
    description: str | None,
) -> None:
    """Read the command line, measure, and print what that gave."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("kind", choices=[kind.name for kind in kinds])
    parser.add_argument("sizes", type=json.loads)
    options = parser.parse_args()

    async def run() -> dict[str, float]:
        return measure(KINDS[options.kind], options.sizes["count"])

    # openai's client asks which task it is in, though it waits for nothing.
    print(json.dumps(asyncio.run(run())))
