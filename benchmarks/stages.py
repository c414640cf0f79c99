"""Where a paced delta's time goes: ``python -m benchmarks.stages KIND URL SIZES``.

Three times the same traffic: read as bytes from AnyIO's stream and not looked at, as messages of
meshrt's transport, and as events of a session. The first is what no library on AnyIO is below.
"""

import argparse
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import anyio
import anyio.abc
from websockets.frames import Frame, Opcode

from . import loops, wire
from .checks import expect
from .clients import Heard, Open, opener
from .kinds import KINDS, MESHRT
from .worker import paced

_READ_BYTES = 256 * 1024
_WARM_COUNT = 5
_REQUEST = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: c3RhZ2Vz\r\n\r\n"  # the load server asks no more


@dataclass
class _Bytes:
    """A connection whose bytes are counted."""

    stream: anyio.abc.ByteStream
    ahead: int = 0  # of those that came with the answer to a command

    async def ask(self, command: str) -> None:
        frame = Frame(Opcode.TEXT, _command(command).encode())
        await self.stream.send(frame.serialize(mask=True))
        await self._skip(len(wire.CLEARED))

    async def audio(self, count: int, heard: Heard) -> None:
        await self._skip(_size_of(count))
        heard.count = count

    async def greeting(self) -> None:
        await self.stream.send(_REQUEST)
        data = b""
        while not data.endswith(wire.CREATED):
            data += await self.stream.receive(_READ_BYTES)

    async def _skip(self, size: int) -> None:
        while self.ahead < size:
            self.ahead += len(await self.stream.receive(_READ_BYTES))  # as the transport does
        self.ahead -= size


@dataclass
class _Messages:
    """A connection whose messages are counted."""

    transport: Any
    ahead: int = 0  # those that came with the answer to a command

    async def ask(self, command: str) -> None:
        await self.transport.send([_command(command)])
        self.ahead = len(await self.transport.receive()) - 1

    async def audio(self, count: int, heard: Heard) -> None:
        heard.count = self.ahead
        while heard.count < count:
            heard.count += len(await self.transport.receive())


def _command(command: str) -> str:
    return json.dumps({"type": wire.CLEAR_TYPE, "event_id": command}, separators=(",", ":"))


@cache
def _size_of(count: int) -> int:
    return sum(map(len, wire.audio_deltas(count, wire.CHUNK_BYTES)))


@asynccontextmanager
async def _open_bytes(url: str) -> Any:
    host, port = url.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        link = _Bytes(stream)
        await link.greeting()
        yield link


@asynccontextmanager
async def _open_messages(url: str) -> Any:
    from meshrt.transports import Endpoint, connect_websocket

    transport = await connect_websocket(Endpoint.parse(url, path="/v1/realtime"))
    try:
        expect(len(await transport.receive()), 1)
        yield _Messages(transport)
    finally:
        await transport.abort()


async def measure(stages: dict[str, Open], sizes: dict[str, int]) -> dict[str, float]:
    """Return the CPU time of a delta in µs, up to each stage."""
    _size_of(sizes["count"])  # takes longer than the deltas do
    for connect in stages.values():
        await paced(connect, sessions=1, count=_WARM_COUNT)  # what is made once is made by then
    return {stage: await _cost(connect, sizes) for stage, connect in stages.items()}


async def _cost(connect: Open, sizes: dict[str, int]) -> float:
    figures = await paced(connect, **sizes)
    expect((figures["delivered"], figures["disordered"]), (1.0, 0))
    return figures["cpu"]


def main() -> None:
    """Measure all stages in turn, and print what that gave."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("kind", choices=[kind.name for kind in MESHRT])
    parser.add_argument("url")
    parser.add_argument("sizes", type=json.loads)
    options = parser.parse_args()
    kind = KINDS[options.kind]
    stages: dict[str, Open] = {
        "bytes": partial(_open_bytes, options.url),
        "messages": partial(_open_messages, options.url),
        "session": opener(kind, options.url),
    }
    print(json.dumps(loops.run(kind.loop, partial(measure, stages, options.sizes))))


if __name__ == "__main__":
    main()
