"""Sessions over bad networks, some at a time; what each goes through, its number says."""

from collections import Counter
from collections.abc import Iterator

import anyio
from support import OrdealOutcome, go_through, ordeal

from reliability.promises import Found, Setting
from reliability.tools import Tally, unheard

from .left import Baseline


async def sessions(setting: Setting) -> Found:
    """Hold them all; each is judged by itself."""
    sizes = setting.sizes
    tally, hangs, ends = Tally(), Tally(), Counter[str]()
    first = sizes.get("seed", 0)
    numbers = iter(range(first, first + sizes["sessions"]))
    await go_through(ordeal(first, scale=0))  # loops make some things of theirs when first asked
    baseline = Baseline()
    with unheard(tally):
        async with anyio.create_task_group() as tasks:
            for _ in range(sizes["at_once"]):
                tasks.start_soon(_go_on, numbers, sizes["permille"] / 1000, tally, hangs, ends)
    shown = ", ".join(f"{count:,} {end}" for end, count in ends.most_common())
    wrong, remark = tally.found()
    return {
        "wrong": (wrong, f"{remark} ({shown})"),
        "hangs": hangs.found(),
        "left": baseline.left(),
    }


async def _go_on(
    numbers: Iterator[int], scale: float, tally: Tally, hangs: Tally, ends: Counter[str]
) -> None:
    for number in numbers:
        outcome: OrdealOutcome = await go_through(ordeal(number, scale=scale))
        ends[outcome.end] += 1
        tally.expect(not outcome.problem, f"seed {number}: {outcome.problem}")
        hangs.expect(outcome.end != "hang", f"seed {number}")
