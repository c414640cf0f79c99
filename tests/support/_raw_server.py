"""A server of bare sockets in threads of its own: it does what a script says, however rude."""

import base64
import hashlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias

import anyio.to_thread

from ._frames import CLOSE, PING, PONG, TEXT, FrameParser, Heard, server_frame
from ._wire import created, updated

HANG_S: Final = 20.0  # no script waits so long for its client; it is below every test's deadline
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_READ_BYTES: Final = 2**18

RawScript: TypeAlias = Callable[["RawConnection"], None]
"""What the server does with a connection; it blocks, in a thread of its own."""


class StoppedError(Exception):
    """The test is over, and the script still waited."""


class RawConnection:
    """The server's end of a connection, for a script; and what it heard, for a test.

    When the script is done, the rest of what the client sends is read and recorded, and the
    socket is closed only after the client's end.

    Attributes:
        request: The head of the client's request.
        was_reset: Whether the client cut the connection off instead of ending it.
    """

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(HANG_S)
        self.request = b""
        self.was_reset = False
        self._socket = sock
        self._stopping = stopping
        self._turns = threading.Semaphore(0)
        self._received = bytearray()
        self._unparsed = bytearray()
        self._parser = FrameParser()
        self._changed = threading.Condition()
        self._over = False

    # For scripts, in the connection's thread.

    def be_patient(self, seconds: float) -> None:
        """Let the client take so long for what it reads or says."""
        self._socket.settimeout(seconds)

    def shake_hands(self, *, subprotocol: str | None = "openai-realtime") -> None:
        """Read the request and answer with 101."""
        self.read_request()
        self.write(self.switching_protocols(subprotocol=subprotocol))

    def greet(self) -> None:
        """Shake hands and say that there is a session."""
        self.shake_hands()
        self.say(created())

    def read_request(self) -> None:
        """Read the head of the request, and nothing after it."""
        while b"\r\n\r\n" not in self.request:
            data = self._socket.recv(1)
            if not data:
                raise ConnectionError("the client left before it had asked")
            self.request += data

    def switching_protocols(self, *, subprotocol: str | None = "openai-realtime") -> bytes:
        """Return the right answer to the request."""
        lines = self.request.split(b"\r\n")
        key = next(
            line.partition(b":")[2].strip()
            for line in lines
            if line.lower().startswith(b"sec-websocket-key:")
        )
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        answer += b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n"
        if subprotocol is not None:
            answer += b"Sec-WebSocket-Protocol: " + subprotocol.encode() + b"\r\n"
        return answer + b"\r\n"

    def say(self, *events: Mapping[str, Any]) -> None:
        """Send events, all in one write."""
        self.write(b"".join(text_frame(event) for event in events))

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping."""
        self.write(server_frame(PING, payload))

    def say_close(self, code: int = 1000, reason: str = "") -> None:
        """Send a CLOSE."""
        self.write(close_frame(code, reason))

    def write(self, data: bytes, *, piece_bytes: int | None = None) -> None:
        """Send bytes to the letter, in writes of so many if a number is given."""
        size = piece_bytes or max(len(data), 1)
        for start in range(0, len(data), size):
            self._socket.sendall(data[start : start + size])

    def read(self) -> bytes:
        """Read and record what there is, at least a byte; nothing at the client's end."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except ConnectionError:
            self.was_reset = True
            data = b""
        with self._changed:
            self._received += data
            self._unparsed += data
            self._over = self._over or not data
            self._changed.notify_all()
        return data

    def so_far(self) -> Heard:
        """Return what the client has said up to here; a rule that it broke fails the test."""
        with self._changed:
            data, self._unparsed = bytes(self._unparsed), bytearray()
            self._parser.feed(data)
            return self._parser.heard

    def read_all(self) -> None:
        """Read to the client's end."""
        while self.read():
            pass

    def serve(self, *, answers_close: bool = True) -> None:
        """Be a kind server: answer pings, ``session.update`` and CLOSE, to the client's end."""
        answered = ponged = 0
        while self.read():
            heard = self.so_far()
            for payload in heard.pings[ponged:]:
                self.write(server_frame(PONG, payload))
            for event in map(json.loads, heard.messages[answered:]):
                if event["type"] == "session.update":
                    self.say(updated(**event["session"]))
            answered, ponged = len(heard.messages), len(heard.pings)
            if heard.close is not None and answers_close:
                self.say_close(heard.close[0] or 1000)
                return

    def greet_and_serve(self) -> None:
        """Be a whole kind server."""
        self.greet()
        self.serve()

    def greet_and_ignore_close(self) -> None:
        """Be one that never answers a CLOSE, as OpenAI's."""
        self.greet()
        self.serve(answers_close=False)

    def wait(self) -> None:
        """Do nothing, not even read, until the test says :meth:`go`."""
        if not self._turns.acquire(timeout=HANG_S) or self._stopping.is_set():
            raise StoppedError

    def reset(self) -> None:
        """Cut the connection off with a RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def half_close(self) -> None:
        """Say that nothing more comes, and go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection without a word."""
        self._socket.close()
        self._end()

    # For tests, in the loop's thread.

    def go(self) -> None:
        """Let the script go on from its next or present :meth:`wait`."""
        self._turns.release()

    async def received(self) -> bytes:
        """Wait for the client's end and return all that it sent after its request."""
        await in_thread(self._wait_for, lambda: self._over)
        return bytes(self._received)

    async def heard(self) -> Heard:
        """Wait for the client's end and return what it said."""
        await self.received()
        return self.so_far()

    async def until(self, holds: Callable[[Heard], object]) -> Heard:
        """Wait until something holds of what the client has said so far; return that."""
        await in_thread(self._wait_for, lambda: self._over or holds(self.so_far()))
        heard = self.so_far()
        assert holds(heard), heard
        return heard

    def _wait_for(self, holds: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, HANG_S), "the client does not do it"

    def _run(self, script: RawScript) -> None:
        try:
            with suppress(ConnectionError):
                script(self)
            if self._socket.fileno() >= 0:
                self.read_all()
        finally:
            self._socket.close()
            self._end()

    def _end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _stop(self) -> None:
        self._turns.release()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


class RawServer:
    """What a test holds of the server.

    Attributes:
        port: Where it listens.
        connections: Those that came so far, in order.
    """

    def __init__(self, listener: socket.socket, script: RawScript) -> None:
        self.port: int = listener.getsockname()[1]
        self.connections: list[RawConnection] = []
        self._listener = listener
        self._script = script
        self._last: object = None  # the address of somebody who comes to see that all are here
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    async def connection(self, number: int = 0) -> RawConnection:
        """Wait for a connection; the first is number 0."""
        await in_thread(self._wait_for, lambda: len(self.connections) > number)
        return self.connections[number]

    def let_go(self) -> None:
        """Let each script that waits go on."""
        for connection in self.connections:
            connection.go()

    async def settled(self) -> None:
        """Wait until each connection that was begun so far is at its end and closed here too."""
        await in_thread(self._settle)

    def _settle(self) -> None:
        # The system accepts connections before we do, in the same order: ours is the last.
        address = self._listener.getsockname()
        with socket.socket() as last:
            last.settimeout(HANG_S)
            last.bind((address[0], 0))
            self._last = last.getsockname()
            last.connect(address)
            assert last.recv(1) == b""
        self._join()

    def _wait_for(self, holds: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, HANG_S), "no client comes"

    def _join(self) -> None:
        for thread in self._threads[1:]:
            thread.join(HANG_S)
            assert not thread.is_alive(), "a client has not closed its end"

    def _start(self) -> None:
        self._spawn(self._accept)

    def _spawn(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=self._record, args=(run, *arguments), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _record(self, run: Callable[..., None], *arguments: object) -> None:
        try:
            run(*arguments)
        except StoppedError:
            pass
        except Exception as error:  # noqa: BLE001  raised where the test sees it
            if not self._stopping.is_set():
                self._failures.append(error)

    def _accept(self) -> None:
        while True:
            sock, client = self._listener.accept()
            # Looked at before the close: who waits for that may stop us right after it.
            stopping = self._stopping.is_set()
            if client == self._last or stopping:
                sock.close()
                if client == self._last and stopping:
                    return
                continue
            connection = RawConnection(sock, self._stopping)
            with self._changed:
                self.connections.append(connection)
                self._changed.notify_all()
            self._spawn(connection._run, self._script)

    def _stop(self) -> None:
        self._stopping.set()
        for connection in self.connections:
            connection._stop()
        self._settle()  # a blocked accept() is woken by somebody who comes, and by nothing else
        self._threads[0].join(HANG_S)
        self._listener.close()


async def in_thread(wait: Callable[..., None], *arguments: object) -> None:
    """Wait in a thread, which is left to itself if the test is cancelled."""
    await anyio.to_thread.run_sync(wait, *arguments, abandon_on_cancel=True)


@contextmanager
def raw_server(
    script: RawScript,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[RawServer]:
    """Serve each connection with a script; fail at the end if a script did.

    Args:
        script: What is done with each connection.
        host: Where to listen.
        port: The port; 0 lets the system choose.
    """
    with socket.socket() as listener:
        listener.bind((host, port))
        listener.listen()
        server = RawServer(listener, script)
        server._start()
        try:
            yield server
        finally:
            server._stop()
    for failure in server._failures:
        raise failure


def text_frame(event: Mapping[str, Any] | str) -> bytes:
    """Return an event, or a text to the letter, as a frame of the server's."""
    text = event if isinstance(event, str) else json.dumps(event)
    return server_frame(TEXT, text.encode())


def close_frame(code: int = 1000, reason: str = "") -> bytes:
    """Return a CLOSE as a frame of the server's."""
    return server_frame(CLOSE, code.to_bytes(2) + reason.encode())
