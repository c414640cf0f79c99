"""A turn shown without a terminal: as lines for people, as JSON for programs."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol, Self, final

from .._version import __version__
from ._conversation import Report
from ._outcome import one_line, say
from ._turn import CHUNK_MS, Turn

_LEVELS_PER_S: Final = 1000 // CHUNK_MS
_DUMB: Final = ("dumb", "unknown")


class Display(AbstractContextManager["Display"], Protocol):
    """What shows a turn while it happens."""

    def show(self) -> None:
        """Show what is new."""
        ...

    def finish(self, report: Report, out: Path) -> None:
        """Show what came of it."""
        ...


def is_for_lines() -> bool:
    """Tell whether stdout shows lines and no more: a pipe, a file, a terminal without a cursor."""
    return not sys.stdout.isatty() or os.environ.get("TERM", "") in _DUMB


def seconds(ms: float) -> str:
    """Return a time in seconds, with one decimal."""
    return f"{ms / 1000:.1f} s"


def loudest(levels: list[float]) -> str:
    """Return the highest of some levels in words."""
    top = max(levels, default=float("-inf"))
    return "silence" if top == float("-inf") else f"{top:.0f} dB"


def ending(report: Report, out: Path) -> tuple[str, str]:
    """Say how the session ended and where the reply is."""
    closed = report.closed
    return (
        f"closed by the {closed.initiator} with code {closed.code}",
        f"the reply is in {one_line(str(out))}, {seconds(report.received_audio_ms)}",
    )


@final
class Lines(AbstractContextManager["Lines"]):
    """Plain lines without control codes, one for each thing that happens."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._notes = 0
        self._sent_s = 0
        self._received_s = 0

    def __enter__(self) -> Self:
        """Say who is speaking."""
        turn = self._turn
        length = f", {seconds(turn.question_ms)}" if turn.question_ms else ""
        say(f"meshrt {__version__} on {turn.backend} asks {turn.question}{length}")
        return self

    def __exit__(self, *_: object) -> None:
        """Have nothing to tidy up."""

    def show(self) -> None:
        """Print what is new."""
        say(*self._news())

    def finish(self, report: Report, out: Path) -> None:
        """Print the reply's words, the end, and where the audio is."""
        level = loudest(self._turn.received_levels)
        say(
            f"received {seconds(report.received_audio_ms)}, {level}",
            f"reply: {one_line(report.transcript)}",
            *ending(report, out),
        )

    def _news(self) -> Iterator[str]:
        turn = self._turn
        for note in turn.notes[self._notes :]:
            self._notes += 1
            yield one_line(note)
        if turn.sent_ms // 1000 > self._sent_s:
            self._sent_s = int(turn.sent_ms // 1000)
            yield f"sent {self._sent_s}.0 s, {loudest(turn.sent_levels[-_LEVELS_PER_S:])}"
        if turn.received_ms // 1000 > self._received_s:
            self._received_s = int(turn.received_ms // 1000)
            level = loudest(turn.received_levels[-_LEVELS_PER_S:])
            yield f"received {self._received_s}.0 s, {level}: {one_line(turn.transcript)}"


@final
class Json(AbstractContextManager["Json"]):
    """Nothing, and at the end one JSON object on one line."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def __exit__(self, *_: object) -> None:
        """Have nothing to tidy up."""

    def show(self) -> None:
        """Show nothing."""

    def finish(self, report: Report, out: Path) -> None:  # noqa: ARG002  the caller knows where
        """Print the report."""
        closed = report.closed
        fields = {
            "backend": self._turn.backend,
            "session_id": report.session_id,
            "model": report.model,
            "sent_audio_ms": report.sent_audio_ms,
            "received_audio_ms": report.received_audio_ms,
            "transcript": report.transcript,
            "first_audio_ms": report.first_audio_ms,
            "events": report.events,
            "closed": {
                "code": closed.code,
                "reason": closed.reason,
                "initiator": closed.initiator,
            },
        }
        say(json.dumps(fields))
