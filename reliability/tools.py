"""What the checks share: a tally, a watch, an account of memory, and a server as a process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, cast

import anyio
import anyio.to_thread
from support import complaints, created, text_delta

from meshrt.session import RealtimeMessage

ROOT: Final = Path(__file__).parents[1]
MIB: Final = 2**20
CLEAR: Final = {"type": "input_audio_buffer.clear"}
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_REMARK: Final = 120  # characters: it stands in a table


class Tally:
    """How often something was tried, and what was wrong with it."""

    def __init__(self) -> None:
        self.tried = 0
        self.wrong: list[str] = []
        self.worst_s = 0.0
        self.worst_where = ""

    def took(self, seconds: float, where: str = "") -> None:
        """Note a time and what took it; the worst is kept."""
        if seconds > self.worst_s:
            self.worst_s, self.worst_where = seconds, where

    def __add__(self, other: "Tally") -> "Tally":
        """Return both in one."""
        both = Tally()
        both.tried = self.tried + other.tried
        both.wrong = self.wrong + other.wrong
        for each in (self, other):
            both.took(each.worst_s, each.worst_where)
        return both

    def expect(self, holds: object, what: str) -> None:
        """Note a try, and what is wrong unless something holds."""
        self.tried += 1
        if not holds:
            self.wrong.append(what)

    def found(self) -> tuple[float, str]:
        """Return how many were wrong, and of how many; the first wrong one is named."""
        return len(self.wrong), self.remark()

    def remark(self) -> str:
        """Return of how many, and the first wrong one."""
        first = f": {self.wrong[0]}" if self.wrong else ""
        words = " ".join(f"of {self.tried:,}{first}".replace("|", "/").split())
        return words[:_REMARK]

    def worst(self) -> tuple[float, str]:
        """Return the worst time, and what took it."""
        return self.worst_s, self.worst_where


class Watch:
    """How many seconds have passed."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def s(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self._began


@contextmanager
def unheard(tally: Tally) -> Iterator[None]:
    """Count as wrong whatever is raised meanwhile where nobody can catch it."""
    with complaints() as complained:
        yield
    tally.wrong += complained


def resident_bytes() -> int:
    """Return how much memory this process has now."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES


def greeting_and(count: int) -> list[dict[str, Any]]:
    """Return a greeting and so many numbered events."""
    return [created(), *map(text_delta, range(count))]


def numbers_of(messages: list[RealtimeMessage]) -> list[int]:
    """Return the numbers of numbered events."""
    return [
        int(message.event.data["delta"])
        for message in messages
        if message.event.type == "response.output_text.delta"
    ]


async def until(holds: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: It does not.
    """
    with anyio.fail_after(within_s):
        while not holds():  # noqa: ASYNC110  there is no event for it
            await anyio.sleep(0.002)


class Peer:
    """A server in a process of its own, so that it can be killed and takes no memory of ours."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.port = int(self._line())

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        self._process.kill()

    async def says(self) -> str:
        """Wait for a line of its output."""
        return await anyio.to_thread.run_sync(self._line)

    def _line(self) -> str:
        return cast("IO[str]", self._process.stdout).readline().strip()


@contextmanager
def peer(script: str, *words: object) -> Iterator[Peer]:
    """Start a script of :mod:`reliability.peer`, and kill it at the end."""
    command = [sys.executable, "-m", "reliability.peer", script, *map(str, words)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Peer(process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
