"""meshrt, over either of its transports."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ..kinds import Kind
from ..wire import CLEAR_TYPE, CLEARED_TYPE, COMMITTED_TYPE, KEY, MODEL
from . import Heard, Open

_ROOM_BYTES = 2**30  # a flood is no conversation: let meshrt buffer what it reads ahead


@dataclass(frozen=True)
class _Meshrt:
    session: Any

    async def ask(self, command: str) -> None:
        await self.session.send({"type": CLEAR_TYPE, "event_id": command})
        while (await self.session.receive()).event.type != CLEARED_TYPE:
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
        while (await self.session.receive()).event.type != COMMITTED_TYPE:
            pass


def opener(kind: Kind, url: str) -> Open:
    """Return what opens a session."""
    from meshrt import MeshAPI

    client = MeshAPI(base_url=url, token=KEY)
    options: dict[str, Any] = {"transport": kind.transport} if kind.transport else {}

    @asynccontextmanager
    async def connect() -> Any:
        opening = client.realtime.connect(model=MODEL, buffer_bytes=_ROOM_BYTES, **options)
        async with opening as session:
            yield _Meshrt(session)

    return connect
