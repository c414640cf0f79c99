"""websockets with what Python brings along: what most would write by hand."""

import base64
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect as connect_websocket

from ..kinds import Kind
from ..wire import (
    APPEND_TYPE,
    AUDIO_TYPE,
    CLEAR_TYPE,
    CLEARED_TYPE,
    COMMITTED_TYPE,
    KEY,
    MODEL,
    TEXT_TYPE,
)
from . import Heard, Open


@dataclass(frozen=True)
class _WebSockets:
    socket: Any

    async def _until(self, wire_name: str) -> None:
        async for text in self.socket:
            if json.loads(text)["type"] == wire_name:
                break

    async def ask(self, command: str) -> None:
        await self.socket.send(json.dumps({"type": CLEAR_TYPE, "event_id": command}))
        await self._until(CLEARED_TYPE)

    async def text(self, count: int) -> int:
        size = 0
        async for text in self.socket:
            event = json.loads(text)
            if event["type"] == TEXT_TYPE:
                size += len(event["delta"])
                count -= 1
                if not count:
                    break
        return size

    async def audio(self, count: int, heard: Heard) -> None:
        async for text in self.socket:
            event = json.loads(text)
            if event["type"] == AUDIO_TYPE:
                heard.add(base64.b64decode(event["delta"]))
                if heard.count == count:
                    break

    async def append(self, chunks: list[bytes], count: int) -> None:
        for number in range(count):
            audio = base64.b64encode(chunks[number % len(chunks)]).decode()
            await self.socket.send(json.dumps({"type": APPEND_TYPE, "audio": audio}))

    async def committed(self) -> None:
        await self._until(COMMITTED_TYPE)


def opener(_kind: Kind, url: str) -> Open:
    """Return what opens a connection."""
    context = ssl.create_default_context() if url.startswith("https:") else None
    address = f"{url.replace('http', 'ws', 1)}/v1/realtime?model={MODEL}"
    headers = {"Authorization": f"Bearer {KEY}"}

    @asynccontextmanager
    async def connect() -> Any:
        opening = connect_websocket(address, additional_headers=headers, ssl=context)
        async with opening as socket:
            await socket.recv()
            yield _WebSockets(socket)

    return connect
