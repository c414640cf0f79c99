"""The clients that are compared, each used in the way that its own documentation shows.

A link is one connection that has been greeted. Its methods are loops of the library's own kind,
so that nothing of ours stands between the library and the clock.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Protocol

from ..kinds import Kind


class Heard:
    """Count audio, and see whether it came in order."""

    def __init__(self) -> None:
        self.count = 0
        self.size = 0
        self.disordered = 0

    def add(self, audio: bytes) -> None:
        """Take the audio of one delta."""
        if int.from_bytes(audio[:4], "little") != self.count:
            self.disordered += 1
        self.count += 1
        self.size += len(audio)


class Link(Protocol):
    """A connection."""

    async def ask(self, command: str) -> None:
        """Send a command to the load server, and receive its answer."""

    async def text(self, count: int) -> int:
        """Receive so many deltas of text; return how many characters they had."""

    async def audio(self, count: int, heard: Heard) -> None:
        """Receive so many deltas of audio, decoded."""

    async def append(self, chunks: list[bytes], count: int) -> None:
        """Send a chunk so many times."""

    async def committed(self) -> None:
        """Receive the word that all of them have come."""


Open = Callable[[], AbstractAsyncContextManager[Link]]


def opener(kind: Kind, url: str) -> Open:
    """Import a library, make its client, and return what opens a connection."""
    family = import_module(f".{kind.library.replace('-', '_')}_links", __package__)
    made: Open = family.opener(kind, url)
    return made
