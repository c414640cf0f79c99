"""Whatever becomes of a stream of frames on its way, one of three ends comes of it."""

import random
import tracemalloc
from collections.abc import Awaitable, Callable

import anyio
import pytest
from support import Pieces, corrupt, cuts, server_frame, some_bytes
from support._frames import CONT, PING, TEXT
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from meshrt.errors import RemoteProtocolError
from meshrt.transports import ConnectionLost, WebSocketTransport
from meshrt.transports._frames import FrameCodec
from meshrt.transports._reader import SLICE_BYTES

pytestmark = pytest.mark.anyio

MIB = 2**20
LIMIT = 16 * MIB
ENDS = (anyio.EndOfStream, ConnectionLost, RemoteProtocolError)


def protocol(max_size: int = LIMIT) -> ClientProtocol:
    return ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=max_size)


def test_ten_thousand_corruptions_are_messages_and_at_most_one_fault() -> None:
    chance, faults = random.Random(8), 0
    for _ in range(10_000):
        codec = FrameCodec(protocol())
        for now, piece in enumerate(cuts(corrupt(some_bytes(chance), chance), chance)):
            codec.feed(piece, now)
        assert all(isinstance(message, str | bytes) for message in codec.take())
        assert not (codec.fault and codec.close)
        assert len(codec.control) < 18 * 131
        faults += codec.fault is not None
    assert 2_000 < faults < 9_000


async def test_a_corrupted_stream_ends_in_one_of_three_ways(
    drain: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
) -> None:
    chance, ends = random.Random(9), set[type[Exception]]()
    for _ in range(300):
        pieces = cuts(corrupt(some_bytes(chance), chance), chance)
        transport = WebSocketTransport(Pieces(pieces), protocol())
        with pytest.raises(ENDS) as caught:
            await drain(transport.receive)
        ends.add(caught.type)
    assert ends == {*ENDS}


def peak_of(act: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [LIMIT + 1, 2**62])
async def test_a_message_beyond_the_limit_is_refused_by_its_header(size: int) -> None:
    codec = FrameCodec(protocol())
    header = bytes([0x80 | TEXT, 127]) + size.to_bytes(8)

    assert peak_of(lambda: codec.feed(header, 0.0)) < 100_000
    assert codec.fault is not None
    assert codec.fault.close_code == 1009

    transport = WebSocketTransport(Pieces([header]), protocol())
    with pytest.raises(RemoteProtocolError) as caught:
        await transport.receive()
    assert caught.value.close_code == 1009
    assert not isinstance(caught.value, ConnectionLost), "it would come again"


@pytest.mark.parametrize("fragments", [1, 7])
async def test_a_message_of_the_limit_passes_and_a_byte_more_does_not(fragments: int) -> None:
    for size, passes in ((5_000, True), (5_001, False)):
        parts = [bytes(size)[n::fragments] for n in range(fragments)]
        last = fragments - 1
        frames = [
            server_frame(CONT if n else TEXT, part, fin=n == last) for n, part in enumerate(parts)
        ]
        transport = WebSocketTransport(Pieces(frames), protocol(max_size=5_000))
        if passes:
            assert await transport.receive() == ["\0" * size]
            continue
        with pytest.raises(RemoteProtocolError, match="larger than the limit"):
            await transport.receive()


@pytest.mark.parametrize(
    ("begun", "frame"),
    [
        (b"", server_frame(PING, b"")),
        (b"", server_frame(PING, b"x" * 125)),
        (server_frame(TEXT, b"", fin=False), server_frame(CONT, b"", fin=False)),
    ],
)
def test_of_a_million_idle_frames_few_are_parsed(begun: bytes, frame: bytes) -> None:
    codec, fed = FrameCodec(protocol()), 0
    million = begun + frame * 1_000_000

    def feed_all() -> None:
        nonlocal fed
        for start in range(0, len(million), SLICE_BYTES):
            fed += SLICE_BYTES * (codec.fault is None)
            codec.feed(million[start : start + SLICE_BYTES], 0.0)

    assert peak_of(feed_all) < 4 * MIB
    assert fed < 10 * SLICE_BYTES
    assert codec.fault is not None
    assert codec.fault.close_code == 1008
    assert len(codec.control) < 18 * 131
