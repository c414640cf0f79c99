"""A bad network between a client and any port: slow, uneven, in crumbs, stuck, or cut."""

import math
import queue
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Literal

import attrs

from ._raw_server import HANG_S, in_thread

_READ_BYTES: Final = 2**16
_MAX_CHUNKS: Final = 64  # under way: more, and the sender has to wait, as on a real network


@attrs.frozen(kw_only=True)
class Chaos:
    """What is wrong with one direction.

    Attributes:
        latency_s: How long each read is under way; others follow it without waiting.
        jitter_s: At most so much longer, by chance, and never out of order.
        piece_bytes: The largest write, so 1 gives byte after byte.
        bytes_per_s: How much passes in a second; by default as much as can.
        stall_at: After how many bytes nothing passes until :meth:`ChaosProxy.resume`.
        stall_s: How long nothing passes then, if nobody ends it before.
        end_at: After how many bytes the connection ends.
        end: How it ends: ``"rst"`` and ``"fin"`` end both directions, to both sides;
            ``"half"`` ends this direction alone.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    piece_bytes: int = _READ_BYTES
    bytes_per_s: float = math.inf
    stall_at: int | None = None
    stall_s: float | None = None
    end_at: int | None = None
    end: Literal["rst", "fin", "half"] = "rst"


class ChaosProxy:
    """What a test holds of the proxy.

    Attributes:
        port: Where clients connect.
        passed: How many bytes went to the server and to the client, over all connections.
    """

    def __init__(
        self, listener: socket.socket, port: int, ways: tuple[Chaos, Chaos], seed: int
    ) -> None:
        self.port: int = listener.getsockname()[1]
        self.passed = [0, 0]
        self._stalled = threading.Event()
        self._listener = listener
        self._target = port
        self._ways = ways
        self._seed = seed
        self._stopping = threading.Event()
        self._resumed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    async def stalled(self) -> None:
        """Wait until a stall holds something back."""
        await in_thread(self._wait_for_stall)

    def _wait_for_stall(self) -> None:
        assert self._stalled.wait(HANG_S), "nothing came so far"

    def resume(self) -> None:
        """End every stall, now and from now on."""
        self._resumed.set()

    def _start(self) -> None:
        self._spawn(self._accept)

    def _spawn(self, run: object, *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._stopping.is_set():
                client.close()
                return
            self._join(client, len(self._sockets))

    def _join(self, client: socket.socket, number: int) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            _cut(client)
            return
        ends = (client, server)
        self._sockets += ends
        open_ways = [2]
        lock = threading.Lock()
        for way, (source, sink) in enumerate((ends, ends[::-1])):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            chance = random.Random(f"{self._seed}.{number}.{way}")
            line = _Line(self, way, source, sink, chance)
            self._spawn(line.read)
            self._spawn(line.write, lock, open_ways)

    def _stop(self) -> None:
        self._stopping.set()
        self._resumed.set()
        with suppress(OSError), socket.create_connection(self._listener.getsockname()):
            self._threads[0].join(HANG_S)
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(HANG_S)
            assert not thread.is_alive(), "the proxy is stuck"


class _Line:
    """One direction of one connection: a thread that reads and one that writes when it is due."""

    def __init__(
        self,
        proxy: ChaosProxy,
        way: int,
        source: socket.socket,
        sink: socket.socket,
        chance: random.Random,
    ) -> None:
        self._proxy = proxy
        self._way = way
        self._chaos = proxy._ways[way]
        self._source = source
        self._sink = sink
        self._chance = chance
        self._under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(_MAX_CHUNKS)
        self._passed = 0
        self._cut = False
        self._stall_at = self._chaos.stall_at

    def read(self) -> None:
        data = b"?"
        while data:
            try:
                data = self._source.recv(_READ_BYTES)
            except OSError:
                data = b""
            delay = self._chaos.latency_s + self._chance.random() * self._chaos.jitter_s
            self._under_way.put((time.monotonic() + delay, data))

    def write(self, lock: threading.Lock, open_ways: list[int]) -> None:
        data = b"?"
        while data:
            due, data = self._under_way.get()
            self._proxy._stopping.wait(max(due - time.monotonic(), 0))
            if not self._cut:
                self._cut = not self._pass(data)
        if not self._cut:
            with suppress(OSError):
                self._sink.shutdown(socket.SHUT_WR)
        with lock:
            open_ways[0] -= 1
            if not open_ways[0]:
                self._source.close()
                self._sink.close()

    def _pass(self, data: bytes) -> bool:
        """Write it in pieces; say whether the direction is still open."""
        end_at = self._chaos.end_at
        try:
            while data:
                size = self._room(len(data))
                self._sink.sendall(data[:size])
                data = data[size:]
                self._passed += size
                self._proxy.passed[self._way] += size
                self._proxy._stopping.wait(size / self._chaos.bytes_per_s)
                if self._passed == end_at:
                    self._end()
                    return False
        except OSError:
            # The sink is gone: what still comes from the source has no place to go.
            with suppress(OSError):
                self._source.shutdown(socket.SHUT_RD)
            return False
        return True

    def _room(self, size: int) -> int:
        """Return how much may be written at once; first wait where the direction is stuck."""
        if self._passed == self._stall_at and not self._proxy._resumed.is_set():
            self._proxy._stalled.set()
            self._proxy._resumed.wait(self._chaos.stall_s)
            self._stall_at = None
        marks = (self._chaos.end_at, self._stall_at)
        left = [mark - self._passed for mark in marks if mark is not None and mark > self._passed]
        return min(size, self._chaos.piece_bytes, *left)

    def _end(self) -> None:
        if self._chaos.end == "half":
            self._sink.shutdown(socket.SHUT_WR)
            return
        for end in (self._sink, self._source):
            if self._chaos.end == "rst":
                _cut(end)
            else:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


@contextmanager
def chaos_proxy(
    port: int, *, to_server: Chaos | None = None, to_client: Chaos | None = None, seed: int = 0
) -> Iterator[ChaosProxy]:
    """Stand between clients and a port of the loopback; the same seed gives the same jitter."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ways = (to_server or Chaos(), to_client or Chaos())
        proxy = ChaosProxy(listener, port, ways, seed)
        proxy._start()
        try:
            yield proxy
        finally:
            proxy._stop()


def _cut(end: socket.socket) -> None:
    """Send a RST; a thread that reads from it is woken first, for it would keep it open."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RD)
    end.close()
