"""However the network cuts what a server says, the session hears the same."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
from hypothesis import given, strategies as st
from support import (
    audio_delta,
    close_frame,
    created,
    response_created,
    response_done,
    server_frame,
    text_delta,
    text_frame,
)
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from meshrt.session import Connecting, RealtimeMessage
from meshrt.transports import WebSocketTransport

pytestmark = pytest.mark.anyio

CONT, TEXT, PING, PONG = 0, 1, 9, 10
_WHOLE = json.dumps(text_delta("grüß dich €")).encode()
# Every kind of frame, a message in fragments with a ping inside, lengths short and long.
STREAM = b"".join(
    [
        text_frame(created()),
        text_frame(response_created()),
        server_frame(PING, b"1"),
        server_frame(TEXT, _WHOLE[:100], fin=False),
        server_frame(PING, b"inside"),
        server_frame(CONT, b"", fin=False),
        server_frame(CONT, _WHOLE[100:]),
        text_frame(text_delta("é" * 200)),
        text_frame(audio_delta(bytes(600))),
        server_frame(PONG),
        *(text_frame(text_delta(number)) for number in range(5)),
        text_frame(response_done()),
        close_frame(1000, "bye"),
    ]
)


class Segments(anyio.abc.ByteStream):
    """A stream that gives what it is told, piece by piece, and takes everything."""

    def __init__(self, segments: Sequence[bytes]) -> None:
        self._segments = list(segments)
        self.sent = b""

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.lowlevel.checkpoint()
        if not self._segments:
            raise anyio.EndOfStream
        segment = self._segments.pop(0)
        if len(segment) > max_bytes:
            self._segments.insert(0, segment[max_bytes:])
        return segment[:max_bytes]

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        self.sent += item

    async def send_eof(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()


async def hear(segments: Sequence[bytes]) -> list[RealtimeMessage]:
    async def open_transport(_tasks: object) -> WebSocketTransport:
        await anyio.lowlevel.checkpoint()
        codec = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=2**24)
        return WebSocketTransport(Segments(segments), codec)

    async with Connecting(open_transport) as session:
        messages = [message async for message in session]
    assert session.closed is not None
    assert (session.closed.initiator, session.closed.code, session.closed.reason) == (
        *("server", 1000),
        "bye",
    )
    return messages


def cut(marks: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(set(marks)), len(STREAM)]
    return [STREAM[start:end] for start, end in pairwise(edges) if start < end]


def facts(messages: Sequence[RealtimeMessage]) -> list[tuple[Any, ...]]:
    return [(message.event, message.text, message.audio) for message in messages]


# Many cuts near each other are what splits a head or a character.
marks = st.lists(st.integers(0, len(STREAM)), max_size=30) | st.builds(
    lambda start, count: list(range(start, min(start + count, len(STREAM)))),
    st.integers(0, len(STREAM)),
    st.integers(0, 100),
)


@given(marks=marks)
async def test_any_segmentation_gives_the_same_events(marks: list[int]) -> None:
    assert facts(await hear(cut(marks))) == facts(await hear([STREAM]))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 125, 1000])
async def test_pieces_of_one_size_give_the_same_events(size: int) -> None:
    pieces = cut(range(0, len(STREAM), size))
    messages = await hear(pieces)
    assert facts(messages) == facts(await hear([STREAM]))
    assert len(messages) == 11
