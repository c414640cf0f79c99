"""Closing: how long it takes, whatever the server does, and what calls get afterwards."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from support import (
    PCM,
    RawConnection,
    RawScript,
    connecting,
    nothing_left,
    raw_server,
    text_delta,
)

from meshrt.session import RealtimeSession
from meshrt.transports import SessionClosed

from .promises import Found, Setting
from .sending import Deaf, beside_a_deaf_server
from .tools import CLEAR, Tally, Watch, unheard, until

_UNREAD = 64
_CALLS = 20


async def close(setting: Setting) -> Found:
    """Close in the ways that are known to hang: return how long each took at worst."""
    found: Found = {}
    for key, measure in _WAYS.items():
        worst = 0.0
        for _ in range(setting.sizes["rounds"]):
            async with nothing_left():
                worst = max(worst, await measure())
        found[key] = (worst, "")
    return found


def _then(script: RawScript) -> RawScript:
    """Return a server that says much and then goes on with a script."""

    def talk(connection: RawConnection) -> None:
        connection.greet()
        connection.say(*[text_delta("x" * 4000)] * _UNREAD)
        script(connection)

    return talk


def _silent(connection: RawConnection) -> None:
    connection.serve(answers_close=False)


async def _unread(script: RawScript) -> float:
    with raw_server(_then(script)) as server:
        async with connecting(server.port) as session:
            await until(lambda: session.statistics().received > _UNREAD)
            watch = Watch()
            await session.close()
            took = watch.s
        await server.settled()
    return took


async def _unread_and_echoed() -> float:
    return await _unread(RawConnection.serve)


async def _unread_and_silent() -> float:
    return await _unread(_silent)


async def _while_a_send_waits() -> float:
    outcomes: list[BaseException] = []

    async def send(session: RealtimeSession) -> None:
        try:
            while True:
                await session.send_audio(bytes(64 * 1024))
        except anyio.ClosedResourceError as error:
            outcomes.append(error)

    async with beside_a_deaf_server(close_timeout=1.0) as (session, _, _):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, session)
            await anyio.sleep(0.3)
            watch = Watch()
            await session.close()
        took = watch.s  # the sender included
    if [type(error) for error in outcomes] != [SessionClosed]:
        raise RuntimeError(f"the sender got {outcomes}")
    return took


async def _in_a_cancelled_scope() -> float:
    deaf = Deaf()
    with raw_server(deaf) as server:
        async with connecting(server.port) as session:
            watch = Watch()
            with anyio.CancelScope() as scope:
                scope.cancel()
                await session.close()
            took = watch.s
        deaf.go.set()
        await server.settled()
    if not scope.cancelled_caught:
        raise RuntimeError("the cancellation was swallowed")
    return took


async def _and_the_server_keeps_tcp_open() -> float:
    # This server answers the CLOSE and leaves the connection for us to end.
    with raw_server(RawConnection.greet_and_serve) as server:
        async with connecting(server.port) as session:
            watch = Watch()
            await session.close()
            took = watch.s
        await server.settled()
    return took


_WAYS: dict[str, Callable[[], Awaitable[float]]] = {
    "echoed": _unread_and_echoed,
    "silent": _unread_and_silent,
    "sending": _while_a_send_waits,
    "cancelled": _in_a_cancelled_scope,
    "open": _and_the_server_keeps_tcp_open,
}


async def again(setting: Setting) -> Found:
    """Close ten times at once, and use the session afterwards."""
    tally = Tally()
    with unheard(tally), raw_server(RawConnection.greet_and_serve) as server:
        for _ in range(setting.sizes["rounds"]):
            async with connecting(server.port) as session:
                await _ten_at_once(session, tally)
                for number in range(_CALLS):
                    await _call(session, number, tally)
            await server.settled()
            heard = await server.connections[-1].heard()
            tally.expect(heard.close == (1000, ""), f"the goodbye was {heard.close}")
    return {"wrong": tally.found(), "worst": tally.worst()}


async def _ten_at_once(session: RealtimeSession, tally: Tally) -> None:
    async def one() -> None:
        watch = Watch()
        try:
            await session.close()
        except Exception as error:  # noqa: BLE001  it is what is looked for
            tally.expect(holds=False, what=f"close raised {error!r}")
        else:
            tally.expect(session.closed is not None, "close returned before it was closed")
        tally.took(watch.s)

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(one)


async def _call(session: RealtimeSession, number: int, tally: Tally) -> None:
    """Make one of the calls that are refused after a close."""
    calls: list[Callable[[], Awaitable[Any]]] = [
        session.receive,
        session.clear,
        session.commit,
        lambda: session.send(CLEAR),
        lambda: session.send_audio(PCM),
        lambda: session.update({"type": "realtime"}),
        session.respond,
        session.cancel,
        lambda: session.retrieve_item("item_1"),
        lambda: session.delete_item("item_1"),
    ]
    watch = Watch()
    try:
        await calls[number % len(calls)]()
    except SessionClosed:
        tally.expect(holds=True, what="")
    except Exception as error:  # noqa: BLE001  the same
        tally.expect(holds=False, what=f"call {number} raised {error!r}")
    else:
        tally.expect(holds=False, what=f"call {number} returned")
    tally.took(watch.s)
