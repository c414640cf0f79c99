"""What is sent: never torn, never more than is said, and its fate told truly."""

import asyncio
import gc
import itertools
import random
import socket
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
from support import RawConnection, connecting, parse_frames, raw_server, text_delta

from meshrt.session import RealtimeSession, Receipt
from meshrt.transports import ConnectionLost

from .promises import Found, Setting
from .tools import CLEAR, MIB, Tally, unheard

_KIB = 1024
_BUFFER_BYTES = 256 * _KIB  # of the system, at the server


class Deaf:
    """A server that greets and reads no more, until it is told to read all."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, connection: RawConnection) -> None:
        """Be a raw server's script."""
        hold_little(connection)
        connection.greet()
        self.go.wait(60)


def hold_little(connection: RawConnection) -> None:
    """Let the system take but little of what a server does not read."""
    connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)


@asynccontextmanager
async def beside_a_deaf_server(
    **options: float,
) -> AsyncGenerator[tuple[RealtimeSession, RawConnection, Deaf]]:
    """Open a session with a server that does not read until the block is left."""
    deaf = Deaf()
    with raw_server(deaf) as server:
        try:
            async with connecting(server.port, liveness=None, **options) as session:
                yield session, server.connections[0], deaf
        finally:
            deaf.go.set()
        await server.settled()


async def within(seconds: float, send: Callable[[], Awaitable[object]], *, native: bool) -> bool:
    """Cancel a function after a time, by a scope or as asyncio does; say whether it was."""
    if not native:
        with anyio.move_on_after(seconds) as scope:
            await send()
        return scope.cancelled_caught
    try:
        async with asyncio.timeout(seconds):
            await send()
    except TimeoutError:
        return True
    return False


async def torn(setting: Setting) -> Found:
    """Cancel a send of 8 MiB that a server does not read, and send again."""
    size = setting.sizes["mib"] * MIB * 3 // 4  # base64 makes 4 of 3
    unreadable = total = 0
    ways = (False,) if setting.backend == "trio" else (False, True)
    for native in ways:
        async with beside_a_deaf_server(close_timeout=0.1) as (session, connection, deaf):
            sent: list[str] = []

            async def send(session: RealtimeSession = session, sent: list[str] = sent) -> None:
                while True:
                    await session.send_audio(bytes(size))
                    sent.append("audio")

            cancelled = await within(0.3, send, native=native)
            if not cancelled:
                raise RuntimeError("no send waited")
            deaf.go.set()
            await session.send({**CLEAR, "event_id": "after"})
            await session.flush()
        data = await connection.received()
        total += len(data)
        unreadable += _unreadable(data, [*sent, "after"])
    return {"bytes": (unreadable, f"of {total / MIB:.0f} MiB")}


def _unreadable(data: bytes, expected: list[str]) -> int:
    """Return of how many bytes a strict parser makes no sense, or not that of who sent them."""
    try:
        heard = parse_frames(data)
    except AssertionError as error:
        return len(data) - int(str(error).split()[1].rstrip(":"))  # "byte 17: ..."
    told = ["audio" if "audio" in event else event["event_id"] for event in heard.events]
    return 0 if told == expected and not heard.torn else len(data)


async def piled(setting: Setting) -> Found:
    """Cancel sends of 1 MiB while the server does not read: nothing of them may be kept."""
    chunk = bytes(MIB * 3 // 4)
    tries = setting.sizes["sends"]
    with _traced():
        async with beside_a_deaf_server(close_timeout=0.1) as (session, _, _):

            async def fill() -> None:
                while True:
                    await session.send_audio(chunk)

            await within(0.5, fill, native=False)
            before = _held()
            cancelled = 0
            for number in range(tries):
                native = setting.backend == "asyncio" and number % 2 == 1
                cancelled += await within(0.005, lambda: session.send_audio(chunk), native=native)
            more = max(_held() - before, 0)
    if cancelled < tries:
        raise RuntimeError(f"{cancelled} of {tries} sends were cancelled")
    return {"held": (more / _KIB, f"after {tries}")}


async def blocked(setting: Setting) -> Found:
    """Send to a server that does not read: ``send`` waits, ``send_nowait`` says so."""
    tally = Tally()
    chunk = bytes(setting.sizes["chunk"])
    with _traced(), unheard(tally):
        async with beside_a_deaf_server(close_timeout=0.1) as (session, _, _):
            before = _held()

            async def fill() -> None:
                while True:
                    await session.send_audio(chunk)

            tally.expect(await within(1, fill, native=False), "send did not wait")
            for _ in range(100):
                try:
                    session.send_nowait(CLEAR)
                except anyio.WouldBlock:
                    tally.expect(holds=True, what="")
                else:
                    tally.expect(holds=False, what="send_nowait did not say WouldBlock")
            held = _held() - before
    return {"waits": tally.found(), "held": (held / MIB, "")}


@contextmanager
def _traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def receipts(setting: Setting) -> Found:
    """Cancel sends at random, end sessions in four ways, and compare receipts with the wire."""
    chance = random.Random(9)
    tallies = {end: Tally() for end in _ENDS}
    fates: Counter[str] = Counter()
    cancelled = 0
    for end in itertools.cycle(_ENDS):
        if cancelled >= setting.sizes["cancels"]:
            break
        with unheard(tallies[end]):
            cancelled += await _one_session(end, chance, setting, tallies[end], fates)
    closing = tallies.pop("cut while we close")
    sending = sum(tallies.values(), Tally())
    counts = ", ".join(f"{count:,} {fate}" for fate, count in sorted(fates.items()))
    untrue, remark = sending.found()
    return {
        "untrue": (untrue, f"{remark} ({cancelled:,} cancelled, {counts})"),
        "closing": closing.found(),
    }


_SOME, _MANY = 150, 2000  # sends: the second are more than are read before we are cut off
_ENDS = ("kind", "stops reading", "cut while we send", "cut while we close")


def _reading(end: str, chance: random.Random, deaf: Deaf) -> Callable[[RawConnection], None]:
    """Return a server that reads slowly, and at last not at all, or cuts us off."""
    reads = chance.randrange(3, 30) if end in ("stops reading", "cut while we send") else 10**6

    def script(connection: RawConnection) -> None:
        hold_little(connection)
        connection.greet()
        connection.say(*map(text_delta, range(3)))
        for _ in range(reads):
            if end == "cut while we close" and deaf.go.is_set():
                break
            if not connection.read():
                return
            time.sleep(0.001)
        if end == "stops reading":
            deaf.go.wait(20)
        else:
            connection.reset()

    return script


async def _one_session(
    end: str, chance: random.Random, setting: Setting, tally: Tally, fates: Counter[str]
) -> int:
    deaf = Deaf()
    receipts: list[Receipt] = []
    cancelled: set[str] = set()
    script = _reading(end, chance, deaf)
    with raw_server(script) as server:
        async with connecting(server.port, close_timeout=0.1) as session:
            try:
                count = _MANY if end == "cut while we send" else _SOME
                await _send_some(
                    session, chance, setting, count=count, receipts=receipts, cancelled=cancelled
                )
                if end == "kind":
                    await session.flush()
                if end == "cut while we close":
                    deaf.go.set()
            except ConnectionLost:
                pass
        deaf.go.set()
        heard = await server.connections[0].heard()
    arrived = [event["event_id"] for event in heard.events]
    unsent = [event.event_id for event in session.unsent]  # type: ignore[union-attr]
    _compare(receipts, cancelled, arrived, unsent, may_be_unknown=end != "kind", tally=tally)
    fates.update(receipt.fate for receipt in receipts)
    return len(cancelled)


async def _send_some(
    session: RealtimeSession,
    chance: random.Random,
    setting: Setting,
    *,
    count: int,
    receipts: list[Receipt],
    cancelled: set[str],
) -> None:
    audio = "A" * (128 * _KIB)
    for number in range(count):
        event_id = f"e{number}"
        event: dict[str, object] = {**CLEAR, "event_id": event_id}
        if chance.random() < 0.5:
            event = {"type": "input_audio_buffer.append", "event_id": event_id, "audio": audio}

        async def send(event: dict[str, object] = event) -> None:
            receipts.append(await session.send(event))

        before = len(receipts)
        native = setting.backend == "asyncio" and chance.random() < 0.5
        # Nothing may be done at once, which is a cancellation before it began.
        delay = chance.choice((0.0, chance.random() * 0.003, 5.0))
        if await within(delay, send, native=native) and len(receipts) == before:
            cancelled.add(event_id)


def _compare(
    receipts: list[Receipt],
    cancelled: set[str],
    arrived: list[str],
    unsent: list[str | None],
    *,
    may_be_unknown: bool,
    tally: Tally,
) -> None:
    fates = {receipt.event_id: receipt.fate for receipt in receipts}
    there = set(arrived)
    for event_id in cancelled:
        tally.expect(event_id not in there, f"{event_id} was cancelled and arrived")
    for event_id, fate in fates.items():
        is_true = {
            "queued": False,
            "sent": event_id in there,
            "unsent": event_id not in there,
            "unknown": may_be_unknown,
        }[fate]
        tally.expect(is_true, f"{event_id} was said to be {fate}")
    told = [event_id for event_id, fate in fates.items() if fate == "unsent"]
    tally.expect(told == unsent, "session.unsent is not what the receipts say")
    tally.expect(arrived == [e for e in fates if e in there], "out of order, or twice")
