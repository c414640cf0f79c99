"""The gateway under load: ``python -m benchmarks.gateway PID PORT SIZES``.

The clients know just enough of the wire to cost little: what they say was made before, and in what
they hear they look for a few words.
"""

import argparse
import asyncio
import base64
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from websockets.frames import Frame, Opcode

from . import wire
from .checks import expect

_LIMIT_BYTES = 2**22
_STATUS = b"completed"


def _frames(*events: dict[str, Any]) -> bytes:
    texts = [json.dumps(event).encode() for event in events]
    return b"".join(Frame(Opcode.TEXT, text).serialize(mask=True) for text in texts)


HANDSHAKE = (
    f"GET /v1/realtime?model={wire.MODEL} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    f"Authorization: Bearer {wire.KEY}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n"
).encode()
_QUESTION = {"type": "input_text", "text": "What does a session of text cost the one who answers?"}
TURN = _frames(
    {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [_QUESTION]},
    },
    {"type": "response.create", "response": {"output_modalities": ["text"]}},
)
APPEND = _frames(
    {"type": wire.APPEND_TYPE, "audio": base64.b64encode(bytes(wire.CHUNK_BYTES)).decode()}
)
CLEAR = _frames({"type": wire.CLEAR_TYPE})


class Client:
    """A connection that has been greeted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        """Open one."""
        made = cls(*await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT_BYTES))
        made._writer.write(HANDSHAKE)
        await made._until(b'"type":"session.created"')
        return made

    async def _until(self, words: bytes) -> None:
        heard = await self._reader.readuntil(words)
        expect(heard.count(b'"type":"error"'), 0)

    async def turn(self) -> None:
        """Ask a question, and receive all of the answer."""
        self._writer.write(TURN)
        await self._until(b'"type":"response.done"')
        await self._until(b'"status":"')
        expect(await self._reader.readexactly(len(_STATUS)), _STATUS)

    async def append(self, count: int) -> None:
        """Send 20 ms of silence so many times, and receive the word that all of it was taken."""
        for _ in range(count):
            self._writer.write(APPEND)
            await self._writer.drain()
        self._writer.write(CLEAR)
        await self._until(b'"type":"input_audio_buffer.cleared"')

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used, all its threads together.

    Raises:
        OSError: There is no such process, or this is not Linux.
    """
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(
    pid: int, port: int, *, clients: int, turns: int, appends: int
) -> dict[str, float]:
    """Let all clients have their turns, and then all of them send audio."""

    async def cost(work: Callable[[Client], Awaitable[None]], count: int) -> tuple[float, float]:
        began, cpu = perf_counter(), cpu_s(pid)
        await asyncio.gather(*map(work, callers))
        took, cpu = perf_counter() - began, cpu_s(pid) - cpu
        return count * clients / took, 1e6 * cpu / (count * clients)

    async def talk(client: Client) -> None:
        for _ in range(turns):
            await client.turn()

    callers = [await Client.connect(port) for _ in range(clients)]
    await asyncio.gather(*(client.turn() for client in callers))
    turns_per_s, turn_us = await cost(talk, turns)
    appends_per_s, append_us = await cost(lambda client: client.append(appends), appends)
    for client in callers:
        client.close()
    return {
        "turns": turns_per_s,
        "turn_cpu": turn_us,
        "appends": appends_per_s,
        "append_cpu": append_us,
    }


def main() -> None:
    """Read the command line, measure, and print what that gave."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("pid", type=int)
    parser.add_argument("port", type=int)
    parser.add_argument("sizes", type=json.loads)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.pid, options.port, **options.sizes))))


if __name__ == "__main__":
    main()
