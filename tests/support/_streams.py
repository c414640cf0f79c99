"""Streams of frames as a server may send them: some valid, some corrupted, in any reads."""

import json
import random
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from ._frames import CONT, PING, TEXT, server_frame
from ._raw_server import close_frame, text_frame
from ._wire import PCM, audio_delta, created, text_delta

_WORDS: Final = ("plain", "mañana", "水と音", "🎙️ on air", "x" * 200)


class Pieces(ByteStream):
    """A connection on which these bytes come, each piece in a read of its own."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return the next piece."""
        del max_bytes  # none is so long
        await anyio.lowlevel.checkpoint()
        for piece in self._pieces:
            return piece
        raise anyio.EndOfStream

    async def send(self, item: bytes) -> None:
        """Take what is sent."""
        del item
        await anyio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        """Do nothing."""
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Do nothing."""
        await anyio.lowlevel.checkpoint()

    @property
    def extra_attributes(self) -> Mapping[Any, Any]:
        """Return none."""
        return {}


def some_bytes(chance: random.Random) -> bytes:
    """Make up a stream of frames as a server sends it, most of them valid."""
    frames = [text_frame(created())]
    for _ in range(chance.randrange(1, 8)):
        frames += chance.choice((_event, _fragments, _ping))(chance)
    ends = [close_frame(), close_frame(1001, "Your session hit the maximum duration."), b"\x81"]
    return b"".join([*frames, chance.choice([*ends, b"", server_frame(TEXT, b"\xff")])])


def _event(chance: random.Random) -> list[bytes]:
    kinds = (text_delta(chance.choice(_WORDS)), audio_delta(PCM), {"type": "brand.new", "x": None})
    return [text_frame(chance.choice(kinds))]


def _fragments(chance: random.Random) -> list[bytes]:
    payload = json.dumps(text_delta(chance.choice(_WORDS)), ensure_ascii=False).encode()
    first, second = sorted(chance.choices(range(len(payload)), k=2))
    return [
        server_frame(TEXT, payload[:first], fin=False),
        server_frame(CONT, payload[first:second], fin=False),
        *_ping(chance),
        server_frame(CONT, payload[second:]),
    ]


def _ping(chance: random.Random) -> list[bytes]:
    return [server_frame(PING, chance.randbytes(3))]


def cuts(data: bytes, chance: random.Random) -> list[bytes]:
    """Cut bytes into reads, now and then into reads of one."""
    if chance.random() < 0.1:
        return [data[at : at + 1] for at in range(len(data))]
    marks = sorted({0, len(data), *chance.choices(range(1, len(data)), k=chance.randrange(1, 20))})
    return [data[a:b] for a, b in pairwise(marks)]


def corrupt(data: bytes, chance: random.Random) -> bytes:
    """Change, drop, double or insert some bytes."""
    broken = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(broken) + 1)
        end = at + chance.randrange(9)
        put = (b"", broken[at:end] * 2, chance.randbytes(chance.randrange(1, 9)))
        broken[at:end] = chance.choice(put)
    return bytes(broken)
