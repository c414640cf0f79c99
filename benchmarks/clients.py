"""The clients that are compared, each used in the way that its own documentation shows.

A link is one connection that has been greeted. Its methods are loops of the library's own kind,
so that nothing of ours stands between the library and the clock.
"""

import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from . import wire

_KEY = "rsk_benchmark"  # any will do: nobody looks at it
_CLEAR = "input_audio_buffer.clear"
_COMMITTED = "input_audio_buffer.committed"
_TEXT = "response.output_text.delta"
_AUDIO = "response.output_audio.delta"
_ROOM_BYTES = 2**30  # a flood is no conversation: let meshrt buffer what it reads ahead


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


@dataclass(frozen=True)
class Kind:
    """A client library on an event loop."""

    name: str
    library: str
    loop: str

    @property
    def title(self) -> str:
        """What a table calls it."""
        return f"{self.library} on {self.loop}"


TRIO = Kind("meshrt-trio", "meshrt", "Trio")
ASYNCIO = Kind("meshrt-asyncio", "meshrt", "asyncio")
UVLOOP = Kind("meshrt-uvloop", "meshrt", "uvloop")
OPENAI = Kind("openai", "openai", "asyncio")
MESHAPI = Kind("meshapi", "meshapi", "asyncio")
OPENAI_UVLOOP = Kind("openai-uvloop", "openai", "uvloop")
MESHAPI_UVLOOP = Kind("meshapi-uvloop", "meshapi", "uvloop")

KINDS = {
    kind.name: kind
    for kind in (TRIO, ASYNCIO, UVLOOP, OPENAI, MESHAPI, OPENAI_UVLOOP, MESHAPI_UVLOOP)
}


@dataclass(frozen=True)
class _Meshrt:
    session: Any

    async def ask(self, command: str) -> None:
        await self.session.send({"type": _CLEAR, "event_id": command})
        while (await self.session.receive()).event.type != f"{_CLEAR}ed":
            pass

    async def text(self, count: int) -> int:
        from meshrt.events import ResponseOutputTextDelta

        size = 0
        async for message in self.session:
            if isinstance(message.event, ResponseOutputTextDelta):
                size += len(message.event.delta)
                count -= 1
                if not count:
                    break
        return size

    async def audio(self, count: int, heard: Heard) -> None:
        async for message in self.session:
            if audio := message.audio:
                heard.add(audio)
                if heard.count == count:
                    break

    async def append(self, chunks: list[bytes], count: int) -> None:
        for number in range(count):
            await self.session.send_audio(chunks[number % len(chunks)])

    async def committed(self) -> None:
        while (await self.session.receive()).event.type != _COMMITTED:
            pass


@dataclass(frozen=True)
class _OpenAI:
    connection: Any

    async def ask(self, command: str) -> None:
        await self.connection.input_audio_buffer.clear(event_id=command)
        while (await self.connection.recv()).type != f"{_CLEAR}ed":
            pass

    async def text(self, count: int) -> int:
        size = 0
        async for event in self.connection:
            if event.type == _TEXT:
                size += len(event.delta)
                count -= 1
                if not count:
                    break
        return size

    async def audio(self, count: int, heard: Heard) -> None:
        async for event in self.connection:
            if event.type == _AUDIO:
                heard.add(base64.b64decode(event.delta))
                if heard.count == count:
                    break

    async def append(self, chunks: list[bytes], count: int) -> None:
        for number in range(count):
            encoded = base64.b64encode(chunks[number % len(chunks)]).decode()
            await self.connection.input_audio_buffer.append(audio=encoded)

    async def committed(self) -> None:
        while (await self.connection.recv()).type != _COMMITTED:
            pass


@dataclass(frozen=True)
class _MeshAPI:
    session: Any

    async def ask(self, command: str) -> None:
        await self.session.send({"type": _CLEAR, "event_id": command})
        while (await self.session.receive()).event["type"] != f"{_CLEAR}ed":
            pass

    async def text(self, count: int) -> int:
        size = 0
        async for message in self.session:
            if message.event["type"] == _TEXT:
                size += len(message.event["delta"])
                count -= 1
                if not count:
                    break
        return size

    async def audio(self, count: int, heard: Heard) -> None:
        async for message in self.session:
            if message.audio:
                heard.add(message.audio)
                if heard.count == count:
                    break

    async def append(self, chunks: list[bytes], count: int) -> None:
        for number in range(count):
            await self.session.send_audio(chunks[number % len(chunks)])

    async def committed(self) -> None:
        while (await self.session.receive()).event["type"] != _COMMITTED:
            pass


def opener(library: str, url: str) -> Open:
    """Import a library, make its client, and return what opens a connection."""
    return {"meshrt": _open_meshrt, "openai": _open_openai, "meshapi": _open_meshapi}[library](url)


def _open_meshrt(url: str) -> Open:
    from meshrt import MeshAPI

    client = MeshAPI(base_url=url, token=_KEY)

    @asynccontextmanager
    async def connect() -> Any:
        opening = client.realtime.connect(model=wire.MODEL, buffer_bytes=_ROOM_BYTES)
        async with opening as session:
            yield _Meshrt(session)

    return connect


def _open_openai(url: str) -> Open:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=_KEY)

    @asynccontextmanager
    async def connect() -> Any:
        async with client.realtime.connect(model=wire.MODEL) as connection:
            await connection.recv()
            yield _OpenAI(connection)

    return connect


def _open_meshapi(url: str) -> Open:
    from meshapi import AsyncMeshAPI  # type: ignore[import-untyped]

    client = AsyncMeshAPI(base_url=url, token=_KEY)

    @asynccontextmanager
    async def connect() -> Any:
        async with client.realtime.connect(model=wire.MODEL) as session:
            await session.receive()
            yield _MeshAPI(session)

    return connect
