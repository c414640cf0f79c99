"""A turn shown on a terminal, with rich: both voices, the words, and how far it is."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Final, Self, final

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .._version import __version__
from ._conversation import Report
from ._outcome import one_line
from ._plain import ending, loudest, seconds
from ._turn import CHUNK_MS, Turn

_REFRESHES_PER_S: Final = 12
_BARS: Final = "▁▂▃▄▅▆▇█"
_BARS_ASCII: Final = "_.:-=+*#"
_QUIET_DBFS: Final = -45.0  # the lowest bar; the highest is one voice at its loudest
_LOUD_DBFS: Final = -8.0
# A terminal writes ^C where the cursor is, and a wrapped line would leave half a picture behind.
_COLUMNS_FREE: Final = 2
_COLUMNS_AROUND: Final = 39  # everything beside the bars: frame, names, numbers
_MIN_BARS: Final = 10
_RECEIVED_LEVELS_PER_BAR: Final = 5
_WORDS_SHOWN: Final = 400  # in characters, so that the picture never outgrows the window


@final
class Live(AbstractContextManager["Live"]):
    """The picture of a turn, redrawn while it happens.

    Args:
        turn: What to show.
        console: Where; by default the terminal.
    """

    def __init__(self, turn: Turn, *, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._turn = turn
        self._live = RichLive(
            console=self._console,
            get_renderable=self._picture,
            refresh_per_second=_REFRESHES_PER_S,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Draw a last time and leave the picture where it is."""
        self._live.stop()

    def show(self) -> None:
        """Do nothing: rich looks by itself, often enough."""

    def finish(self, report: Report, out: Path) -> None:
        """Print where the reply is, below the picture."""
        for line in ending(report, out):
            self._console.print(Text(line))

    def _picture(self) -> RenderableType:
        options = self._console.options
        return picture(
            self._turn, width=options.max_width - _COLUMNS_FREE, plain=options.ascii_only
        )


def picture(turn: Turn, *, width: int, plain: bool) -> RenderableType:
    """Return a turn as it stands.

    Args:
        turn: What to show.
        width: The columns there are.
        plain: Whether only ASCII can be shown.
    """
    return Panel(
        Group(*_parts(turn, max(_MIN_BARS, width - _COLUMNS_AROUND), plain=plain)),
        width=width,
        title=f"meshrt {__version__} on {turn.backend}",
        title_align="left",
        border_style="cyan",
    )


def _parts(turn: Turn, bars: int, *, plain: bool) -> list[RenderableType]:
    return [
        Text(_status(turn), style="dim", no_wrap=True, overflow="ellipsis"),
        Text(),
        _voices(turn, bars, _BARS_ASCII if plain else _BARS),
        Text(),
        _happened(turn),
        _words(turn.transcript),
    ]


def _status(turn: Turn) -> str:
    return f"{turn.model} at {turn.server}" if turn.model else "connecting ..."


def _voices(turn: Turn, bars: int, alphabet: str) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=5)
    table.add_column(width=bars, no_wrap=True)
    table.add_column(width=8, justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    if turn.question_ms:
        _add_speech(table, turn, bars, alphabet)
    else:
        table.add_row("you", Text(one_line(turn.question), overflow="ellipsis", style="green"))
    table.add_row(
        "model",
        Text(_received_bars(turn, bars, alphabet), style="magenta"),
        loudest(turn.received_levels) if turn.received_levels else "",
        seconds(turn.received_ms),
    )
    return table


def _add_speech(table: Table, turn: Turn, bars: int, alphabet: str) -> None:
    said_ms = min(turn.sent_ms, turn.question_ms)
    table.add_row(
        "you",
        Text(_sent_bars(turn, bars, alphabet), style="green"),
        loudest(turn.sent_levels) if turn.sent_levels else "",
        f"{said_ms / 1000:.1f} of {seconds(turn.question_ms)}",
    )
    table.add_row("", ProgressBar(total=turn.question_ms, completed=said_ms, width=bars), "", "")


def _sent_bars(turn: Turn, bars: int, alphabet: str) -> str:
    """Fit the question to the columns, so that its bars stand over its progress."""
    total = max(1, round(turn.question_ms / CHUNK_MS))
    levels = turn.sent_levels[:total]
    edges = [round(place * total / bars) for place in range(bars + 1)]
    return "".join(_bar(levels[start:end], alphabet) for start, end in pairwise(edges))


def _received_bars(turn: Turn, bars: int, alphabet: str) -> str:
    """Show the newest: nobody knows how long a reply will be."""
    step = _RECEIVED_LEVELS_PER_BAR
    levels = list(turn.received_levels)
    drawn = [_bar(levels[at : at + step], alphabet) for at in range(0, len(levels), step)]
    return "".join(drawn[-bars:])


def _bar(levels: Sequence[float], alphabet: str) -> str:
    if not levels:
        return ""
    share = (max(levels) - _QUIET_DBFS) / (_LOUD_DBFS - _QUIET_DBFS)
    return alphabet[round(min(max(share, 0.0), 1.0) * (len(alphabet) - 1))]


def _happened(turn: Turn) -> Text:
    return Text(one_line("; ".join(turn.notes[1:])), style="dim")


def _words(transcript: str) -> Text:
    shown = one_line(transcript)
    if len(shown) > _WORDS_SHOWN:
        shown = f"... {shown[-_WORDS_SHOWN:]}"
    return Text(shown, style="bold")
