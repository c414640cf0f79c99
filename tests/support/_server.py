"""A server that does what a test tells it, over the other end of a pair in memory."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, TypeAlias

import anyio
import anyio.lowlevel
import attrs

from meshrt.events import Session, SessionUpdate
from meshrt.protocol import AnyEvent, RealtimeProtocol, encode
from meshrt.session import Connecting, SessionOptions
from meshrt.transports import MemoryTransport, Transport, memory_transports
from meshrt.transports._memory import _Close

from ._wire import created, updated

Say: TypeAlias = Mapping[str, Any] | str | bytes
"""An event, or a message to the letter."""


class ScriptedServer(anyio.AsyncContextManagerMixin):
    """Greet, read, answer ``session.update`` and CLOSE: unless a test says otherwise.

    It speaks the server's half of the protocol, so what a client sends is checked by the same
    tables; what it says itself goes out as the test wrote it.

    Args:
        greeting: What it says first, in one write; empty for a server that never greets.
        max_batches: How many writes of either side may wait unread.
        reads: Whether it reads from the start.
        answers_close: Whether it answers a CLOSE; OpenAI's does not.
        answers_pings: Whether it answers a ping, as every server has to.
    """

    def __init__(
        self,
        *greeting: Say,
        greets: bool = True,
        max_batches: int | None = None,
        reads: bool = True,
        answers_close: bool = True,
        answers_pings: bool = True,
    ) -> None:
        self._greeting = greeting or ((created(),) if greets else ())
        self._max_batches = max_batches
        self._answers_close = answers_close
        self._answers_pings = answers_pings
        self._writing = anyio.Lock()
        self._reading = anyio.Event()
        self._changed = anyio.Event()
        if reads:
            self._reading.set()
        self.client: Transport
        self.transport: MemoryTransport
        self.protocol = RealtimeProtocol("server")
        self.events: list[AnyEvent] = []
        self.batches: list[list[str | bytes]] = []
        self.ended = anyio.Event()
        self.close_code: int | None = None
        self.close_reason = ""
        self.replies: dict[str, Callable[[Any], Say]] = {"session.update": _confirm}

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        self.client, self.transport = memory_transports(max_batches=self._max_batches)
        async with anyio.create_task_group() as tasks:
            if self._greeting:
                await self.say(*self._greeting)
            tasks.start_soon(self._serve)
            if self._answers_pings:
                tasks.start_soon(self._answer_pings)
            yield self
            tasks.cancel_scope.cancel()
        await self.transport.abort()

    def connect(self, *, session: Session | None = None, **options: Any) -> Connecting:
        """Return a session to be, over the client's end."""
        return Connecting(self.open, session=session, options=SessionOptions(**options))

    async def open(self, _tasks: object = None) -> Transport:
        """Be the function that opens the client's end."""
        await anyio.lowlevel.checkpoint()
        return self.client

    async def say(self, *messages: Say) -> None:
        """Send these in one write."""
        texts = [m if isinstance(m, str | bytes) else encode(m) for m in messages]
        async with self._writing:
            await self.transport.send(texts)

    async def ping(self) -> None:
        """Send a ping frame."""
        self.transport.ping()
        await self.say()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a CLOSE frame."""
        async with self._writing:
            await self.transport.aclose(code, reason)

    async def say_and_close(self, *messages: Say, code: int = 1000, reason: str = "") -> None:
        """Send these and a CLOSE frame."""
        for message in messages:
            await self.say(message)
        await self.close(code, reason)

    async def say_with_close(self, *messages: Say, code: int = 1000, reason: str = "") -> None:
        """Send these and a CLOSE frame so that one read takes them all."""
        control = attrs.evolve(self.transport._control, close=_Close(code, reason))
        self.transport._control = control
        await self.say(*messages)

    async def vanish(self) -> None:
        """Cut the connection without a CLOSE."""
        await self.transport.abort()

    def read(self) -> None:
        """Begin to read."""
        self._reading.set()

    async def heard(self, count: int) -> list[AnyEvent]:
        """Wait until the client has said so much; return all of it."""
        while len(self.events) < count:
            await self._changed.wait()
        return self.events

    def heard_types(self) -> list[str]:
        """Return the wire names of what the client has said so far."""
        return [event.type for event in self.events]

    async def _answer_pings(self) -> None:
        """Send control frames as they fall due; the memory's reader says when."""
        while True:
            due = anyio.Event()
            self.transport.wake = due.set
            await due.wait()
            if self.transport.close_code is None:  # whether to answer that is the test's choice
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    await self.say()

    async def _serve(self) -> None:
        await self._reading.wait()
        try:
            while True:
                await self._take(await self.transport.receive())
        except anyio.EndOfStream:
            self.close_code = self.transport.close_code
            self.close_reason = self.transport.close_reason
            if self._answers_close:
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    await self.say()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self.ended.set()

    async def _take(self, batch: list[str | bytes]) -> None:
        self.batches.append(batch)
        for message in batch:
            self.protocol.receive_text(message)
        events = self.protocol.events()
        self.events += events
        self._changed.set()
        self._changed = anyio.Event()
        answers = [
            self.replies[event.type](event) for event in events if event.type in self.replies
        ]
        if answers or self.transport.outgoing():
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await self.say(*answers)


def _confirm(event: SessionUpdate) -> Say:
    return updated(**{**event.data["session"], "id": "sess_1"})
