"""WebSocket frames without a socket: ``python -m benchmarks.frames KIND SIZES``."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from . import wire
from .checks import expect
from .kinds import FRAME_CODECS, Kind
from .sans_io import cost, main

_AUDIO_DELTAS = 200  # taken again and again
_AUDIO_BYTES = wire.AUDIO_KIB * 1024
_READ_BYTES = 16 * 1024
_APPEND = '{"type":"input_audio_buffer.append","audio":"%s"}' % ("A" * (wire.CHUNK_BYTES * 4 // 3))


class Codec(Protocol):
    """A client's end, from bytes to messages and back."""

    def read(self, data: bytes) -> Sequence[str | bytes]:
        """Take what was read; return the messages that are complete."""

    def write(self, text: str) -> bytes:
        """Return a message as it goes over the wire."""


def _opened() -> ClientProtocol:
    return ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN, max_size=2**24)


class _Meshrt:
    def __init__(self) -> None:
        from meshrt.transports._frames import FrameCodec

        self._codec = FrameCodec(_opened())

    def read(self, data: bytes) -> Sequence[str | bytes]:
        self._codec.feed(data, 0.0)
        return self._codec.take()

    def write(self, text: str) -> bytes:
        return b"".join(self._codec.encode([text]))


class _WebSockets:
    def __init__(self) -> None:
        self._protocol = _opened()

    def read(self, data: bytes) -> Sequence[str | bytes]:
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        return [str(event.data, "utf-8") for event in events if isinstance(event, Frame)]

    def write(self, text: str) -> bytes:
        self._protocol.send_text(text.encode())
        return b"".join(self._protocol.data_to_send())


class _WSProto:
    def __init__(self) -> None:
        from wsproto.connection import Connection, ConnectionType
        from wsproto.events import TextMessage

        self._message: Any = TextMessage
        self._connection = Connection(ConnectionType.CLIENT)
        self._parts: list[str] = []

    def read(self, data: bytes) -> Sequence[str | bytes]:
        self._connection.receive_data(data)
        messages = []
        for event in self._connection.events():
            if isinstance(event, self._message):
                self._parts.append(event.data)
                if event.message_finished:
                    messages.append("".join(self._parts))
                    self._parts.clear()
        return messages

    def write(self, text: str) -> bytes:
        return self._connection.send(self._message(data=text))


CODECS: dict[str, Callable[[], Codec]] = {
    "meshrt": _Meshrt,
    "websockets": _WebSockets,
    "wsproto": _WSProto,
}


def measure(kind: Kind, count: int) -> dict[str, float]:
    """Read frames one at a time and many at a time, write frames; check what came of them."""
    texts, audio = wire.text_deltas(count), wire.audio_deltas(_AUDIO_DELTAS, _AUDIO_BYTES)
    stream = b"".join(texts)
    reads = [stream[at : at + _READ_BYTES] for at in range(0, len(stream), _READ_BYTES)]
    codec = CODECS[kind.library]()
    for data, frames in ((texts, texts), (reads, texts), (audio, audio)):
        messages = [message for each in data for message in codec.read(each)]
        expect(messages, list(map(wire.payload, frames)))
    expect(_unmasked(codec.write(_APPEND)), _APPEND)
    return {
        "text": cost(codec.read, texts, count),
        "texts": cost(codec.read, reads, len(reads)) * len(reads) / count,
        "audio": cost(codec.read, audio, count),
        "append": cost(codec.write, [_APPEND], count),
    }


def _unmasked(written: bytes) -> str:
    """Read a frame of a client, of the size that an append of 20 ms has."""
    expect((written[0], written[1]), (0x80 | Opcode.TEXT, 0x80 | 126))
    mask, payload = written[4:8], written[8:]
    key = mask * (len(payload) // len(mask) + 1)
    return bytes(each ^ other for each, other in zip(payload, key, strict=False)).decode()


if __name__ == "__main__":
    main(measure, FRAME_CODECS, __doc__)
