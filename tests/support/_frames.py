"""A strict reader of what a client wrote: RFC 6455 to the letter, and no library's opinion."""

import json
import struct
from typing import Any, Final

import attrs

CONT: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_DATA: Final = frozenset({CONT, TEXT, BINARY})
_CONTROL: Final = frozenset({CLOSE, PING, PONG})
_MAX_CONTROL_BYTES: Final = 125  # 5.5
# 7.4.1: what is defined and may stand in a frame; 7.4.2: what is for libraries and applications.
_CLOSE_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})


@attrs.frozen
class Frame:
    """One frame, unmasked, and where it began."""

    at: int
    opcode: int
    fin: bool
    payload: bytes


@attrs.frozen(kw_only=True)
class Heard:
    """What a stream of frames said.

    Attributes:
        messages: The whole messages, in order.
        pings: What each ping held.
        pongs: What each pong held.
        close: The code and the reason of the CLOSE; the code is ``None`` if it held none.
        torn: Whether the stream ends inside a frame or inside a fragmented message.
    """

    messages: tuple[str | bytes, ...]
    pings: tuple[bytes, ...]
    pongs: tuple[bytes, ...]
    close: tuple[int | None, str] | None
    torn: bool

    @property
    def events(self) -> list[dict[str, Any]]:
        """The messages as JSON."""
        return [json.loads(message) for message in self.messages]


def parse_frames(data: bytes) -> Heard:
    """Read all that a client sent after its handshake.

    Raises:
        AssertionError: It broke a rule; the message names the first offending frame's offset.
    """
    parser = FrameParser()
    parser.feed(data)
    return parser.heard


def server_frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a frame as a server sends it, without a mask; nothing is checked."""
    first = opcode | (0x80 if fin else 0)
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    if len(payload) < 2**16:
        return struct.pack("!BBH", first, 126, len(payload)) + payload
    return struct.pack("!BBQ", first, 127, len(payload)) + payload


def client_frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a frame as a client sends it; nothing is checked."""
    plain = server_frame(opcode, payload, fin=fin)
    head = plain[: len(plain) - len(payload)]
    mask = b"\x5a\xa5\x0f\xf0"
    return bytes([head[0], head[1] | 0x80]) + head[2:] + mask + _masked(payload, mask)


class FrameParser:
    """Read what a client sends, as it comes; :func:`parse_frames` does it at once."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0  # where the next frame begins
        self._said = _Messages()

    @property
    def heard(self) -> Heard:
        """What was said so far."""
        said = self._said
        return Heard(
            messages=tuple(said.messages),
            pings=tuple(said.pings),
            pongs=tuple(said.pongs),
            close=said.close,
            torn=self._at < len(self._data) or said.opcode is not None,
        )

    def feed(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            AssertionError: A rule is broken; the message names the offending frame's offset.
        """
        self._data += data
        while (frame := self._next()) is not None:
            self._said.take(frame)
        over = self._said.close is None or self._at == len(self._data)
        _check(self._at, over, "something follows a CLOSE (5.5.1)")

    def _next(self) -> Frame | None:
        """Return the next frame if all of it is there."""
        if len(self._data) - self._at < 2:
            return None
        first, second = self._data[self._at : self._at + 2]
        self._check_head(first, second)
        head = self._length_and_head(second & 0x7F)
        if head is None:
            return None
        length, begin = head
        # The mask stands between the head and the payload.
        end = begin + 4 + length
        if end > len(self._data):
            return None
        mask, payload = self._data[begin : begin + 4], self._data[begin + 4 : end]
        at, self._at = self._at, end
        return Frame(at, first & 0x0F, bool(first & 0x80), _masked(payload, mask))

    def _check_head(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        _check(self._at, not first & 0x70, "an RSV bit is set (5.2)")
        _check(self._at, opcode in _DATA | _CONTROL, f"opcode {opcode:#x} is reserved (5.2)")
        _check(self._at, bool(second & 0x80), "a client's frame is not masked (5.1)")
        if opcode in _CONTROL:
            _check(self._at, bool(first & 0x80), "a control frame is fragmented (5.5)")
            _check(self._at, second & 0x7F <= _MAX_CONTROL_BYTES, "a control frame is long (5.5)")

    def _length_and_head(self, short: int) -> tuple[int, int] | None:
        """Return the payload's length and where the mask begins, if all of that is there."""
        size = {126: 2, 127: 8}.get(short, 0)
        begin = self._at + 2 + size
        if begin > len(self._data):
            return None
        if not size:
            return short, begin
        length = int.from_bytes(self._data[self._at + 2 : begin])
        shortest = 126 if size == 2 else 2**16
        _check(self._at, length >= shortest, "a length is not the shortest form (5.2)")
        _check(self._at, length < 2**63, "a length has its highest bit set (5.2)")
        return length, begin


class _Messages:
    """Put frames together to messages."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.close: tuple[int | None, str] | None = None
        self.opcode: int | None = None  # of the message that is under way
        self._parts: list[bytes] = []

    def take(self, frame: Frame) -> None:
        _check(frame.at, self.close is None, "something follows a CLOSE (5.5.1)")
        if frame.opcode == PING:
            self.pings.append(frame.payload)
        elif frame.opcode == PONG:
            self.pongs.append(frame.payload)
        elif frame.opcode == CLOSE:
            self.close = _parse_close(frame)
        else:
            self._take_data(frame)

    def _take_data(self, frame: Frame) -> None:
        if frame.opcode == CONT:
            _check(frame.at, self.opcode is not None, "there is nothing to continue (5.4)")
        else:
            _check(frame.at, self.opcode is None, "a message begins inside another (5.4)")
            self.opcode = frame.opcode
        self._parts.append(frame.payload)
        if frame.fin:
            whole = b"".join(self._parts)
            self.messages.append(_text(frame, whole) if self.opcode == TEXT else whole)
            self.opcode, self._parts = None, []


def _parse_close(frame: Frame) -> tuple[int | None, str]:
    if not frame.payload:
        return None, ""
    _check(frame.at, len(frame.payload) >= 2, "a CLOSE has half a code (5.5.1)")
    code = int.from_bytes(frame.payload[:2])
    _check(frame.at, code in _CLOSE_CODES, f"a CLOSE may not say {code} (7.4)")
    return code, _text(frame, frame.payload[2:])


def _text(frame: Frame, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise AssertionError(f"byte {frame.at}: it is not UTF-8 (8.1): {error}") from error


def _masked(data: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    # One number of megabytes: a loop over the bytes would take seconds.
    pad = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(pad)).to_bytes(len(data))


def _check(at: int, holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(f"byte {at}: {rule}")
