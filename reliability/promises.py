"""What a promise is: the figures that show whether it is kept, and the check that gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

LOOPS = ("Trio", "asyncio", "uvloop")

Sizes: TypeAlias = Mapping[str, int]
"""How much of it a check tries."""
Found: TypeAlias = dict[str, tuple[float, str]]
"""What a check found: by the key of a figure its value, and a remark such as ``"of 200"``."""


@dataclass(frozen=True)
class Setting:
    """Where and how much a check tries."""

    loop: str
    sizes: Sizes

    @property
    def backend(self) -> str:
        """The loop, as AnyIO calls it."""
        return "trio" if self.loop == "Trio" else "asyncio"


@dataclass(frozen=True)
class Figure:
    """One line of the table; the promise is kept where the value is not above the limit.

    Attributes:
        key: How the check calls it.
        title: What is promised, in words.
        limit: The bound.
        unit: Its unit; nothing for what is counted.
        peer: The best that others were measured at, and when.
    """

    key: str
    title: str
    limit: float = 0
    unit: str = ""
    peer: str = ""

    @property
    def bound(self) -> str:
        """The limit in words."""
        return f"≤ {self.limit:g} {self.unit}" if self.limit else "0"


@dataclass(frozen=True, eq=False)
class Promise:
    """What is checked at once, in a process of its own on each loop.

    Attributes:
        name: For the command line.
        chapter: Under which heading of the page it stands.
        check: The module of this package, or one with dots, and its function, as
            ``module:function``.
        figures: What it gives.
        usual: How much is tried.
        quick: How much where it is only to be seen that the check works.
        full: How much where time is no matter.
        loops: On which it makes sense.
        waits: Whether it spends its time waiting, so that others may be measured meanwhile.
        timeout_s: When the check is given up, which is a failure of its own.
    """

    name: str
    chapter: str
    check: str
    figures: tuple[Figure, ...]
    usual: Sizes
    quick: Sizes
    full: Sizes
    loops: tuple[str, ...] = LOOPS
    waits: bool = False
    timeout_s: float = 120.0

    def sizes(self, amount: str) -> Sizes:
        """Return how much is tried: ``"usual"``, ``"quick"`` or ``"full"``."""
        return {"usual": self.usual, "quick": self.quick, "full": self.full}[amount]
