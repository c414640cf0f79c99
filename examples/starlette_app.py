"""Sessions in a web application: one for each browser, and one for the whole application.

`/talk` is a WebSocket that takes a browser's audio and gives the answer's, PCM16 at 24 kHz. `/ask`
takes a question by POST; all of these share a session, which the first of them opens. Serve it as
any Starlette application, for example with `uvicorn starlette_app:app`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

import anyio
import anyio.abc
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketState

from meshrt import MeshAPI, RealtimeSession
from meshrt.events import InputText, ResponseOutputTextDone, ResponseParams, UserMessage

MODEL = "openai/gpt-realtime-mini"


async def talk(websocket: WebSocket) -> None:
    """Relay a browser's audio, in a session of its own: this task is the session's block."""
    client: MeshAPI = websocket.state.client
    await websocket.accept()
    async with client.realtime.connect(model=MODEL) as session, anyio.create_task_group() as tasks:
        tasks.start_soon(hear, websocket, session, tasks.cancel_scope)
        async for message in session:
            if message.audio:
                await websocket.send_bytes(message.audio)
        tasks.cancel_scope.cancel("the session has ended")
    if websocket.client_state is WebSocketState.CONNECTED:
        await websocket.close()


async def hear(websocket: WebSocket, session: RealtimeSession, talking: anyio.CancelScope) -> None:
    """Pass on what the browser says, until it goes."""
    async for pcm in websocket.iter_bytes():
        await session.send_audio(pcm)
    talking.cancel("the browser has gone")


class Desk:
    """A session for all requests: the first that needs it opens it, and again after its end."""

    def __init__(self, client: MeshAPI, tasks: anyio.abc.TaskGroup) -> None:
        """Take the task group in which sessions live: a request is over long before."""
        self._client = client
        self._tasks = tasks
        self._turn = anyio.Lock()
        self._session: RealtimeSession | None = None

    async def ask(self, question: str) -> str:
        """Return the answer to a question, once it is its turn."""
        async with self._turn:
            if self._session is None or self._session.closed:
                self._session = await self._client.realtime.connect_in(self._tasks, model=MODEL)
            return await answer(self._session, question)

    async def close(self) -> None:
        """Close the session: the application's task group waits for that."""
        if self._session is not None:
            await self._session.close()


async def answer(session: RealtimeSession, question: str) -> str:
    """Ask something in writing, and return the answer."""
    with session.listen(ResponseOutputTextDone) as texts:
        await session.create_item(UserMessage(content=[InputText(text=question)]))
        began = await session.respond(ResponseParams(output_modalities=["text"]))
        async for message in texts:
            match message.event:
                case ResponseOutputTextDone(response_id=began.response.id, text=text):
                    return text
    return "The line went dead."


async def ask(request: Request) -> PlainTextResponse:
    """Answer a question."""
    desk: Desk = request.state.desk
    return PlainTextResponse(await desk.ask((await request.body()).decode()))


class State(TypedDict):
    """What the handlers find in their ``state``."""

    client: MeshAPI
    desk: Desk


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[State]:
    """Hold the task group of all that outlives a request."""
    client = MeshAPI()
    async with anyio.create_task_group() as tasks:
        desk = Desk(client, tasks)
        yield {"client": client, "desk": desk}
        await desk.close()


app = Starlette(
    routes=[WebSocketRoute("/talk", talk), Route("/ask", ask, methods=["POST"])],
    lifespan=lifespan,
)
