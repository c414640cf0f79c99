"""What a measurement is: of what, how much of it, and the bar that it is held to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .kinds import CLIENTS, MESHAPI, OPENAI, TRIO, UVLOOP, Kind

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Bar:
    """A limit: of the ratio to a peer's median in the same run, or of the median itself."""

    limit: float
    than: Kind | None = None


Bars = Mapping[Kind, tuple[Bar, ...]]


@dataclass(frozen=True)
class Metric:
    """One figure that an axis gives."""

    key: str
    title: str
    unit: str
    digits: int = 0
    more_is_better: bool = False
    bars: Bars = field(default_factory=dict)


@dataclass(frozen=True)
class Axis:
    """One thing to measure, by a program of this package.

    Attributes:
        name: What it is called in JSON.
        metrics: The figures that it gives.
        full: How much of it.
        quick: The same where only to see that all runs; ``None`` leaves it out then.
        rounds: How often; what is compared are the medians.
        kinds: Who takes part.
        peers: Whom the others are compared with.
        program: The module that measures it.
        job: The worker's job, where that is the program.
        group: The name that chooses it on the command line; by default its own.
        tls: Whether the load server is to be asked over TLS.
    """

    name: str
    metrics: tuple[Metric, ...]
    full: Sizes = field(default_factory=dict)
    quick: Sizes | None = field(default_factory=dict)
    rounds: int = 5
    kinds: tuple[Kind, ...] = CLIENTS
    peers: tuple[Kind, ...] = (OPENAI, MESHAPI)
    program: str = "worker"
    job: str = ""
    group: str = ""
    tls: bool = False

    @property
    def chosen_by(self) -> str:
        """The name that chooses it on the command line."""
        return self.group or self.name


def ratios(trio: tuple[float, float], uvloop: tuple[float, float] | None = None) -> Bars:
    """Return bars against openai and meshapi, on Trio and on uvloop; one pair is for both."""
    pairs = {TRIO: trio, UVLOOP: uvloop or trio}
    return {
        kind: (Bar(openai, OPENAI), Bar(meshapi, MESHAPI))
        for kind, (openai, meshapi) in pairs.items()
    }


def absolute(limit: float) -> Bars:
    """Return a bar that no peer has a part in."""
    return dict.fromkeys((TRIO, UVLOOP), (Bar(limit),))
