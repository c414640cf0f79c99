"""What is received: in order, each once, to one reader; and what is left when it is dropped."""

import gc
import time

import anyio
from support import RawConnection, connecting, nothing_left, raw_server, text_delta

from meshrt.session import RealtimeMessage, RealtimeSession

from .promises import Found, Setting
from .tools import Tally, Watch, numbers_of, unheard

_PAUSE_S = 0.001  # of the server, so that readers have to wait


async def two(setting: Setting) -> Found:
    """Let two tasks receive: one is told that the other does, and nothing is lost."""
    count = setting.sizes["messages"]
    refused = Tally()
    received: list[RealtimeMessage] = []

    def script(connection: RawConnection) -> None:
        connection.greet()
        for number in range(count):
            connection.say(text_delta(number))
            time.sleep(_PAUSE_S)
        connection.serve()

    async def read(session: RealtimeSession) -> None:
        while len(received) <= count:  # with the greeting
            watch = Watch()
            try:
                with anyio.move_on_after(1):  # of two that wait for the last, one waits for ever
                    received.append(await session.receive())
            except anyio.BusyResourceError:
                refused.took(watch.s)
                refused.expect(holds=True, what="")
                await anyio.sleep(_PAUSE_S)

    lost = Tally()
    with unheard(lost), raw_server(script) as server:
        async with connecting(server.port) as session, anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(read, session)
        await server.settled()
    numbers = numbers_of(received)
    lost.tried = count
    lost.wrong += [f"{number} is missing" for number in sorted({*range(count)} - {*numbers})]
    lost.wrong += ["out of order, or twice"] * (numbers != sorted(set(numbers)))
    if not refused.tried:
        raise RuntimeError("the two never met")
    return {"lost": lost.found(), "told": (refused.worst_s, f"of {refused.tried:,}")}


async def dropped(setting: Setting) -> Found:
    """Break out of loops, drop iterators and sessions: nothing is left that runs or complains."""
    tally = Tally()

    def script(connection: RawConnection) -> None:
        connection.greet()
        connection.say(*map(text_delta, range(10)))
        connection.serve()

    with raw_server(script) as server:
        for _ in range(setting.sizes["rounds"]):
            try:
                async with nothing_left():
                    await _read_in_parts(server.port, tally)
                    await server.settled()
            except AssertionError as error:
                tally.expect(holds=False, what=str(error))
    cpu, watch = time.process_time(), Watch()
    await anyio.sleep(setting.sizes["idle_ms"] / 1000)
    return {
        "left": tally.found(),
        "cpu": (100 * (time.process_time() - cpu) / watch.s, ""),
    }


async def _read_in_parts(port: int, tally: Tally) -> None:
    messages: list[RealtimeMessage] = []
    async with connecting(port) as session:
        for _ in range(3):
            async for message in session:
                messages.append(message)
                if len(messages) % 3 == 0:
                    break
            gc.collect()
        iterator = session.__aiter__()
        messages.append(await anext(iterator))
        del iterator
        listener = session.listen("response.*")
        del listener
        gc.collect()
        messages.append(await session.receive())
    tally.expect(numbers_of(messages) == list(range(10)), f"it read {numbers_of(messages)}")
