"""Floods: of the server while nobody reads, of ours while it does not, and both at once."""

import base64
import json
import queue

import anyio
import anyio.to_thread
from support import RawConnection, connecting, raw_server, text_delta

from meshrt.errors import SlowConsumerError
from meshrt.session import DEFAULT_BUDGET_BYTES, RealtimeSession

from .promises import Found, Setting
from .tools import CLEAR, MIB, Tally, Watch, peer, resident_bytes, unheard, until

_UNREAD = 64
_NEVER_S = 10.0
_CHUNK = bytes(24 * 1024)  # half a second


async def pong(setting: Setting) -> Found:
    """Ping a client that has 64 messages unread: how long until the pong?"""
    took: queue.Queue[float] = queue.Queue()

    def script(connection: RawConnection) -> None:
        connection.greet()
        for number in range(setting.sizes["rounds"]):
            connection.say(*[text_delta("x" * 4000)] * _UNREAD)
            payload = number.to_bytes(2)
            watch = Watch()
            connection.ping(payload)
            while payload not in connection.so_far().pongs:
                if watch.s > _NEVER_S or not connection.read():
                    took.put(_NEVER_S)
                    return
            took.put(watch.s)

    worst = 0.0
    with raw_server(script) as server:
        async with connecting(server.port) as session:
            await session.receive()
            for _ in range(setting.sizes["rounds"]):
                worst = max(worst, await anyio.to_thread.run_sync(took.get))
        await server.settled()
    return {"pong": (worst, "")}


async def unread(setting: Setting) -> Found:
    """Read once and no more, while the server floods."""
    tally = Tally()
    size = setting.sizes["mib"] * MIB
    with unheard(tally), peer("flood", size) as server:
        async with connecting(server.port) as session:
            await session.receive()
            before = most = resident_bytes()
            await session.send(CLEAR)
            spent: Watch | None = None
            with anyio.move_on_after(30):
                while session.closed is None:
                    await anyio.sleep(0.001)
                    most = max(most, resident_bytes())
                    if spent is None and session.statistics().waiting_bytes >= _ALL_BUT_SPENT:
                        spent = Watch()
            took = 0.0 if spent is None else spent.s
            tally.expect(session.closed is not None, "it never ended")
            most = max(most, resident_bytes())
            count = await _in_order(session, tally)
    return {
        "rss": ((most - before) / MIB, ""),
        "told": (took, ""),
        "order": (len(tally.wrong), f"of {count:,}" + "".join(tally.wrong[:1])),
    }


_ALL_BUT_SPENT = DEFAULT_BUDGET_BYTES * 0.9


async def _in_order(session: RealtimeSession, tally: Tally) -> int:
    """Read what was buffered before the end."""
    count = 0
    try:
        async for message in session:
            tally.expect(message.event.data["event_id"] == str(count), f"no {count}")
            count += 1
    except SlowConsumerError:
        tally.expect(count, "nothing was readable")
    else:
        tally.expect(holds=False, what="no SlowConsumerError")
    return count


async def never_read(setting: Setting) -> Found:
    """Never read, as a program of callbacks alone, while the server floods to its end."""
    tally = Tally()
    with unheard(tally), peer("flood", setting.sizes["mib"] * MIB) as server:
        async with connecting(server.port) as session:
            before = most = resident_bytes()
            await session.send(CLEAR)
            while session.closed is None:
                await anyio.sleep(0.001)
                most = max(most, resident_bytes())
            count = int(await server.says())
            picture = session.statistics()
            tally.expect(session.closed.code == 1000, f"it ended with {session.closed}")
            tally.expect(picture.received == count + 1, f"{picture.received} of {count} came")
    return {
        "rss": ((most - before) / MIB, f"of {picture.received_bytes / MIB:.0f}"),
        "lives": tally.found(),
    }


async def both(setting: Setting) -> Found:
    """Flood each other: nobody waits for ever, nothing is out of order."""
    tally = Tally()
    size = setting.sizes["mib"] * MIB
    with unheard(tally), peer("both", size) as server:
        async with connecting(server.port, close_timeout=0.5) as session:
            watch = Watch()
            sent = 0
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_read_numbers, session, tally)
                audio = base64.b64encode(_CHUNK).decode()
                while sent * len(audio) < size:
                    event = {"type": "input_audio_buffer.append", "event_id": str(sent)}
                    await session.send({**event, "audio": audio})
                    sent += 1
                await session.flush()
                took = watch.s
                count = int(await server.says())
                await until(lambda: session.statistics().received > count)
                took = max(took, watch.s)
                await until(lambda: not session.statistics().waiting)
                tasks.cancel_scope.cancel()
        heard = json.loads(await server.says())
    tally.expect(heard == {"count": sent, "in_order": True}, f"of {sent} the server heard {heard}")
    return {"s": (took, f"for {2 * size / MIB:.0f} MiB"), "order": tally.found()}


async def _read_numbers(session: RealtimeSession, tally: Tally) -> None:
    count = 0
    await session.receive()
    async for message in session:
        tally.expect(message.event.data["event_id"] == str(count), f"no {count}")
        count += 1
