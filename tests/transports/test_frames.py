"""The sans-IO half: bytes in, messages, control frames and an end out."""

import logging
import os
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from meshrt.errors import LocalProtocolError, RemoteProtocolError
from meshrt.transports._frames import SILENT_LOGGER, FrameCodec
from meshrt.transports._reader import SLICE_BYTES

MAX_SIZE = 4096


def client() -> FrameCodec:
    uri = parse_uri("ws://localhost/")
    return FrameCodec(ClientProtocol(uri, state=State.OPEN, max_size=MAX_SIZE))


def server() -> FrameCodec:
    return FrameCodec(ServerProtocol(state=State.OPEN, max_size=MAX_SIZE))


def wire(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


def closing(code: int, reason: str = "") -> bytes:
    return wire(Opcode.CLOSE, Close(code, reason).serialize())


def outcome(codec: FrameCodec, pieces: Sequence[bytes]) -> tuple[object, ...]:
    messages = []
    for piece in pieces:
        codec.feed(piece, 0.0)
        messages += codec.take()
    fault = codec.fault and (codec.fault.close_code, codec.fault.message)
    return messages, codec.close, fault, codec.control.take()[:2]


payloads = st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode))
frames = st.builds(
    Frame,
    st.sampled_from([Opcode.TEXT, Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PONG]),
    payloads.map(lambda data: data[:125]),
    st.booleans() | st.just(True),
).map(lambda frame: frame if frame.opcode is not Opcode.PONG else Frame(Opcode.PONG, frame.data))
streams = st.lists(
    st.one_of(
        frames.map(lambda frame: frame.serialize(mask=False)),
        st.sampled_from([closing(1000), closing(4000, "€"), wire(Opcode.CLOSE, b"")]),
        st.binary(max_size=8),
    ),
    max_size=12,
).map(b"".join)


@given(streams, st.lists(st.integers(0, 2000)))
def test_the_same_bytes_in_any_segmentation_give_the_same(data: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [data[a:b] for a, b in pairwise(bounds)]
    whole = outcome(client(), [data])
    assert outcome(client(), pieces) == whole
    assert outcome(client(), [bytes([byte]) for byte in data]) == whole


@given(st.binary(max_size=2000))
def test_whatever_comes_only_a_fault_comes_of_it(data: bytes) -> None:
    codec = client()
    codec.feed(data, 0.0)
    codec.feed(data, 1.0)
    if codec.fault is not None:
        assert isinstance(codec.fault.error(), RemoteProtocolError)
        assert codec.fault.error() is not codec.fault.error()


@given(st.lists(st.one_of(st.text(), st.binary()), max_size=20))
def test_what_one_side_encodes_the_other_reads(batch: list[str | bytes]) -> None:
    for sender, receiver in ((client(), server()), (server(), client())):
        receiver.feed(b"".join(sender.encode(batch)), 0.0)
        assert receiver.take() == batch


@given(st.text(max_size=300), st.lists(st.integers(0, 900), max_size=9), st.booleans())
def test_fragments_make_the_same_message_wherever_they_are_cut(
    text: str, cuts: list[int], binary: bool
) -> None:
    data = text.encode()
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(bounds)]
    kinds = [Opcode.BINARY if binary else Opcode.TEXT] + [Opcode.CONT] * len(parts)
    codec = client()
    for index, part in enumerate(parts):
        assert not codec.take()
        codec.feed(wire(kinds[index], part, fin=index == len(parts) - 1), 0.0)
        codec.feed(wire(Opcode.PONG, b"between"), 0.0)
    assert codec.take() == [data if binary else text]


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (wire(Opcode.TEXT, b"\xff"), 1007, "not UTF-8"),
        (wire(Opcode.TEXT, b"\xed\xa0\x80"), 1007, "not UTF-8"),
        (wire(Opcode.TEXT, b"\xe2\x82", fin=False) + wire(Opcode.CONT, b""), 1007, "not UTF-8"),
        (wire(Opcode.CLOSE, b"\x03\xe8\xff"), 1007, "CLOSE"),
        (wire(Opcode.BINARY, bytes(MAX_SIZE + 1)), 1009, "larger"),
        (b"\x81\x7f" + (2**62).to_bytes(8), 1009, "larger"),
        pytest.param(
            Frame(Opcode.TEXT, b"masked").serialize(mask=True), 1002, "masking", id="masked"
        ),
        (wire(Opcode.CONT, b"of nothing"), 1002, "continuation"),
        (wire(Opcode.TEXT, b"a", fin=False) + wire(Opcode.TEXT, b"b"), 1002, "continuation"),
        (b"\x83\x00", 1002, "opcode"),
        (b"\xc1\x00", 1002, "reserved"),
        (b"\x09\x00", 1002, "fragmented"),
        (b"\x89\x7e\x00\x80" + bytes(128), 1002, "too long"),
        (wire(Opcode.CLOSE, b"\x03"), 1002, "short"),
        (wire(Opcode.CLOSE, b"\x03\xed"), 1002, "status code"),
    ],
)
def test_a_broken_rule_is_answered_with_its_code_after_the_messages_before_it(
    data: bytes, code: int, words: str
) -> None:
    codec = client()
    codec.feed(wire(Opcode.TEXT, b"before") + data + wire(Opcode.TEXT, b"after"), 0.0)
    assert codec.take() == ["before"]
    assert codec.fault is not None
    assert codec.fault.close_code == code
    assert codec.fault.error().close_code == code
    assert type(codec.fault.error().close_code) is int
    assert words in str(codec.fault.error())
    receiver = server()
    receiver.feed(codec.control.take(), 0.0)
    assert receiver.close is not None
    assert receiver.close.code == code
    assert not codec.is_open


def test_text_that_is_no_utf8_is_found_before_the_message_ends() -> None:
    codec = client()
    codec.feed(wire(Opcode.TEXT, b"ok", fin=False) + wire(Opcode.CONT, b"\xff", fin=False), 0.0)
    assert codec.fault is not None
    assert codec.fault.close_code == 1007


def test_a_server_refuses_what_is_not_masked() -> None:
    codec = server()
    codec.feed(wire(Opcode.TEXT, b"bare"), 0.0)
    assert codec.fault is not None
    assert codec.fault.close_code == 1002


@pytest.mark.parametrize("fragments", [1, 4])
def test_a_message_of_the_limit_passes(fragments: int) -> None:
    part, codec = b"x" * (MAX_SIZE // fragments), client()
    for index in range(fragments):
        opcode = Opcode.CONT if index else Opcode.TEXT
        codec.feed(wire(opcode, part, fin=index == fragments - 1), 0.0)
    assert codec.take() == ["x" * MAX_SIZE]


def test_fragments_that_sum_up_to_more_than_the_limit_do_not_pass() -> None:
    codec = client()
    codec.feed(wire(Opcode.TEXT, b"x" * MAX_SIZE, fin=False) + wire(Opcode.CONT, b"x"), 0.0)
    assert codec.fault is not None
    assert codec.fault.close_code == 1009


@pytest.mark.parametrize(("pings", "answered"), [(10, range(10)), (900, range(884, 900))])
def test_the_latest_sixteen_pings_are_answered(pings: int, answered: range) -> None:
    codec = client()
    codec.feed(b"".join(wire(Opcode.PING, str(n).encode()) for n in range(pings)), 0.0)
    codec.ping()
    waiting, sent = len(codec.control), b"".join(codec.encode([]))
    assert waiting == len(sent)
    peer = ServerProtocol(state=State.OPEN)
    peer.receive_data(sent)
    frames = [(f.opcode, bytes(f.data)) for f in peer.events_received() if isinstance(f, Frame)]
    pongs = [(Opcode.PONG, str(n).encode()) for n in answered]
    assert frames == [*pongs, (Opcode.PING, b"")]
    assert len(codec.control) == 0


def test_control_frames_go_before_messages() -> None:
    codec, peer = client(), ServerProtocol(state=State.OPEN)
    codec.feed(wire(Opcode.PING, b"?"), 0.0)
    peer.receive_data(b"".join(codec.encode(["text"])))
    frames = [frame for frame in peer.events_received() if isinstance(frame, Frame)]
    assert [frame.opcode for frame in frames] == [Opcode.PONG, Opcode.TEXT]


@pytest.mark.parametrize(
    ("last", "close"),
    [
        (closing(1000, "done"), Close(1000, "done")),
        (closing(4000), Close(4000, "")),
        (wire(Opcode.CLOSE, b""), Close(1005, "")),
    ],
)
def test_a_close_between_fragments_is_answered_like_any_other(last: bytes, close: Close) -> None:
    codec, receiver = client(), server()
    begun = wire(Opcode.TEXT, b"whole") + wire(Opcode.TEXT, b"a", fin=False)
    codec.feed(begun + last + wire(Opcode.CONT, b"b"), 0.0)
    assert codec.take() == ["whole"]
    assert (codec.close, codec.fault) == (close, None)
    receiver.feed(b"".join(codec.encode([])), 0.0)
    assert receiver.close == close


def test_a_close_between_fragments_answers_ours() -> None:
    codec = client()
    codec.shut(1000, "")
    codec.encode([])
    codec.feed(wire(Opcode.TEXT, b"a", fin=False) + closing(1000), 0.0)
    assert (codec.close, codec.fault) == (Close(1000, ""), None)
    assert len(codec.control) == 0


@pytest.mark.parametrize(
    "frame", [wire(Opcode.PING, b""), wire(Opcode.PONG, b""), wire(Opcode.CONT, b"", fin=False)]
)
def test_a_flood_of_frames_that_say_nothing_is_cut(frame: bytes) -> None:
    codec = client()
    codec.feed(wire(Opcode.BINARY, b"", fin=False), 5.0)
    codec.feed((frame * SLICE_BYTES)[:SLICE_BYTES], 6.0)
    assert codec.fault is not None
    assert codec.fault.close_code == 1008
    assert len(codec.control) < 2400


def test_as_many_over_a_longer_time_are_none_of_our_business() -> None:
    codec = client()
    for second in range(500):
        codec.feed(wire(Opcode.PING, b"") * 50, float(second))
    assert codec.fault is None


def test_a_hundred_thousand_fragments_of_one_byte_are_a_message() -> None:
    uri = parse_uri("ws://localhost/")
    codec = FrameCodec(ClientProtocol(uri, state=State.OPEN, max_size=None))
    data = wire(Opcode.TEXT, b"x", fin=False) + wire(Opcode.CONT, b"x", fin=False) * 99_998
    data += wire(Opcode.CONT, b"x")
    for start in range(0, len(data), SLICE_BYTES):
        codec.feed(data[start : start + SLICE_BYTES], 1.0)
    assert codec.take() == ["x" * 100_000]
    for start in range(0, 9 * len(data), SLICE_BYTES):
        rest = wire(Opcode.TEXT, b"x", fin=False) if not start else b""
        codec.feed(rest + wire(Opcode.CONT, b"x", fin=False) * (SLICE_BYTES // 3), 2.0)
    assert codec.fault is not None
    assert codec.fault.close_code == 1008


def test_nothing_is_read_after_the_end() -> None:
    codec = client()
    codec.feed(closing(1000) + wire(Opcode.TEXT, b"after"), 0.0)
    codec.feed(wire(Opcode.TEXT, b"later"), 0.0)
    assert not codec.has_messages
    assert codec.close == Close(1000, "")


def test_a_close_without_a_code_is_1005() -> None:
    codec = client()
    codec.feed(wire(Opcode.CLOSE, b""), 0.0)
    assert codec.close == Close(1005, "")


def test_a_long_reason_is_cut_at_a_character() -> None:
    codec, receiver = client(), server()
    codec.shut(1000, "€" * 100)
    receiver.feed(codec.control.take(), 0.0)
    assert receiver.close == Close(1000, "€" * 41)


def test_a_lone_surrogate_is_refused_before_anything_is_encoded() -> None:
    codec, receiver = client(), server()
    codec.ping()
    with pytest.raises(LocalProtocolError, match="surrogate"):
        codec.encode(["fine", "\ud800"])
    assert len(codec.control)
    receiver.feed(b"".join(codec.encode(["alone"])), 0.0)
    assert receiver.take() == ["alone"]


def test_the_codec_s_logger_can_t_be_turned_on(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger(SILENT_LOGGER.name).setLevel(logging.DEBUG)
    SILENT_LOGGER.critical("secret")
    assert not SILENT_LOGGER.isEnabledFor(logging.CRITICAL)
    assert "secret" not in caplog.text + "".join(capsys.readouterr())


def test_random_bytes_by_the_megabyte_cost_no_more_than_a_fault() -> None:
    make: Callable[[], FrameCodec] = client
    for _ in range(64):
        codec = make()
        codec.feed(os.urandom(SLICE_BYTES), 0.0)
        assert len(codec.control) < 2400
