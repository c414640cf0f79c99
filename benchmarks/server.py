"""The load server: a process of its own, fast enough that the clients are what is measured.

It knows just enough of the wire, and no WebSocket library: the handshake is made by hand, the
frames lie ready, and of what comes only the lengths are read. A client says what it wants in the
``event_id`` of an ``input_audio_buffer.clear``, which every client library can send: ``echo-0``,
``text-20000``, ``audio-5000-4``, ``paced-100``, ``count-10000``. Each is answered by a
``cleared``; then come the deltas, at once (the second number is their size in KiB) or one per
20 ms, or, once so many appends have come, a ``committed``.
"""

import argparse
import asyncio
import base64
import hashlib
import itertools
import re
import resource
import ssl
from collections.abc import Iterator
from importlib.util import find_spec
from typing import cast

from . import wire

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_KEY = re.compile(rb"sec-websocket-key:\s*(\S+)", re.IGNORECASE)
_COMMAND = re.compile(rb'"event_id": ?"([a-z]+)-([0-9]+)(?:-([0-9]+))?"')
_FIN_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A
_MASK_BYTES = 4
_SHORT, _MEDIUM = 126, 127
_BATCH_BYTES = 64 * 1024
_SLOTS = 20  # the sessions of one pacer take turns, 1 ms apart


class Stock:
    """The frames, made once: audio when it is first asked for, which no clock sees."""

    def __init__(self) -> None:
        self.text = wire.text_deltas(wire.MAX_TEXT_DELTAS)
        self.paced = wire.audio_deltas(wire.MAX_PACED_DELTAS, wire.CHUNK_BYTES)
        self._audio: dict[int, list[bytes]] = {}

    def audio(self, kib: int) -> list[bytes]:
        """Return as many deltas of a size as may be asked for."""
        if kib not in self._audio:
            count = min(wire.MAX_AUDIO_DELTAS, wire.MAX_AUDIO_KIB // kib)
            self._audio[kib] = wire.audio_deltas(count, kib * 1024)
        return self._audio[kib]


class Pacer:
    """Give each session that joined one delta per 20 ms, at a time of its own within them."""

    def __init__(self, stock: Stock) -> None:
        self._frames = stock.paced
        self._slots: list[dict[Session, int]] = [{} for _ in range(_SLOTS)]
        self._next_slot = itertools.cycle(self._slots)

    def join(self, session: "Session", count: int) -> None:
        """Pace so many deltas for a session."""
        next(self._next_slot)[session] = count

    async def run(self) -> None:
        """Write what is due; late is late, but nothing is left out."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for slot in itertools.cycle(self._slots):
            due += wire.PERIOD_S / _SLOTS
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            self._write(slot)

    def _write(self, slot: dict["Session", int]) -> None:
        for session, count in list(slot.items()):
            if not session.is_closing:
                session.write(self._frames[session.paced])
                session.paced += 1
            if session.paced >= count or session.is_closing:
                del slot[session]


class Session(asyncio.Protocol):
    """One client."""

    def __init__(self, stock: Stock, pacer: Pacer) -> None:
        self._stock = stock
        self._pacer = pacer
        self._rest = b""
        self._greeted = False
        self._flood: Iterator[bytes] = iter(())
        self._paused = False
        self._awaited = 0
        self.paced = 0

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write whole frames."""
        self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's has no such base

    def pause_writing(self) -> None:
        """Stop the flood for now: the client reads slower than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on with the flood."""
        self._paused = False
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take the handshake, and then frames."""
        data = self._rest + data if self._rest else data
        self._rest = b""
        if not self._greeted:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._greet(head)
        self._rest = data[self._read_frames(data) :]

    def _greet(self, head: bytes) -> None:
        key = _KEY.search(head)
        if key is None:
            raise ValueError("this is no WebSocket handshake")
        digest = hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest()
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n%b" % (base64.b64encode(digest), wire.CREATED)
        )
        self._greeted = True

    def _read_frames(self, data: bytes) -> int:
        """Read the frames that are whole, and return where they end."""
        at, end = 0, len(data)
        while end - at >= 2 + _MASK_BYTES:
            size, start = data[at + 1] & 127, at + 2
            if size >= _SHORT:
                width = 2 if size == _SHORT else 8
                size = int.from_bytes(data[start : start + width], "big")
                start += width
            start += _MASK_BYTES
            if start + size > end:
                break
            if data[at] == _FIN_TEXT and size >= _SHORT:
                self._awaited -= 1
                if not self._awaited:
                    self.write(wire.COMMITTED)
            else:
                self._control(data[at], data[start - _MASK_BYTES : start + size])
            at = start + size
        return at

    def _control(self, first_byte: int, masked: bytes) -> None:
        """Take a short frame: a command or one of the WebSocket's own; an append is longer."""
        mask = itertools.cycle(masked[:_MASK_BYTES])
        payload = bytes(each ^ key for each, key in zip(masked[_MASK_BYTES:], mask, strict=False))
        if first_byte == _FIN_TEXT:
            self._obey(payload)
        elif first_byte == _CLOSE:
            self.write(bytes([_CLOSE, len(payload)]) + payload)
            self._transport.close()
        elif first_byte == _PING:
            self.write(bytes([_PONG, len(payload)]) + payload)

    def _obey(self, payload: bytes) -> None:
        command = _COMMAND.search(payload)
        if command is None:
            raise ValueError(f"this is no command: {payload!r}")
        verb, count = command[1].decode(), int(command[2])
        self.write(wire.CLEARED)
        if verb == "count":
            self._awaited = count
        elif verb == "paced":
            self.paced = 0
            self._pacer.join(self, count)
        elif verb == "text":
            self._pour(self._stock.text[:count])
        elif verb == "audio":
            self._pour(self._stock.audio(int(command[3]))[:count])

    def _pour(self, frames: list[bytes]) -> None:
        self._flood = _batches(frames)
        self._go_on()

    def _go_on(self) -> None:
        while not self._paused:
            batch = next(self._flood, None)
            if batch is None:
                return
            self.write(batch)


def _batches(frames: list[bytes]) -> Iterator[bytes]:
    """Join frames to what one write takes."""
    if frames:
        count = max(1, _BATCH_BYTES // len(frames[-1]))
        for at in range(0, len(frames), count):
            yield b"".join(frames[at : at + count])


async def serve(certificate: str | None) -> None:
    """Serve for good, and print the port: of the one without TLS, and of the one with it."""
    stock = Stock()
    pacer = Pacer(stock)
    loop = asyncio.get_running_loop()
    contexts: list[ssl.SSLContext | None] = [None]
    if certificate is not None:
        contexts.append(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        contexts[-1].load_cert_chain(certificate)  # type: ignore[union-attr]
    for context in contexts:
        server = await loop.create_server(
            lambda: Session(stock, pacer), "127.0.0.1", ssl=context, backlog=1024
        )
        print(server.sockets[0].getsockname()[1], flush=True)
    await pacer.run()


def raise_file_limit() -> None:
    """Let this process have as many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Run the server until it is killed or its parent has gone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--certificate", help="a PEM file with a key: also serve with TLS")
    certificate: str | None = parser.parse_args().certificate
    raise_file_limit()
    factory = None
    if find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(certificate))


if __name__ == "__main__":
    main()
