"""OpenAI's own client."""

import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ..kinds import Kind
from ..wire import AUDIO_TYPE, CLEARED_TYPE, COMMITTED_TYPE, KEY, MODEL, TEXT_TYPE
from . import Heard, Open


@dataclass(frozen=True)
class _OpenAI:
    connection: Any

    async def ask(self, command: str) -> None:
        await self.connection.input_audio_buffer.clear(event_id=command)
        while (await self.connection.recv()).type != CLEARED_TYPE:
            pass

    async def text(self, count: int) -> int:
        size = 0
        async for event in self.connection:
            if event.type == TEXT_TYPE:
                size += len(event.delta)
                count -= 1
                if not count:
                    break
        return size

    async def audio(self, count: int, heard: Heard) -> None:
        async for event in self.connection:
            if event.type == AUDIO_TYPE:
                heard.add(base64.b64decode(event.delta))
                if heard.count == count:
                    break

    async def append(self, chunks: list[bytes], count: int) -> None:
        for number in range(count):
            encoded = base64.b64encode(chunks[number % len(chunks)]).decode()
            await self.connection.input_audio_buffer.append(audio=encoded)

    async def committed(self) -> None:
        while (await self.connection.recv()).type != COMMITTED_TYPE:
            pass


def opener(_kind: Kind, url: str) -> Open:
    """Return what opens a session."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY)

    @asynccontextmanager
    async def connect() -> Any:
        async with client.realtime.connect(model=MODEL) as connection:
            await connection.recv()
            yield _OpenAI(connection)

    return connect
