"""What is read and written past websockets' codec is what that would have made of it."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, strategies as st
from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from websockets.utils import apply_mask

from meshrt.transports._frames import FrameCodec
from meshrt.transports._writing import WRITE_BYTES

LIMIT = 150_000
SIZES = (0, 1, 125, 126, 127, 2**16 - 1, 2**16, 70_001, LIMIT, LIMIT + 1)
RESERVED = b"\n"  # a payload that ends so has a reserved bit set in its header
ODD = (b"", "€".encode(), b"\xe2\x82", b"\xff", b"\x82\xac")


def websockets_codec(
    *, is_client: bool, limit: int | None = LIMIT
) -> ClientProtocol | ServerProtocol:
    if is_client:
        return ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=limit)
    return ServerProtocol(state=State.OPEN, max_size=limit)


def by_websockets(data: bytes, *, is_client: bool) -> tuple[object, ...]:
    """Return the messages, the CLOSE and the code of the fault, in the plain and slow way."""
    codec, messages, parts = websockets_codec(is_client=is_client), list[str | bytes](), b""
    codec.receive_data(data)
    kind = Opcode.TEXT
    for frame in codec.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode is Opcode.CLOSE:
            return messages, Close.parse(frame.data), None
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            continue
        if frame.opcode is not Opcode.CONT:
            kind, parts = frame.opcode, b""
        parts += frame.data
        if kind is Opcode.TEXT and not is_utf8(parts, whole=frame.fin):
            return messages, None, 1007
        if frame.fin:
            messages.append(parts.decode() if kind is Opcode.TEXT else parts)
    if codec.parser_exc is None or codec.close_rcvd is not None:
        return messages, codec.close_rcvd, None
    return messages, None, 1009 if isinstance(codec.parser_exc, PayloadTooBig) else 1002


def is_utf8(data: bytes, *, whole: bool) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return not whole and error.reason == "unexpected end of data"
    return True


def by_ours(pieces: Sequence[bytes], *, is_client: bool) -> tuple[object, ...]:
    codec = FrameCodec(websockets_codec(is_client=is_client))
    messages = []
    for piece in pieces:
        codec.feed(piece, 0.0)
        messages += codec.take()
    return messages, codec.close, codec.fault and codec.fault.close_code


def on_the_wire(frame: Frame, key: bytes) -> bytes:
    bare = frame.serialize(mask=False)
    if frame.data[-1:] == RESERVED:  # websockets makes no frame that breaks the rules
        bare = bytes((bare[0] | 0x40,)) + bare[1:]
    if not key:
        return bare
    start = len(bare) - len(frame.data)
    return bytes((bare[0], bare[1] | 0x80)) + bare[2:start] + key + apply_mask(frame.data, key)


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    size, odd = draw(st.sampled_from(SIZES)), draw(st.sampled_from(ODD))
    at = draw(st.integers(0, max(0, size - len(odd))))
    return (b"x" * at + odd + b"y" * (size - at - len(odd)))[:size] if size else b""


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    kinds = [Opcode.TEXT, Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.CLOSE]
    kind = draw(st.sampled_from(kinds))
    if kind is Opcode.CLOSE:
        return Frame(kind, draw(st.sampled_from((b"", Close(4000, "€").serialize()))))
    data = draw(payloads())
    if kind is Opcode.PING:
        return Frame(kind, data[:125])
    reserved = draw(st.sampled_from((b"", b"", b"", b"", RESERVED)))
    return Frame(kind, data + reserved, draw(st.sampled_from((True, True, False))))


@st.composite
def streams(draw: st.DrawFn, *, is_client: bool) -> tuple[bytes, list[bytes]]:
    key = b"" if is_client else draw(st.binary(min_size=4, max_size=4))
    data = b"".join(on_the_wire(frame, key) for frame in draw(st.lists(frames(), max_size=5)))
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=6))
    return data, [data[a:b] for a, b in pairwise([0, *sorted(cuts), len(data)])]


@given(streams(is_client=True))
def test_a_client_reads_what_websockets_reads(stream: tuple[bytes, list[bytes]]) -> None:
    whole, pieces = stream
    assert by_ours(pieces, is_client=True) == by_websockets(whole, is_client=True)


@given(streams(is_client=False))
def test_a_server_reads_what_websockets_reads(stream: tuple[bytes, list[bytes]]) -> None:
    whole, pieces = stream
    assert by_ours(pieces, is_client=False) == by_websockets(whole, is_client=False)


@pytest.mark.parametrize("is_client", [True, False])
def test_two_bytes_are_judged_when_websockets_judges_them(is_client: bool) -> None:
    for first in range(256):
        for second in (0, 125, 126, 127, 128, 253, 254, 255):
            data = bytes((first, second))
            of_websockets = by_websockets(data, is_client=is_client)
            assert by_ours([data], is_client=is_client) == of_websockets, data
            assert by_ours([data[:1], data[1:]], is_client=is_client) == of_websockets, data


@pytest.mark.parametrize("first", [0x91, 0xC2, 0x89, 0x8A, 0x88, 0x09], ids=hex)
@pytest.mark.parametrize("is_client", [True, False])
def test_no_message_is_read_out_of_a_frame_that_is_wrong(is_client: bool, first: int) -> None:
    # Its length, and what follows, look like the beginning of a frame.
    head = bytes((first, 126 if is_client else 254))
    text = b"\x81\x02hi" if is_client else b"\x81\xff" + (2**16).to_bytes(8, "big")
    rest = text + bytes(2**17)
    for cut in (1, 2, 3, 4):
        pieces = [(head + rest)[:cut], (head + rest)[cut:100], (head + rest)[100:]]
        assert by_ours(pieces[:2], is_client=is_client) == ([], None, None)
        assert by_ours(pieces, is_client=is_client) == ([], None, 1002)


@pytest.mark.parametrize("limits", [(None, 9), (5, 9), (99, 9)])
def test_the_smaller_of_two_limits_counts(limits: tuple[int | None, int]) -> None:
    codec = websockets_codec(is_client=True)
    if not hasattr(codec, "max_fragment_size"):
        pytest.skip("this websockets has one limit only")
    codec.max_message_size, codec.max_fragment_size = limits
    ours = FrameCodec(codec)
    ours.feed(b"\x81\x04four", 0.0)
    ours.feed(b"\x81\x0aten-------", 0.0)
    assert ours.take() == ["four"]
    assert ours.fault is not None
    assert ours.fault.close_code == 1009


@pytest.mark.parametrize("is_client", [True, False])
@pytest.mark.parametrize("size", [2**16, LIMIT])
def test_a_long_frame_is_read_wherever_it_is_cut(is_client: bool, size: int) -> None:
    key, text = b"" if is_client else b"\x01\x02\x03\xff", "€" * (size // 3) + "x" * (size % 3)
    data = on_the_wire(Frame(Opcode.TEXT, text.encode()), key) + on_the_wire(
        Frame(Opcode.BINARY, b"after"), key
    )
    for cut in (*range(20), size - 1, size, len(data) - 7, len(data) - 1):
        read = by_ours([data[:cut], data[cut:]], is_client=is_client)
        assert read == ([text, b"after"], None, None)
    pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    assert by_ours(pieces, is_client=is_client) == ([text, b"after"], None, None)


@pytest.mark.parametrize("is_client", [True, False])
def test_bad_text_in_a_long_frame_is_found_before_its_end(is_client: bool) -> None:
    key = b"" if is_client else b"abcd"
    data = on_the_wire(Frame(Opcode.TEXT, b"x" * 10 + b"\xff" + b"x" * 2**16), key)
    assert by_ours([data[:40]], is_client=is_client) == ([], None, 1007)


def test_a_long_length_for_a_short_frame_is_read_as_websockets_does() -> None:
    data = b"\x81\x7f" + (5).to_bytes(8, "big") + b"short"
    assert by_ours([data], is_client=True) == by_websockets(data, is_client=True)


@given(st.lists(st.one_of(st.text(), st.binary(), payloads()), max_size=6), st.booleans())
@example(["x" * (WRITE_BYTES + 3), b"y" * (3 * WRITE_BYTES), "", b"z"], True)
@example(["x" * (WRITE_BYTES + 3), b"y" * (3 * WRITE_BYTES), "", b"z"], False)
def test_what_is_written_is_what_websockets_reads(
    batch: list[str | bytes], is_client: bool
) -> None:
    codec = FrameCodec(websockets_codec(is_client=is_client))
    codec.ping()
    receiver = websockets_codec(is_client=not is_client, limit=None)
    pieces = list(codec.encode(batch))
    for piece in pieces:
        receiver.receive_data(piece)
    assert receiver.parser_exc is None
    read = [frame for frame in receiver.events_received() if isinstance(frame, Frame)]
    kinds = [Opcode.TEXT if isinstance(each, str) else Opcode.BINARY for each in batch]
    assert [frame.opcode for frame in read] == [Opcode.PING, *kinds]
    assert [bytes(frame.data) for frame in read[1:]] == [
        each.encode() if isinstance(each, str) else each for each in batch
    ]
    assert max(map(len, pieces)) <= 2 * WRITE_BYTES + 64


def test_a_short_batch_is_one_write_and_nothing_is_none() -> None:
    codec = FrameCodec(websockets_codec(is_client=True))
    assert list(codec.encode(["a", b"b"] * 100))[1:] == []
    assert list(codec.encode([])) == [b""]


def test_no_two_frames_have_the_same_key() -> None:
    codec = FrameCodec(websockets_codec(is_client=True))
    (data,) = codec.encode(["x"] * 1000)
    assert len({data[at + 2 : at + 6] for at in range(0, len(data), 7)}) > 990
