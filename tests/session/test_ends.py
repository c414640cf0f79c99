"""Ends are never silent: each says who ended the session, and how, to whoever still uses it."""

import anyio
import anyio.lowlevel
import pytest
from support import (
    PCM,
    ScriptedServer,
    Wrapped,
    created,
    error,
    response_created,
    response_done,
    text_delta,
    texts_of,
)

from meshrt.errors import RealtimeError, RemoteProtocolError
from meshrt.session import RealtimeMessage, RealtimeSession
from meshrt.transports import ConnectionLost, SessionClosed, SessionExpired, Transport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

EXPIRY = "Your session hit the maximum duration of 60 minutes."


async def read_all(session: RealtimeSession, received: list[RealtimeMessage]) -> None:
    async for message in session:
        received.append(message)  # noqa: PERF401  it may end with an error


async def test_our_close_stops_a_running_iteration() -> None:
    received: list[RealtimeMessage] = []
    async with ScriptedServer() as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_all, session, received)
            await anyio.wait_all_tasks_blocked()
            await session.close()
    assert [message.event.type for message in received] == ["session.created"]


async def test_our_close_discards_what_is_buffered() -> None:
    async with ScriptedServer(created(), text_delta(1)) as server, server.connect() as session:
        await session.close()
        assert [message async for message in session] == []
        for _ in range(2):
            with pytest.raises(SessionClosed) as caught:
                await session.receive()
            assert isinstance(caught.value, anyio.ClosedResourceError)


async def test_our_close_is_said_to_be_ours() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.close(3001, "enough")
        assert session.closed is not None
        assert session.closed.initiator == "client"
        assert (session.closed.code, session.closed.reason) == (3001, "enough")
        assert session.closed.error is None
        await server.ended.wait()
    assert (server.close_code, server.close_reason) == (3001, "enough")


async def test_leaving_the_block_is_our_close() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            pass
        assert session.closed is not None
        assert session.closed.initiator == "client"
        assert session.closed.code == 1000
        with pytest.raises(SessionClosed, match="async with"):
            await session.receive()
        assert [message async for message in session] == []
    assert server.close_code == 1000


async def test_a_clean_close_stops_the_iteration_after_what_is_buffered() -> None:
    async with ScriptedServer(created(), text_delta(1)) as server, server.connect() as session:
        await server.say_and_close(text_delta(2), reason="bye")
        await anyio.wait_all_tasks_blocked()
        assert session.closed is not None
        assert texts_of([message async for message in session]) == ["1", "2"]
        assert [message async for message in session] == []
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await session.receive()
        assert session.closed is not None
        assert session.closed.initiator == "server"
        assert (session.closed.code, session.closed.reason) == (1000, "bye")
    assert server.close_code == 1000


async def test_a_close_is_clean_once_the_turn_is_over() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.send({"type": "response.create"})
        await server.heard(1)
        await server.say_and_close(response_created(), response_done())
        assert len([message async for message in session]) == 3


@pytest.mark.parametrize("begun", [True, False])
async def test_a_close_that_cuts_a_turn_is_a_loss(begun: bool) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        if begun:
            await server.say(response_created(), text_delta(1))
        else:
            await session.send({"type": "response.create"})
            await server.heard(1)
        await server.close(1000)
        received: list[RealtimeMessage] = []
        with pytest.raises(ConnectionLost) as caught:
            await read_all(session, received)
        assert caught.value.code == 1000
        assert texts_of(received) == (["1"] if begun else [])


@pytest.mark.parametrize("code", [1001, 1003, 1007, 1008, 1011, 1012, 1013, 3000, 4000])
async def test_any_other_close_is_a_loss_with_its_code(code: int) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await server.close(code, "because")
        with pytest.raises(ConnectionLost, match="because") as caught:
            await read_all(session, [])
        assert not isinstance(caught.value, SessionExpired)
        assert isinstance(caught.value, anyio.BrokenResourceError)
        assert (caught.value.code, caught.value.reason) == (code, "because")
        assert session.closed is not None
        assert session.closed.initiator == "server"
        assert (session.closed.code, session.closed.reason) == (code, "because")


async def test_the_maximum_duration_is_an_expiry() -> None:
    async with ScriptedServer(created(), text_delta(1)) as server, server.connect() as session:
        await server.close(1001, EXPIRY)
        received: list[RealtimeMessage] = []
        with pytest.raises(SessionExpired) as caught:
            await read_all(session, received)
        assert texts_of(received) == ["1"]
        assert (caught.value.code, caught.value.reason) == (1001, EXPIRY)


async def test_a_loss_comes_after_what_is_buffered_and_has_no_code() -> None:
    async with ScriptedServer(created(), text_delta(1)) as server, server.connect() as session:
        await server.say(text_delta(2))
        await server.vanish()
        received: list[RealtimeMessage] = []
        with pytest.raises(ConnectionLost) as caught:
            await read_all(session, received)
        assert texts_of(received) == ["1", "2"]
        assert caught.value.code is None
        assert caught.value.reason == ""
        assert session.closed is not None
        assert session.closed.initiator == "network"
        assert session.closed.code is None
        assert session.closed.last_byte_age >= 0


async def test_each_raise_is_of_a_fresh_exception_with_the_same_fields() -> None:
    caught: list[ConnectionLost] = []
    async with ScriptedServer() as server, server.connect() as session:
        await server.close(1011, "oh no")
        for _ in range(2):
            with pytest.raises(ConnectionLost) as info:
                await read_all(session, [])
            caught.append(info.value)
    first, second = caught
    assert first is not second
    assert str(first) == str(second)
    assert (first.code, first.reason) == (second.code, second.reason) == (1011, "oh no")


async def stream_audio(session: RealtimeSession) -> None:
    while True:
        await session.send_audio(PCM)
        await anyio.lowlevel.checkpoint()


async def test_a_close_in_one_read_with_a_message_is_a_close_to_who_sends_too() -> None:
    # Whether the writer finds the CLOSE before the reader is a matter of luck: twenty tries.
    for _ in range(20):
        async with ScriptedServer() as server, server.connect() as session:
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    with pytest.raises(SessionExpired):
                        await stream_audio(session)

                tasks.start_soon(send)
                await server.heard(3)
                await server.say_with_close(text_delta(1), code=1001, reason=EXPIRY)
                received: list[RealtimeMessage] = []
                with pytest.raises(SessionExpired):
                    await read_all(session, received)
            assert texts_of(received) == ["1"]


class LateReader(Wrapped):
    """A network that delivers late: one learns of the break by writing."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.may_read = anyio.Event()
        self.may_read.set()

    async def receive(self) -> list[str | bytes]:
        await self.may_read.wait()
        return await super().receive()


async def test_a_failed_write_does_not_hide_what_had_come_before() -> None:
    async with ScriptedServer() as server:
        server.client = late = LateReader(server.client)
        async with server.connect() as session:
            late.may_read = anyio.Event()
            await server.say(text_delta(0))  # the reader is in its read, and takes this one
            await server.say(text_delta(1))
            await server.say(error("60 minutes are over.", code="session_expired"))
            await server.close(1001, EXPIRY)
            await server.vanish()
            await session.send_audio(PCM)
            await anyio.wait_all_tasks_blocked()
            late.may_read.set()
            received: list[RealtimeMessage] = []
            with pytest.raises(RealtimeError, match="60 minutes"):
                await read_all(session, received)
            with pytest.raises(SessionExpired):
                await read_all(session, received)
            assert texts_of(received) == ["0", "1"]
            assert session.closed is not None
            assert (session.closed.initiator, session.closed.code) == ("server", 1001)


async def test_a_write_that_fails_while_nothing_comes_is_a_loss() -> None:
    async with ScriptedServer() as server:
        server.client = late = LateReader(server.client)
        async with server.connect(close_timeout=0.01) as session:
            late.may_read = anyio.Event()
            await server.say(text_delta(0))
            await server.vanish()
            await session.send_audio(PCM)
            received: list[RealtimeMessage] = []
            with pytest.raises(ConnectionLost):
                await read_all(session, received)
            assert session.closed is not None
            assert session.closed.initiator == "network"


@pytest.mark.parametrize(
    ("garbage", "code"), [("not json", 1007), ('{"type": 7}', 1007), (b"binary", 1003)]
)
async def test_garbage_ends_the_session_and_the_server_is_told_why(
    garbage: str | bytes, code: int
) -> None:
    async with ScriptedServer(created(), text_delta(1)) as server, server.connect() as session:
        await server.say(text_delta(2), garbage, text_delta("too late"))
        received: list[RealtimeMessage] = []
        with pytest.raises(RemoteProtocolError) as caught:
            await read_all(session, received)
        assert texts_of(received) == ["1", "2"]
        assert caught.value.close_code == code
        await server.ended.wait()
        assert session.closed is not None
        assert session.closed.code == code
    assert server.close_code == code


async def test_the_first_end_is_the_one_that_counts() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await server.close(1011, "first")
        await anyio.wait_all_tasks_blocked()
        assert session.closed is not None
        await session.close(3000, "second")
        assert session.closed is not None
        assert (session.closed.code, session.closed.reason) == (1011, "first")
        with pytest.raises(ConnectionLost, match="first"):
            await read_all(session, [])


async def test_events_that_were_queued_when_the_connection_broke_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:

            async def send() -> None:
                with pytest.raises(ConnectionLost):
                    await stream_audio(session)

            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            await server.vanish()
    records = [record for record in caplog.records if "not sent" in record.getMessage()]
    assert len(records) == 1
    assert "64 queued events" in records[0].getMessage()
