"""The strict parser takes what RFC 6455 allows a client, and names the byte where it is broken."""

import pytest
from hypothesis import given, strategies as st
from support import FrameParser, client_frame, parse_frames, server_frame
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
WHOLE = client_frame(TEXT, b"{}")


def test_messages_and_control_frames_come_out_in_order() -> None:
    data = client_frame(TEXT, "grüß ".encode(), fin=False) + client_frame(PING, b"?")
    data += client_frame(CONT, b"dich") + client_frame(PONG, b"!") + client_frame(BINARY, b"\0")
    data += client_frame(TEXT, b'{"type": "x"}') + client_frame(CLOSE, b"\x03\xe8bye")
    heard = parse_frames(data)
    assert heard.messages == ("grüß dich", b"\0", '{"type": "x"}')
    assert (heard.pings, heard.pongs, heard.close) == ((b"?",), (b"!",), (1000, "bye"))
    assert not heard.torn


@pytest.mark.parametrize("size", [0, 125, 126, 2**16 - 1, 2**16, 2**23])
def test_a_message_of_any_size_is_read(size: int) -> None:
    assert parse_frames(client_frame(BINARY, b"ab" * (size // 2))).messages == (
        b"ab" * (size // 2),
    )


def test_it_says_where_a_stream_ends_inside_a_frame_or_a_message() -> None:
    for data in (WHOLE, client_frame(BINARY, b"x" * 300), client_frame(BINARY, b"x" * 2**16)):
        assert not parse_frames(data).torn
        for end in (*range(1, 16), len(data) - 1):
            if end < len(data):
                assert parse_frames(data[:end]).torn
    assert parse_frames(client_frame(TEXT, b"x", fin=False)).torn


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (server_frame(TEXT, b"{}"), "not masked"),
        (bytes([WHOLE[0] | 0x40]) + WHOLE[1:], "RSV"),
        (client_frame(3), "reserved"),
        (client_frame(11), "reserved"),
        (client_frame(PING, b"x" * 126), "long"),
        (client_frame(PING, fin=False), "fragmented"),
        (b"\x81\xfe\x00\x7d" + bytes(4 + 125), "shortest"),
        (b"\x81\xff" + (2**16 - 1).to_bytes(8) + bytes(4), "shortest"),
        (b"\x81\xff" + (2**63).to_bytes(8) + bytes(4), "highest bit"),
        (client_frame(CONT), "nothing to continue"),
        (client_frame(TEXT, fin=False) + WHOLE, "inside another"),
        (client_frame(TEXT, b"\xff"), "not UTF-8"),
        (client_frame(CLOSE, b"\x03"), "half a code"),
        (client_frame(CLOSE, (1005).to_bytes(2)), "may not say 1005"),
        (client_frame(CLOSE, b"\x03\xe8\xff"), "not UTF-8"),
        (client_frame(CLOSE) + WHOLE, "follows a CLOSE"),
        (client_frame(CLOSE) + WHOLE[:1], "follows a CLOSE"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(data: bytes, rule: str) -> None:
    with pytest.raises(AssertionError, match=rf"byte \d+: .*{rule}") as caught:
        parse_frames(WHOLE + data)
    assert int(str(caught.value).split()[1].rstrip(":")) >= len(WHOLE)


def test_a_stream_is_read_as_it_comes() -> None:
    data = (
        client_frame(TEXT, b"ab", fin=False) + client_frame(PING) + client_frame(CONT, b"c" * 200)
    )
    parser = FrameParser()
    for byte in data:
        parser.feed(bytes([byte]))
    assert parser.heard == parse_frames(data)
    assert parser.heard.messages == ("ab" + "c" * 200,)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.binary(), max_size=5))
def test_what_a_library_writes_is_read(messages: list[str | bytes]) -> None:
    client = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN)
    for message in messages:
        if isinstance(message, str):
            client.send_text(message.encode())
        else:
            client.send_binary(message)
    assert parse_frames(b"".join(client.data_to_send())).messages == tuple(messages)
