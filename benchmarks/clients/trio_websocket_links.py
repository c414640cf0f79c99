"""trio-websocket with msgspec and pybase64: the best that a user of Trio would write by hand."""

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pybase64
import trio_websocket

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


class _Event(msgspec.Struct):
    type: str
    delta: str = ""


class _Clear(msgspec.Struct):
    event_id: str
    type: str = CLEAR_TYPE


class _Append(msgspec.Struct):
    audio: str
    type: str = APPEND_TYPE


_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(_Event).decode


def append_of(chunk: bytes) -> str:
    """Return the text that appends audio."""
    return _encode(_Append(pybase64.b64encode(chunk).decode())).decode()


@dataclass(frozen=True)
class _TrioWebSocket:
    socket: Any

    async def _until(self, wire_name: str) -> None:
        while decode(await self.socket.get_message()).type != wire_name:
            pass

    async def ask(self, command: str) -> None:
        await self.socket.send_message(_encode(_Clear(command)).decode())
        await self._until(CLEARED_TYPE)

    async def text(self, count: int) -> int:
        size = 0
        while count:
            event = decode(await self.socket.get_message())
            if event.type == TEXT_TYPE:
                size += len(event.delta)
                count -= 1
        return size

    async def audio(self, count: int, heard: Heard) -> None:
        while heard.count < count:
            event = decode(await self.socket.get_message())
            if event.type == AUDIO_TYPE:
                heard.add(pybase64.b64decode(event.delta, validate=True))

    async def append(self, chunks: list[bytes], count: int) -> None:
        for number in range(count):
            await self.socket.send_message(append_of(chunks[number % len(chunks)]))

    async def committed(self) -> None:
        await self._until(COMMITTED_TYPE)


def opener(_kind: Kind, url: str) -> Open:
    """Return what opens a connection."""
    context = ssl.create_default_context() if url.startswith("https:") else None
    address = f"{url.replace('http', 'ws', 1)}/v1/realtime?model={MODEL}"
    headers = [(b"Authorization", f"Bearer {KEY}".encode())]

    @asynccontextmanager
    async def connect() -> Any:
        opening = trio_websocket.open_websocket_url(address, context, extra_headers=headers)
        async with opening as socket:
            await socket.get_message()
            yield _TrioWebSocket(socket)

    return connect
