"""Handlers that raise, hang or are cancelled: how soon the rest stops, and what is said of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from support import RawConnection, connecting, raw_server, text_delta

from meshrt.session import RealtimeSession
from meshrt.transports import ConnectionLost

from .promises import Found, Setting
from .tools import CLEAR, Tally, Watch, unheard

_CLOSE_S = 0.3


class Own(Exception):  # noqa: N818  no error of ours
    """What a handler raises."""


class Heard(logging.Handler):
    """Counts what asyncio says of tasks and futures."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def emit(self, record: logging.LogRecord) -> None:
        """Note it."""
        self._tally.wrong.append(record.getMessage())


async def handlers(setting: Setting) -> Found:
    """Let a handler fail in each way while siblings of its session sleep."""
    said = Tally()
    logger = logging.getLogger("asyncio")
    logger.addHandler(heard := Heard(said))
    found: Found = {}
    try:
        with unheard(said), raw_server(_talking) as server:
            for key, measure in _WAYS.items():
                worst = 0.0
                for _ in range(setting.sizes["rounds"]):
                    said.tried += 1
                    worst = max(worst, await measure(server.port))
                    await server.settled()
                found[key] = (worst, "")
    finally:
        logger.removeHandler(heard)
    return {**found, "said": said.found()}


def _talking(connection: RawConnection) -> None:
    """Answer whatever comes with a delta."""
    connection.greet()
    while connection.read():
        heard = connection.so_far()
        if heard.close is not None:
            connection.say_close()
            return
        connection.say(text_delta(1))


async def _until_out(
    port: int, handler: Callable[..., Any], began: list[Watch], expected: type[Exception]
) -> float:
    """Open a session with siblings that sleep, and a handler; time from its failure to the end."""
    stopped: list[float] = []

    async def sibling() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(began[0].s)

    try:
        async with connecting(port, close_timeout=_CLOSE_S) as session:
            session.on("response.output_text.delta", handler)
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(sibling)
                await session.send(CLEAR)
    except expected:
        pass
    if len(stopped) != 3:
        raise RuntimeError("a sibling was not stopped")
    return began[0].s


async def _raises(port: int) -> float:
    began: list[Watch] = []

    async def fail(_: object) -> None:
        began.append(Watch())
        raise Own

    return await _until_out(port, fail, began, Own)


async def _is_cancelled(port: int) -> float:
    """Await a task that somebody has cancelled; on Trio, leave a nursery that is cancelled."""
    began: list[Watch] = []

    async def fail(_: object) -> None:
        began.append(Watch())
        try:
            await _await_a_cancelled_task()
        except RuntimeError:
            raise Own from None

    return await _until_out(port, fail, began, (Own, ConnectionLost))  # type: ignore[arg-type]


async def _await_a_cancelled_task() -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # on Trio, where nobody cancels a task from outside
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep_forever()
        raise
    task = loop.create_task(asyncio.sleep(10))
    task.cancel()
    await task


async def _hangs(port: int) -> float:
    hanging = anyio.Event()

    async def hang(_: object) -> None:
        hanging.set()
        await anyio.sleep_forever()

    async def leave(session: RealtimeSession) -> Watch:
        session.on("response.output_text.delta", hang)
        await session.send(CLEAR)
        await hanging.wait()
        return Watch()

    async with connecting(port, close_timeout=_CLOSE_S) as session:
        watch = await leave(session)
    return watch.s


_WAYS: dict[str, Callable[[int], Awaitable[float]]] = {
    "raises": _raises,
    "cancelled": _is_cancelled,
    "hangs": _hangs,
}
