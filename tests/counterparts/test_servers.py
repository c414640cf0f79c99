"""Our client talks to servers that others wrote: trio-websocket's and websockets' asyncio one.

What these servers say is made by the sans-IO protocol in the server's role.
"""

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any

import anyio.to_thread
import pytest
import trio
import trio_websocket
from anyio.from_thread import start_blocking_portal
from websockets.asyncio.server import ServerConnection, serve as serve_websockets
from websockets.exceptions import ConnectionClosed

from meshrt import MeshAPI, RealtimeError, RealtimeProtocol
from meshrt.events import (
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemDone,
    Error,
    ErrorDetails,
    Event,
    InputAudioBufferAppend,
    Response,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputTextDelta,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
)
from meshrt.session import RealtimeSession

pytestmark = [
    pytest.mark.anyio,
]

Closes = SimpleQueue[int]
Server = tuple[str, Closes]

KEY = "rsk_test"
BIG = 2**20  # as base64 it is more than any default limit of theirs


class Desk:
    """What a tiny realtime server answers to each message: it repeats what it was told."""

    def __init__(self) -> None:
        self._protocol = RealtimeProtocol("server")
        self._item: Any = None

    def greeting(self) -> str:
        session = {"type": "realtime", "id": "sess_1", "instructions": ""}
        return self._protocol.send(SessionCreated(session=session))

    def answers(self, message: str | bytes) -> list[str]:
        self._protocol.receive_text(message)
        texts = self._protocol.to_send()
        for event in self._protocol.events():
            texts += map(self._protocol.send, self._answer(event))
        return texts

    def _answer(self, event: Any) -> Iterator[Event]:
        match event:
            case SessionUpdate(session=session):
                yield SessionUpdated(session=session)
            case InputAudioBufferAppend(audio=audio):
                place = {"response_id": "resp_0", "item_id": "item_0"}
                yield ResponseOutputAudioDelta(
                    **place, output_index=0, content_index=0, delta=audio
                )
            case ConversationItemCreate(item=item):
                self._item = item
                yield ConversationItemAdded(item=item)
                yield ConversationItemDone(item=item)
            case ResponseCreate():
                yield from self._response()
            case _:
                yield Error(error=ErrorDetails(type="invalid_request_error", message="What?"))

    def _response(self) -> Iterator[Event]:
        place = {"response_id": "resp_1", "item_id": "item_1"}
        yield ResponseCreated(response=Response(id="resp_1", status="in_progress"))
        for word in str(self._item.content[0].text).split():
            yield ResponseOutputTextDelta(**place, output_index=0, content_index=0, delta=word)
        yield ResponseDone(response=Response(id="resp_1", status="completed"))


@asynccontextmanager
async def trio_websocket_server(closes: Closes) -> AsyncIterator[int]:
    async def handle(request: trio_websocket.WebSocketRequest) -> None:
        desk, connection = Desk(), await request.accept()
        async with connection:
            await connection.send_message(desk.greeting())
            try:
                while True:
                    for text in desk.answers(await connection.get_message()):
                        await connection.send_message(text)
            except trio_websocket.ConnectionClosed as closed:
                closes.put(closed.reason.code)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            lambda task_status: trio_websocket.serve_websocket(
                handle, "127.0.0.1", 0, None, max_message_size=2**25, task_status=task_status
            )
        )
        yield server.port
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def websockets_server(closes: Closes) -> AsyncIterator[int]:
    async def handle(connection: ServerConnection) -> None:
        desk = Desk()
        await connection.send(desk.greeting())
        try:
            while True:
                for text in desk.answers(await connection.recv()):
                    await connection.send(text)
        except ConnectionClosed as closed:
            closes.put(closed.rcvd.code if closed.rcvd else 1006)

    async with serve_websockets(handle, "127.0.0.1", 0, max_size=2**25) as server:
        [socket] = server.sockets
        yield socket.getsockname()[1]


SERVERS = {
    "trio-websocket": ("trio", trio_websocket_server),
    "websockets": ("asyncio", websockets_server),
}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Its address, and the codes with which its clients close."""
    backend, run = SERVERS[request.param]
    closes: Closes = SimpleQueue()
    with start_blocking_portal(backend) as portal, ExitStack() as stack:
        port = stack.enter_context(portal.wrap_async_context_manager(run(closes)))
        yield f"http://127.0.0.1:{port}", closes


def connect(server: Server, **options: Any) -> Any:
    return MeshAPI(base_url=server[0], token=KEY).realtime.connect(model="m", **options)


def written(text: str) -> dict[str, Any]:
    part = {"type": "input_text", "text": text}
    item = {"type": "message", "role": "user", "content": [part]}
    return {"type": "conversation.item.create", "item": item}


async def answer(session: RealtimeSession, text: str) -> list[str]:
    words: list[str] = []
    await session.send(written(text))
    await session.send(ResponseCreate())
    async for message in session:
        match message.event:
            case ResponseOutputTextDelta(delta=word):
                words.append(str(word))
            case ResponseDone():
                break
    return words


async def test_greet_update_respond_close(server: Server) -> None:
    configuration = {"type": "realtime", "instructions": "Be brief."}
    async with connect(server, session=configuration) as session:
        assert getattr(session.config, "instructions", None) == "Be brief."
        assert await answer(session, "one two three") == ["one", "two", "three"]
        assert await answer(session, "four") == ["four"]
        await session.close(3_001, "enough")

    assert (session.closed.initiator, session.closed.code) == ("client", 3_001)


async def test_our_close_reaches_the_server(server: Server) -> None:
    async with connect(server) as session:
        await answer(session, "one")
        await session.close(3_001, "enough")

    assert await anyio.to_thread.run_sync(partial(server[1].get, timeout=10)) == 3_001


@pytest.mark.parametrize("size", [2, 4_800, BIG])
async def test_audio_goes_there_and_back(server: Server, size: int) -> None:
    audio = bytes(range(256)) * math.ceil(size / 256)
    async with connect(server) as session:
        await session.send_audio(audio[:size])
        greeting, message = [await session.receive() for _ in range(2)]

    assert (greeting.audio, message.audio) == (None, audio[:size])


async def test_an_error_of_the_server_is_raised_and_the_session_goes_on(
    server: Server,
) -> None:
    async with connect(server) as session:
        await session.send({"type": "input_audio_buffer.clear"})
        with pytest.raises(RealtimeError, match="What"):
            [_ async for _ in session]
        assert await answer(session, "one") == ["one"]


@pytest.mark.parametrize("auth", ["query", "header", "subprotocol"])
async def test_they_take_the_key_in_each_way(server: Server, auth: Any) -> None:
    client = MeshAPI(base_url=server[0], token=KEY, auth=auth)
    async with client.realtime.connect(model="m") as session:
        assert session.id == "sess_1"
