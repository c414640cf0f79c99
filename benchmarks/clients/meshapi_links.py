"""The vendor's own client."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ..kinds import Kind
from ..wire import CLEAR_TYPE, CLEARED_TYPE, COMMITTED_TYPE, KEY, MODEL, TEXT_TYPE
from . import Heard, Open


@dataclass(frozen=True)
class _MeshAPI:
    session: Any

    async def ask(self, command: str) -> None:
        await self.session.send({"type": CLEAR_TYPE, "event_id": command})
        while (await self.session.receive()).event["type"] != CLEARED_TYPE:
            pass

    async def text(self, count: int) -> int:
        size = 0
        async for message in self.session:
            if message.event["type"] == TEXT_TYPE:
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
        while (await self.session.receive()).event["type"] != COMMITTED_TYPE:
            pass


def opener(_kind: Kind, url: str) -> Open:
    """Return what opens a session."""
    from meshapi import AsyncMeshAPI  # type: ignore[import-untyped]

    client = AsyncMeshAPI(base_url=url, token=KEY)

    @asynccontextmanager
    async def connect() -> Any:
        async with client.realtime.connect(model=MODEL) as session:
            await session.receive()
            yield _MeshAPI(session)

    return connect
