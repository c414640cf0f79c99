"""The ratios as a picture: SVG in colours that can be read on white and on black."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .client_axes import CLIENT_AXES
from .kinds import MESHAPI, OPENAI, TRIO, UVLOOP, Kind
from .results import Run

PLOTTED = (
    ("text", "per_second", "Text deltas received"),
    ("audio", "per_second", "Audio deltas received"),
    ("appends", "per_second", "Appends sent"),
    ("paced", "cpu", "CPU per paced delta"),
    ("echo", "p50", "Round trip"),
    ("memory", "kib", "Memory of a session"),
    ("memory-tls", "kib", "Memory, with TLS"),
    ("startup", "import", "Import"),
    ("startup", "connected", "Import to connected"),
)
# Each as far from white as from black: a picture in a page does not know the page's colours.
INK = "#767676"
COLOURS: Mapping[Kind, str] = {OPENAI: "#2a7fba", MESHAPI: "#c0622d"}

_MORE = {
    (axis.name, metric.key): metric.more_is_better
    for axis in CLIENT_AXES
    for metric in axis.metrics
}
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_TIMES = "\N{MULTIPLICATION SIGN}"
_WIDTH, _LEFT, _RIGHT = 760, 190, 690
_TOP, _ROW, _BAR = 64, 44, 14


@dataclass(frozen=True)
class Group:
    """One figure: how many times better than each peer meshrt is on Trio, and on uvloop."""

    title: str
    times: Mapping[Kind, tuple[float | None, float | None]]

    @property
    def values(self) -> list[float]:
        """All that is known."""
        return [each for pair in self.times.values() for each in pair if each is not None]


def groups_of(run: Run) -> list[Group]:
    """Return what there is to draw."""
    groups = [
        Group(
            title,
            {
                peer: (_times(run, axis, key, TRIO, peer), _times(run, axis, key, UVLOOP, peer))
                for peer in COLOURS
            },
        )
        for axis, key, title in PLOTTED
    ]
    return [group for group in groups if group.values]


def _times(run: Run, axis: str, key: str, ours: Kind, theirs: Kind) -> float | None:
    mine, other = run.median_of(axis, key, ours), run.median_of(axis, key, theirs)
    # Memory can seem to shrink when there is little of it.
    if mine is None or other is None or mine <= 0 or other <= 0:
        return None
    return mine / other if _MORE[axis, key] else other / mine


@dataclass(frozen=True)
class _Scale:
    """Logarithmic: twice as good is as far to the right as half as good is to the left."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "_Scale":
        low = max((tick for tick in _TICKS if tick <= min(values)), default=_TICKS[0])
        high = min((tick for tick in _TICKS if tick >= max(values)), default=_TICKS[-1])
        return cls(min(low, 0.5), max(high, 2))

    def x(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return _LEFT + (_RIGHT - _LEFT) * min(max(part, 0), 1)


def plot(run: Run) -> str:
    """Draw how many times better than its peers meshrt is; without figures, say so."""
    groups = groups_of(run)
    if not groups:
        return _picture(80, [_text(_WIDTH / 2, 45, "None yet", "middle")])
    scale = _Scale.of([value for group in groups for value in group.values])
    bottom = _TOP + _ROW * len(groups)
    parts = [*_legend(), *_grid(scale, bottom)]
    for number, group in enumerate(groups):
        parts += _bars(group, scale, _TOP + _ROW * number)
    return _picture(bottom + 30, parts)


def _picture(height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" role="img" '
        'font-family="sans-serif" font-size="14">'
    )
    title = "<title>How many times better than openai and meshapi: more is better</title>"
    return "\n".join([head, title, *parts, "</svg>", ""])


def _legend() -> Iterator[str]:
    for number, (peer, colour) in enumerate(COLOURS.items()):
        x = _LEFT + 130 * number
        yield f'<rect x="{x}" y="12" width="14" height="14" fill="{colour}"/>'
        yield _text(x + 20, 24, f"to {peer.library}")
    yield _text(_LEFT + 260, 24, "bar: Trio; dot: uvloop")


def _grid(scale: _Scale, bottom: float) -> Iterator[str]:
    for tick in _TICKS:
        if scale.low <= tick <= scale.high:
            x, width = scale.x(tick), 2 if tick == 1 else 0.5
            yield (
                f'<path d="M{x:.1f} {_TOP - 12}V{bottom}" stroke="{INK}" '
                f'stroke-width="{width}" fill="none"/>'
            )
            yield _text(x, bottom + 18, f"{tick:g}{_TIMES}", "middle")


def _bars(group: Group, scale: _Scale, top: float) -> Iterator[str]:
    yield _text(_LEFT - 12, top + _BAR + 5, group.title, "end")
    for number, (peer, (trio, uvloop)) in enumerate(group.times.items()):
        y = top + number * (_BAR + 2)
        colour = COLOURS[peer]
        if trio is not None:
            left, right = sorted((scale.x(1), scale.x(trio)))
            size = f'width="{right - left:.1f}" height="{_BAR}"'
            yield f'<rect x="{left:.1f}" y="{y}" {size} fill="{colour}"/>'
        if uvloop is not None:
            place = f'cx="{scale.x(uvloop):.1f}" cy="{y + _BAR / 2:g}" r="5"'
            yield f'<circle {place} fill="{colour}" stroke="{INK}" stroke-width="2"/>'
        end = max(scale.x(each) for each in (1, trio, uvloop) if each is not None)
        if trio is not None:
            yield _text(end + 10, y + 12, f"{trio:.3g}{_TIMES}")


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:g}" fill="{INK}" text-anchor="{anchor}">{words}</text>'
