# ruff: noqa: PT012  a session's block, all of it, is what raises
"""Any byte is life; silence is asked about and then believed; expiry is never a clean end."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing
from support import (
    PCM,
    ScriptedServer,
    Wrapped,
    audio_delta,
    created,
    response_created,
    text_delta,
)

from meshrt.errors import ConfigurationError
from meshrt.events import InputAudioBufferAppend
from meshrt.session import Connecting, Liveness, SessionOptions
from meshrt.session._liveness import Watch
from meshrt.transports import ConnectionLost, SessionExpired, Transport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Counted(Wrapped):
    """Note when a ping is sent."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.pings: list[float] = []
        self.began = anyio.current_time()

    def ping(self) -> None:
        self.pings.append(anyio.current_time() - self.began)
        super().ping()


def connect(server: ScriptedServer, transports: list[Counted], **options: Any) -> Connecting:
    async def open_it(_tasks: object) -> Transport:
        await anyio.lowlevel.checkpoint()
        transports.append(Counted(server.client))
        return transports[-1]

    return Connecting(open_it, options=SessionOptions(**options))


async def until_lost(session: Any) -> float:
    began = anyio.current_time()
    with pytest.raises(ConnectionLost, match="no byte came for"):
        async for _ in session:
            pass
    return anyio.current_time() - began


async def test_a_dead_server_is_noticed_in_30_s_while_idle() -> None:
    transports: list[Counted] = []
    async with ScriptedServer(answers_pings=False) as server:
        async with connect(server, transports) as session:
            assert await until_lost(session) == pytest.approx(30)
            assert session.closed is not None
            assert (session.closed.initiator, session.closed.code) == ("network", None)
            assert session.closed.last_byte_age == pytest.approx(30)
    assert transports[0].pings == [15]
    assert transports[0].aborts > 0


async def test_a_dead_server_is_noticed_in_15_s_in_a_turn() -> None:
    transports: list[Counted] = []
    async with ScriptedServer(answers_pings=False) as server:
        async with connect(server, transports) as session:
            await session.send({"type": "response.create"})
            assert await until_lost(session) == pytest.approx(15)
    assert transports[0].pings == [5, 10]


async def test_a_dead_server_is_noticed_in_15_s_while_audio_is_sent() -> None:
    async def talk() -> None:
        while session.closed is None:
            await session.send_audio(PCM)
            await anyio.sleep(0.1)

    async with ScriptedServer(reads=False) as server:
        async with server.connect() as session, anyio.create_task_group() as tasks:
            tasks.start_soon(talk)
            assert await until_lost(session) == pytest.approx(15)
            tasks.cancel_scope.cancel()


class StuckOnAudio(Wrapped):
    """Get everything out but audio."""

    async def send(self, batch: Sequence[str | bytes]) -> None:
        if any("append" in str(message) for message in batch):
            await anyio.sleep_forever()
        await super().send(batch)


async def test_audio_that_is_stuck_behind_another_message_is_being_sent_too() -> None:
    async def open_it(_tasks: object) -> Transport:
        await anyio.lowlevel.checkpoint()
        return StuckOnAudio(server.client)

    async with ScriptedServer() as server:
        async with Connecting(open_it, options=SessionOptions()) as session:
            session.send_nowait({"type": "conversation.item.delete", "item_id": "x" * 2**16})
            session.send_nowait(InputAudioBufferAppend(audio=PCM))
            assert await until_lost(session) == pytest.approx(15)


async def test_a_turn_that_begins_late_gives_the_server_its_time() -> None:
    async with ScriptedServer(answers_pings=False) as server, server.connect() as session:
        await anyio.sleep(14.9)
        await session.send({"type": "response.create"})
        # It was not asked before, and has ten seconds to answer from then on.
        assert 10 <= await until_lost(session) <= 15.1


async def test_a_server_that_answers_pings_is_alive_for_a_day() -> None:
    transports: list[Counted] = []
    async with ScriptedServer() as server, connect(server, transports) as session:
        await anyio.sleep(86_400)
        assert session.closed is None
    assert len(transports[0].pings) == pytest.approx(86_400 / 15, rel=0.01)


async def test_a_server_that_talks_is_alive_though_it_answers_no_ping() -> None:
    transports: list[Counted] = []
    async with ScriptedServer(answers_pings=False) as server:
        async with connect(server, transports, keep_alive=None) as session:
            await server.say(response_created())
            for _ in range(600):
                await server.say(audio_delta())
                await anyio.sleep(1)
            assert session.closed is None
    assert transports[0].pings == []


async def test_one_byte_in_time_is_enough() -> None:
    async with ScriptedServer(answers_pings=False) as server:
        async with server.connect() as session:
            for _ in range(20):
                await anyio.sleep(29)
                await server.say(text_delta(1))
            assert session.closed is None


async def test_a_blocked_event_loop_is_not_a_dead_server() -> None:
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    async with ScriptedServer() as server, server.connect() as session:
        await session.send({"type": "response.create"})
        for _ in range(10):
            await server.say(text_delta(1))
            clock.jump(40)  # nobody has run meanwhile
            await anyio.sleep(0.3)
        assert session.closed is None


async def test_what_was_buffered_is_read_before_the_loss() -> None:
    async with ScriptedServer(answers_pings=False) as server:
        async with server.connect() as session:
            await server.say(response_created(), text_delta(1))
            await anyio.sleep(40)
            heard = []
            with pytest.raises(ConnectionLost, match="in the middle of a response"):
                async for message in session:
                    heard.append(message.event.type)  # noqa: PERF401  it ends with an error
            assert heard == ["session.created", "response.created", "response.output_text.delta"]


async def test_who_wants_no_watch_waits_for_ever() -> None:
    transports: list[Counted] = []
    async with ScriptedServer(answers_pings=False) as server:
        async with connect(server, transports, liveness=None, keep_alive=None) as session:
            await anyio.sleep(86_400)
            assert session.closed is None
    assert transports[0].pings == []


async def test_the_times_are_settings() -> None:
    transports: list[Counted] = []
    times = Liveness(ping_active=1, dead_active=2, ping_idle=100, dead_idle=300)
    async with ScriptedServer(answers_pings=False) as server:
        async with connect(server, transports, liveness=times, keep_alive=None) as session:
            assert await until_lost(session) == pytest.approx(300)
    assert transports[0].pings == [100, 200]
    async with ScriptedServer(answers_pings=False) as server:
        async with server.connect(liveness=times) as session:
            await session.send({"type": "response.create"})
            assert await until_lost(session) == pytest.approx(2)


@pytest.mark.parametrize(
    "times",
    [
        {"ping_active": 0},
        {"dead_idle": True},
        {"ping_idle": "5"},
        {"dead_active": float("nan")},
        {"ping_active": 15},
        {"ping_idle": 30, "dead_idle": 30.1},
    ],
    ids=repr,
)
async def test_times_that_cannot_be_are_refused(times: dict[str, Any]) -> None:
    await anyio.lowlevel.checkpoint()
    with pytest.raises(ConfigurationError, match=next(iter(times))):
        Liveness(**times)


async def test_while_only_the_server_talks_a_frame_of_ours_goes_out_in_time() -> None:
    transports: list[Counted] = []
    async with ScriptedServer() as server, connect(server, transports) as session:
        for _ in range(100):
            await server.say(text_delta(1))
            await anyio.sleep(1)
        assert transports[0].pings == pytest.approx([30, 60, 90], abs=0.5)
        await session.send_audio(PCM)
        await anyio.wait_all_tasks_blocked()
        for _ in range(29):
            await server.say(text_delta(1))
            await anyio.sleep(1)
        assert len(transports[0].pings) == 3
        for _ in range(5):
            await server.say(text_delta(1))
            await anyio.sleep(1)
        assert len(transports[0].pings) == 4


async def test_keeping_alive_is_a_setting() -> None:
    transports: list[Counted] = []
    async with ScriptedServer() as server:
        async with connect(server, transports, keep_alive=7, liveness=None):
            await anyio.sleep(30)
    assert transports[0].pings == [7, 14, 21, 28]


async def test_a_session_of_an_hour_with_idle_limits_and_expiry_takes_no_time() -> None:
    began = time.monotonic()
    greeting = created(expires_at=5_003_600)
    async with ScriptedServer(greeting) as server:
        async with server.connect(wall_clock=lambda: 5_000_000.0) as session:
            assert session.expires_in == 3600
            for minute in range(60):
                await session.send_audio(PCM)
                await server.say(text_delta(minute))
                await anyio.sleep(60)
            assert session.expires_in == 0
            assert session.closed is None
            await server.vanish()  # a silent drop when the time is up
            with pytest.raises(SessionExpired):
                async for _ in session:
                    pass
            assert len(await server.heard(60)) == 60
    assert time.monotonic() - began < 10  # a hang guard: it takes a fraction of a second


async def close_at_the_time(server: ScriptedServer) -> None:
    await talk_for(server, 56)
    await server.close(1001)


async def drop_at_the_time(server: ScriptedServer) -> None:
    await talk_for(server, 56)
    await server.vanish()


async def fall_silent_before_the_time(server: ScriptedServer) -> None:
    await talk_for(server, 28)
    await anyio.sleep(31)


async def say_so_by_an_error(server: ScriptedServer) -> None:
    details = {"type": "x", "code": "session_expired", "message": "Over."}
    await server.say({"type": "error", "error": details})
    await server.close(1008)


async def say_so_in_words(server: ScriptedServer) -> None:
    await server.close(1001, "Your session hit the maximum duration of 60 minutes.")


async def talk_for(server: ScriptedServer, seconds: int) -> None:
    for _ in range(0, seconds, 14):
        await anyio.sleep(14)
        await server.say(text_delta(1))


@pytest.mark.parametrize(
    "expire",
    [
        close_at_the_time,
        drop_at_the_time,
        fall_silent_before_the_time,
        say_so_by_an_error,
        say_so_in_words,
    ],
)
async def test_expiry_is_told_from_a_loss_and_from_a_clean_end(
    expire: Callable[[ScriptedServer], Awaitable[None]],
) -> None:
    item = {"id": "i", "type": "message", "role": "user", "content": []}
    server = ScriptedServer(created(expires_at=1060), answers_pings=False)
    async with server, server.connect(wall_clock=lambda: 1000.0, errors="deliver") as session:
        await server.say({"type": "conversation.item.added", "item": item})
        await expire(server)
        with pytest.raises(SessionExpired):
            async for _ in session:
                pass
        with pytest.raises(SessionExpired):
            await session.send_audio(PCM)
        assert [record.id for record in session.conversation.items] == ["i"]


async def test_a_clean_end_long_before_expiry_is_none() -> None:
    async with ScriptedServer(created(expires_at=5000)) as server:
        async with server.connect(wall_clock=lambda: 1000.0) as session:
            await server.close(1000)
            assert [message.event.type async for message in session] == ["session.created"]


async def test_the_wall_clock_is_read_once() -> None:
    reads: list[float] = []

    def wall_clock() -> float:
        reads.append(1000.0 + 500 * len(reads))  # it jumps each time
        return reads[-1]

    async with ScriptedServer(created(expires_at=1600)) as server:
        async with server.connect(wall_clock=wall_clock) as session:
            await server.say(created(expires_at=9999))
            await anyio.sleep(100)
            assert session.expires_in == 500
    assert len(reads) == 1


async def test_a_server_that_names_no_expiry_leaves_it_open() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        assert session.expires_in is None


class Uploading(Counted):
    """A transport whose writer is inside a long message, so that no ping gets out."""

    is_stuck = False

    def ping(self) -> None:
        self.pings.append(anyio.current_time() - self.began)

    def outgoing(self) -> int:
        return 6

    @property
    def last_write_at(self) -> float:
        return self.inner.last_write_at if self.is_stuck else anyio.current_time()


async def test_a_long_message_that_gets_on_is_life_and_one_that_is_stuck_is_none() -> None:
    async with ScriptedServer(answers_pings=False) as server:
        transport = Uploading(server.client)
        watch = Watch(
            transport,
            liveness=Liveness(),
            keep_alive=None,
            is_active=lambda: True,
            sent_at=anyio.current_time,
            over=anyio.Event(),
        )
        with anyio.move_on_after(120) as scope:
            await watch.until_dead()
        assert scope.cancelled_caught
        transport.is_stuck = True
        began = anyio.current_time()
        await watch.until_dead()
        assert anyio.current_time() - began <= 15


async def test_a_loop_that_is_blocked_again_and_again_is_no_dead_server() -> None:
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    times = Liveness(ping_active=0.1, dead_active=0.5, ping_idle=0.1, dead_idle=0.5)
    async with ScriptedServer() as server, server.connect(liveness=times) as session:
        for _ in range(50):
            clock.jump(0.4)
            await anyio.lowlevel.checkpoint()
        assert session.closed is None
