"""Events without a socket: ``python -m benchmarks.codecs KIND SIZES``.

Each library does what it does between its socket and its user, and the same on the way back. Those
that can't be had without a socket get one that has the text already, and their coroutines are run
by hand, which costs them a tenth of a microsecond.
"""

import base64
import json
from collections.abc import Callable
from typing import Any, Protocol

from . import wire
from .checks import expect
from .kinds import EVENT_CODECS, Kind
from .sans_io import cost, finish, main

_AUDIO_DELTAS = 200  # taken again and again
_AUDIO_BYTES = wire.AUDIO_KIB * 1024
_CHUNKS = [wire.pcm(number, wire.CHUNK_BYTES) for number in range(8)]


class Codec(Protocol):
    """A library's way from text to event, and from audio to text."""

    def text(self, given: str) -> str:
        """Read a delta of text; return what it says."""

    def audio(self, given: str) -> bytes:
        """Read a delta of audio; return it decoded."""

    def append(self, chunk: bytes) -> str:
        """Return what is written to append audio."""


class _Socket:
    """One that never makes anybody wait."""

    def __init__(self) -> None:
        self.given: str | bytes = ""
        self.sent = ""

    async def recv(self, *, decode: bool | None = None) -> str | bytes:  # noqa: ARG002
        return self.given

    async def send(self, text: str) -> None:
        self.sent = text


class _Meshrt:
    def __init__(self) -> None:
        from meshrt.protocol import RealtimeProtocol

        self._protocol = RealtimeProtocol("client")
        self._read(wire.payload(wire.CREATED))

    def _read(self, given: str) -> Any:
        self._protocol.receive_text(given)
        (event,) = self._protocol.events()
        self._protocol.to_send()
        return event

    def text(self, given: str) -> str:
        text: str = self._read(given).delta
        return text

    def audio(self, given: str) -> bytes:
        audio: bytes = self._read(given).delta
        return audio

    def append(self, chunk: bytes) -> str:
        return self._protocol.advance(self._protocol.prepare_audio(chunk))


class _OpenAI:
    def __init__(self) -> None:
        from openai.resources.realtime.realtime import AsyncRealtimeConnection

        self._socket = _Socket()
        socket: Any = self._socket
        self._connection = AsyncRealtimeConnection(socket)

    def _read(self, given: str) -> Any:
        self._socket.given = given.encode()  # it asks websockets for bytes
        return finish(self._connection.recv())

    def text(self, given: str) -> str:
        text: str = self._read(given).delta
        return text

    def audio(self, given: str) -> bytes:
        return base64.b64decode(self._read(given).delta)

    def append(self, chunk: bytes) -> str:
        audio = base64.b64encode(chunk).decode()
        finish(self._connection.input_audio_buffer.append(audio=audio))
        return self._socket.sent


class _MeshAPI:
    def __init__(self) -> None:
        from meshapi.resources.realtime import (  # type: ignore[import-untyped]
            AsyncRealtimeSession,
        )

        self._socket = _Socket()
        self._session = AsyncRealtimeSession(self._socket)

    def _read(self, given: str) -> Any:
        self._socket.given = given
        return finish(self._session.receive())

    def text(self, given: str) -> str:
        text: str = self._read(given).event["delta"]
        return text

    def audio(self, given: str) -> bytes:
        audio: bytes = self._read(given).audio
        return audio

    def append(self, chunk: bytes) -> str:
        finish(self._session.send_audio(chunk))
        return self._socket.sent


class _Hand:
    def __init__(self) -> None:
        import pybase64

        from .clients import trio_websocket_links

        self._links: Any = trio_websocket_links
        self._base64 = pybase64

    def text(self, given: str) -> str:
        text: str = self._links.decode(given).delta
        return text

    def audio(self, given: str) -> bytes:
        return self._base64.b64decode(self._links.decode(given).delta, validate=True)

    def append(self, chunk: bytes) -> str:
        text: str = self._links.append_of(chunk)
        return text


CODECS: dict[str, Callable[[], Codec]] = {
    "meshrt": _Meshrt,
    "openai": _OpenAI,
    "meshapi": _MeshAPI,
    "msgspec and pybase64": _Hand,
}


def measure(kind: Kind, count: int) -> dict[str, float]:
    """Do each thing once with every input, to see what comes of it, and then so many times."""
    texts = [wire.payload(each) for each in wire.text_deltas(count)]
    audio = [wire.payload(each) for each in wire.audio_deltas(_AUDIO_DELTAS, _AUDIO_BYTES)]
    codec = CODECS[kind.library]()
    _check(codec, texts, audio)
    return {
        "text": cost(codec.text, texts, count),
        "audio": cost(codec.audio, audio, count),
        "append": cost(codec.append, _CHUNKS, count),
    }


def _check(codec: Codec, texts: list[str], audio: list[str]) -> None:
    words = [wire.word(number) for number in range(len(texts))]
    expect(list(map(codec.text, texts)), words)
    sounds = [wire.pcm(number, _AUDIO_BYTES) for number in range(len(audio))]
    expect(list(map(codec.audio, audio)), sounds)
    written = [json.loads(codec.append(chunk)) for chunk in _CHUNKS]
    expect([base64.b64decode(each["audio"]) for each in written], _CHUNKS)


if __name__ == "__main__":
    main(measure, EVENT_CODECS, __doc__)
