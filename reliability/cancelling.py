"""Cancelled at each suspension and at each tick of the loop: nothing is left, nothing is wrong."""

import functools
import itertools
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeAlias
from unittest.mock import patch

import anyio
import anyio.lowlevel
from support import (
    PCM,
    WAYS,
    CancelAt,
    RawConnection,
    RawScript,
    RawServer,
    Way,
    by_scope_at,
    by_tick_at,
    connecting,
    has_way,
    nothing_left,
    raw_server,
    text_delta,
)

from meshrt.transports import SessionClosed

from .promises import Found, Setting
from .tools import CLEAR, Tally, Watch, numbers_of

if TYPE_CHECKING:
    from meshrt.session import RealtimeMessage

_CLOSE_S = 0.01  # the close_timeout of those whose server never answers a CLOSE
_MOST_POINTS = 2000
_CHUNK = bytes(16 * 1024)  # as text it is above what is queued without a schedule point
_ADDRESSES = ("127.0.0.3", "127.0.0.2", "127.0.0.1")  # only the last one listens

Scene: TypeAlias = Callable[[RawServer, CancelAt], Awaitable[None]]


class WrongError(Exception):
    """A scene found something that may not be."""


def expect(holds: object, what: str) -> None:
    """Fail unless something holds.

    Raises:
        WrongError: It does not.
    """
    if not holds:
        raise WrongError(what)


class Timed(CancelAt):
    """Measures how long the cancelled function took, from its begin to its end."""

    took_s = 0.0

    async def __call__(self, function: Callable[[], Awaitable[object]]) -> object:
        """Run and cancel."""
        watch = Watch()
        try:
            return await super().__call__(function)
        finally:
            self.took_s = watch.s


async def suspensions(setting: Setting) -> Found:
    """Cancel connect, send, receive and close at each moment in each way that the loop has."""
    left, outcomes = Tally(), Tally()
    for way in WAYS:
        if has_way(way, setting.backend):
            for script, scene in _SCENES:
                with raw_server(script) as server:
                    await _at_each(way, server, scene, left, outcomes)
    return _found(left, outcomes)


async def ticks(setting: Setting) -> Found:
    """Cancel a connect that three addresses race for, at each moment that the loop has."""
    left, outcomes = Tally(), Tally()
    way = by_tick_at if has_way(by_tick_at, setting.backend) else by_scope_at
    with patch("anyio._core._sockets.getaddrinfo", _three_addresses):
        with raw_server(RawConnection.greet_and_serve) as server:
            await _at_each(way, server, _connect_by_name, left, outcomes)
        at_once = functools.partial(anyio.connect_tcp, happy_eyeballs_delay=0)
        with (
            patch("anyio.connect_tcp", at_once),
            _holes() as port,
            raw_server(RawConnection.greet_and_serve, port=port) as server,
        ):
            await _at_each(way, server, _connect_by_name, left, outcomes)
    return _found(left, outcomes)


def _found(left: Tally, outcomes: Tally) -> Found:
    return {"left": left.found(), "wrong": outcomes.found(), "worst": outcomes.worst()}


async def _at_each(
    way: Way, server: RawServer, scene: Scene, left: Tally, outcomes: Tally
) -> None:
    """Play a scene until the cancellation comes too late; count what is wrong."""
    for at in itertools.islice(itertools.count(1), _MOST_POINTS):
        cancel = Timed(way, at)
        where = f"{way.__name__} {at} in {scene.__name__}"
        try:
            async with nothing_left():
                await _play(scene, server, cancel, where, outcomes)
        except AssertionError as error:
            left.expect(holds=False, what=f"{where}: {error}")
        else:
            left.expect(holds=True, what=where)
        outcomes.took(cancel.took_s, f"to {scene.__name__.strip('_').replace('_', ' ')}")
        if not (hasattr(cancel, "outcome") and cancel.outcome.asked):
            return


async def _play(
    scene: Scene, server: RawServer, cancel: CancelAt, where: str, outcomes: Tally
) -> None:
    try:
        await scene(server, cancel)
        outcome = cancel.outcome
        # A scope's request may find only a shield at an end's last steps, and comes after it.
        came_out = outcome.cancelled or not outcome.asked or cancel._way is by_scope_at
        outcomes.expect(outcome.error is None and came_out, f"{where}: {outcome}")
    except (WrongError, AssertionError) as error:
        outcomes.expect(holds=False, what=f"{where}: {error}")
    await server.settled()


async def _connect(server: RawServer, cancel: CancelAt) -> None:
    async def live() -> None:
        async with connecting(server.port) as live:
            await live.receive()
            await live.send_audio(PCM)

    await cancel(live)


async def _connect_and_configure(server: RawServer, cancel: CancelAt) -> None:
    async def live() -> None:
        async with connecting(server.port, session={"type": "realtime"}):
            pass

    await cancel(live)


async def _connect_by_name(server: RawServer, cancel: CancelAt) -> None:
    async def live() -> None:
        async with connecting(server.port, host="localhost"):
            pass

    await cancel(live)


async def _send(server: RawServer, cancel: CancelAt) -> None:
    sent: list[str] = []

    async def send() -> None:
        for number in range(6):
            await session.send_audio(_CHUNK)
            sent.append("audio")
            await session.send({**CLEAR, "event_id": f"clear {number}"})
            sent.append(f"clear {number}")

    async with connecting(server.port) as session:
        await cancel(send)
        await session.send({**CLEAR, "event_id": "last"})
    heard = await server.connections[-1].heard()
    told = ["audio" if "audio" in event else event["event_id"] for event in heard.events]
    expect(told == [*sent, "last"], f"{len(sent)} sends returned, the server heard {told}")
    expect(heard.close == (1000, ""), f"the goodbye was {heard.close}")


async def _receive(server: RawServer, cancel: CancelAt) -> None:
    received: list[RealtimeMessage] = []
    asked = 0

    async def converse() -> None:
        nonlocal asked
        for _ in range(4):
            await session.send(CLEAR)
            asked += 1
            received.append(await session.receive())

    async with connecting(server.port, close_timeout=_CLOSE_S) as session:
        await session.receive()
        await cancel(converse)
        while len(received) < asked:
            received.append(await session.receive())
    numbers = numbers_of(received)
    expect(numbers == list(range(asked)), f"asked {asked} times, got {numbers}")


async def _close(server: RawServer, cancel: CancelAt) -> None:
    async with connecting(server.port, close_timeout=_CLOSE_S) as session:
        await session.send_audio(PCM)
        await cancel(session.close)
        expect(session.closed is not None, "the session was not closed")
        for call in (session.receive, functools.partial(session.send_audio, PCM)):
            try:
                await call()
            except SessionClosed:
                continue
            expect(holds=False, what="a call after the close did not raise SessionClosed")


def answering(connection: RawConnection) -> None:
    """Answer each event with a numbered one."""
    connection.greet()
    answered = 0
    while connection.read():
        for _ in connection.so_far().messages[answered:]:
            connection.say(text_delta(answered))
            answered += 1


_SCENES: tuple[tuple[RawScript, Scene], ...] = (
    (RawConnection.greet_and_serve, _connect),
    (RawConnection.greet_and_serve, _connect_and_configure),
    (RawConnection.greet_and_serve, _send),
    (answering, _receive),
    (RawConnection.greet_and_serve, _close),
    (RawConnection.greet_and_ignore_close, _close),
)


async def _three_addresses(_host: str, port: int, **_options: object) -> list[object]:
    await anyio.lowlevel.checkpoint()
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in _ADDRESSES]


@contextmanager
def _holes() -> Iterator[int]:
    """Let two addresses answer nothing: a full queue drops whoever knocks; yield their port."""
    with ExitStack() as stack:
        holes = _bound_to_one_port()
        for hole in holes:
            stack.enter_context(hole)
            hole.listen(0)
            for _ in range(4):
                knock = stack.enter_context(socket.socket())
                knock.setblocking(False)  # noqa: FBT003  its only argument
                knock.connect_ex(hole.getsockname())
        yield holes[0].getsockname()[1]


def _bound_to_one_port() -> list[socket.socket]:
    """Bind all addresses but the last to a port that is free on the last one too."""
    for _ in range(100):
        with ExitStack() as stack:
            bound: list[socket.socket] = []
            port = 0
            try:
                for address in _ADDRESSES:
                    bound.append(stack.enter_context(socket.socket()))
                    bound[-1].bind((address, port))
                    port = bound[-1].getsockname()[1]
            except OSError:  # somebody has it, on one of the others
                continue
            bound.pop().close()
            stack.pop_all()
            return bound
    raise RuntimeError("no port is free on three addresses")
