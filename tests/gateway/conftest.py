"""A client of the gateway that says and hears exactly what a test tells it, over a real socket."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc
import pytest
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from meshrt.audio import read_wav
from meshrt.gateway import Answer, EchoVoice, Gateway, Heard, HonestModel, serve
from meshrt.gateway._session import GatewaySession
from meshrt.transports import MemoryTransport, WebSocketTransport, memory_transports

Json = dict[str, Any]

# RFC 6455, 1.3: its example, and the answer to it.
NONCE, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
TARGET = "/v1/realtime?model=openai/gpt-realtime"


class Wire:
    """One WebSocket to the gateway, event by event."""

    def __init__(self, transport: WebSocketTransport | MemoryTransport, head: str) -> None:
        self.transport = transport
        self.head = head
        self.greeting: Json = {}
        self._waiting: list[Json] = []

    async def say(self, *messages: Mapping[str, Any] | str | bytes) -> None:
        """Send them all in one write."""
        await self.transport.send(
            [m if isinstance(m, str | bytes) else json.dumps(m) for m in messages]
        )

    async def hear(self) -> Json:
        """Return the next event."""
        while not self._waiting:
            self._waiting += [json.loads(text) for text in await self.transport.receive()]
        return self._waiting.pop(0)

    async def until(self, wire_name: str) -> list[Json]:
        """Return what comes up to the first event of this type, and that one."""
        events = [await self.hear()]
        while events[-1]["type"] != wire_name:
            events.append(await self.hear())
        return events

    async def error(self) -> Json:
        """Return the error that has to come next."""
        event = await self.hear()
        assert event["type"] == "error", event
        error: Json = event["error"]
        return error

    async def end(self) -> tuple[list[Json], int | None, str]:
        """Return what still comes, and the code and reason of the CLOSE after it."""
        events, self._waiting = self._waiting, []
        try:
            while True:
                events += [json.loads(text) for text in await self.transport.receive()]
        except anyio.EndOfStream:
            return events, self.transport.close_code, self.transport.close_reason


async def upgrade(
    stream: anyio.abc.ByteStream, target: str, headers: Mapping[str, str]
) -> tuple[str, bytes]:
    """Ask for a WebSocket; return the head of the answer and what came after it."""
    fields = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": NONCE,
        **headers,
    }
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    await stream.send("\r\n".join([*lines, "", ""]).encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode(), rest


@pytest.fixture
def port_of() -> Callable[[Gateway], int]:
    def port(gateway: Gateway) -> int:
        return urlsplit(gateway.url).port or 0

    return port


@pytest.fixture
def dial() -> Callable[..., AbstractAsyncContextManager[Wire]]:
    """Open a WebSocket to a gateway, with any target and headers; nothing is read of it yet."""

    @asynccontextmanager
    async def dial(
        gateway: Gateway, target: str = TARGET, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Wire]:
        where = urlsplit(gateway.url)
        stream = await anyio.connect_tcp(where.hostname or "", where.port or 0)
        async with stream:
            head, rest = await upgrade(stream, target, headers or {})
            assert head.startswith("HTTP/1.1 101 "), head
            assert f"Sec-WebSocket-Accept: {ACCEPT}" in head
            codec = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=2**25)
            yield Wire(WebSocketTransport(stream, codec, received=rest), head)

    return dial


@pytest.fixture
def talk(
    dial: Callable[..., AbstractAsyncContextManager[Wire]],
) -> Callable[..., AbstractAsyncContextManager[Wire]]:
    """Start a gateway with an echo for a voice, connect to it and hear its greeting."""

    @asynccontextmanager
    async def talk(**options: Any) -> AsyncIterator[Wire]:
        async with serve(**{"voice": EchoVoice(), **options}) as gateway, dial(gateway) as wire:
            assert (await wire.hear())["type"] == "session.created"
            yield wire

    return talk


@pytest.fixture
def whisper() -> Callable[..., AbstractAsyncContextManager[Wire]]:
    """Hold a session of the gateway's in memory, for clocks that no real waiting moves."""

    @asynccontextmanager
    async def whisper(**options: Any) -> AsyncIterator[Wire]:
        ours, theirs = memory_transports()
        options = {"model": HonestModel(), "voice": EchoVoice(), **options}
        async with anyio.create_task_group() as tasks:
            session = GatewaySession(theirs, tasks, model_name="m", **options)
            tasks.start_soon(session.run)
            wire = Wire(ours, head="")
            wire.greeting = await wire.hear()
            assert wire.greeting["type"] == "session.created"
            yield wire
            tasks.cancel_scope.cancel()
        session.release()
        await ours.abort()
        await theirs.abort()

    return whisper


@pytest.fixture
def ask(port_of: Callable[[Gateway], int]) -> Callable[..., Any]:
    """Send bytes to a gateway and return all that it answers until it hangs up."""

    async def ask(gateway: Gateway, request: bytes, *, hang_up: bool = False) -> bytes:
        answer = b""
        async with await anyio.connect_tcp("127.0.0.1", port_of(gateway)) as stream:
            await stream.send(request)
            if hang_up:
                await stream.send_eof()
            try:
                while True:
                    answer += await stream.receive()
            # With bytes of ours unread it hangs up by a reset.
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return answer

    return ask


class Thinker:
    """A model that says when it was asked, and answers when it may."""

    def __init__(self, answer: str = "At noon.") -> None:
        self.asked = anyio.Event()
        self.may_answer = anyio.Event()
        self.heard: list[Heard] = []
        self._answer = answer

    async def reply(self, heard: Heard) -> str:
        self.heard.append(heard)
        self.asked.set()
        await self.may_answer.wait()
        return self._answer


class Fixed:
    """A model with one answer, whatever it hears."""

    def __init__(self, answer: str | Answer) -> None:
        self.heard: list[Heard] = []
        self._answer = answer

    async def reply(self, heard: Heard) -> str | Answer:
        self.heard.append(heard)
        return self._answer


@pytest.fixture
def fixed() -> type[Fixed]:
    return Fixed


@pytest.fixture
def thinker() -> Thinker:
    return Thinker()


@pytest.fixture(scope="session")
def train() -> bytes:
    """One question, spoken: PCM16 little-endian, 24 kHz, mono."""
    return read_wav(Path(str(files("meshrt") / "cli" / "speech" / "train_question_24k.wav")))


@pytest.fixture(scope="session")
def two_turns() -> bytes:
    """Two questions with a pause between them."""
    return read_wav(Path(__file__).parents[1] / "data" / "audio" / "two_turns_24k.wav")


@pytest.fixture(scope="session")
def append() -> Callable[[bytes], Json]:
    def append(pcm: bytes) -> Json:
        return {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}

    return append


@pytest.fixture(scope="session")
def write() -> Callable[..., Json]:
    """Make the event that adds a user's written message."""

    def write(text: str, **event: Any) -> Json:
        part = {"type": "input_text", "text": text}
        named = {"id": event.pop("id")} if "id" in event else {}
        item = {"type": "message", "role": "user", "content": [part], **named}
        return {"type": "conversation.item.create", "item": item, **event}

    return write


@pytest.fixture(scope="session")
def update() -> Callable[..., Json]:
    """Make a ``session.update`` of what is given; ``turn_detection`` goes where it belongs."""

    def update(**session: Any) -> Json:
        if "turn_detection" in session:
            detection = session.pop("turn_detection")
            session["audio"] = {"input": {"turn_detection": detection}}
        return {"type": "session.update", "session": {"type": "realtime", **session}}

    return update
