"""Sending: what goes out, what is refused, and who waits for whom."""

import array
import ctypes
import warnings
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from support import PCM, ScriptedServer, created

from meshrt.errors import LocalProtocolError, MeshWarning
from meshrt.events import (
    InputAudioBufferAppend,
    InputAudioBufferClear,
    UnknownEvent,
)
from meshrt.protocol import MAX_APPEND_BYTES
from meshrt.session import RealtimeSession
from meshrt.transports import ConnectionLost, SessionClosed, SessionExpired

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

MAX_QUEUED_EVENTS = 64
TAKEN_AT_ONCE = 1  # what the writer has in its hands while the server does not read


async def test_a_typed_event_and_a_mapping_arrive() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.send(InputAudioBufferClear(event_id="mine_1"))
        await session.send({"type": "input_audio_buffer.clear", "event_id": "mine_2"})
        assert [event.data for event in await server.heard(2)] == [
            {"type": "input_audio_buffer.clear", "event_id": "mine_1"},
            {"type": "input_audio_buffer.clear", "event_id": "mine_2"},
        ]


async def test_an_event_without_an_id_gets_one_of_its_own() -> None:
    given = {"type": "input_audio_buffer.clear"}
    async with ScriptedServer() as server, server.connect() as session:
        await session.send(given)
        await session.send(InputAudioBufferClear())
        ids = [event.data["event_id"] for event in await server.heard(2)]
    assert len(set(ids)) == 2
    assert given == {"type": "input_audio_buffer.clear"}


async def test_events_arrive_in_the_order_in_which_they_were_sent() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        for number in range(200):
            await session.send({"type": "input_audio_buffer.clear", "event_id": str(number)})
        events = await server.heard(200)
    assert [event.data["event_id"] for event in events] == [str(n) for n in range(200)]


@pytest.mark.parametrize(
    "bad",
    [
        {"typ": "response.create"},
        {"type": "response.create", "response": float("nan")},
        {"type": "response.create", "response": {"modalities": ["text"]}},
        {"type": "session.created", "session": {}},
        {"type": "conversation.item.delete"},
        {"type": "input_audio_buffer.append", "audio": "AAA="[:3]},
        "response.create",
        None,
    ],
)
async def test_what_cannot_be_sent_is_refused_and_the_session_goes_on(bad: Any) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.send({"type": "input_audio_buffer.clear", "event_id": "before"})
        with pytest.raises(LocalProtocolError):
            await session.send(bad)
        await session.send({"type": "input_audio_buffer.clear", "event_id": "after"})
        events = await server.heard(2)
    assert [event.data["event_id"] for event in events] == ["before", "after"]


async def test_not_strict_lets_pass_what_the_server_may_judge() -> None:
    event = {"type": "response.create", "response": {"modalities": ["text"]}}
    async with ScriptedServer() as server, server.connect() as session:
        await session.send(event, strict=False)
        (heard,) = await server.heard(1)
    assert heard.data["response"] == {"modalities": ["text"]}


async def test_an_unknown_event_is_sent_with_a_warning() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.warns(MeshWarning, match=r"brand\.new"):
            await session.send(UnknownEvent(type="brand.new", data={"type": "brand.new"}))
        with warnings.catch_warnings(action="error"):
            await session.send({"type": "brand.new"})
        assert [event.type for event in await server.heard(2)] == ["brand.new", "brand.new"]


async def audio_at(server: ScriptedServer, count: int) -> list[bytes]:
    events = await server.heard(count)
    return [event.audio for event in events if isinstance(event, InputAudioBufferAppend)]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_audio_of_every_kind_of_bytes_is_appended(
    kind: type[bytes | bytearray | memoryview],
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.send_audio(kind(PCM))
        assert await audio_at(server, 1) == [PCM]


async def test_audio_that_is_changed_after_it_was_sent_is_sent_as_it_was() -> None:
    chunk = bytearray(PCM)
    async with ScriptedServer() as server, server.connect() as session:
        await session.send_audio(chunk)
        chunk[:] = bytes(len(chunk))
        assert await audio_at(server, 1) == [PCM]


async def test_audio_in_an_array_of_samples_is_appended() -> None:
    samples = array.array("h", [1, -1, 300])
    async with ScriptedServer() as server, server.connect() as session:
        await session.send_audio(memoryview(samples))
        assert await audio_at(server, 1) == [samples.tobytes()]


async def test_one_channel_of_interleaved_samples_is_appended() -> None:
    stereo = memoryview(array.array("h", [1, -1, 2, -2, 3, -3]))
    async with ScriptedServer() as server, server.connect() as session:
        await session.send_audio(stereo[::2])
        assert await audio_at(server, 1) == [array.array("h", [1, 2, 3]).tobytes()]


@pytest.mark.parametrize(
    "bad",
    [b"\0", bytes(4801), "AAAA", [0, 0], None, memoryview(PCM)[:5:2]],
    ids=["one", "odd", "text", "list", "none", "every second byte"],
)
async def test_what_is_not_whole_samples_in_bytes_is_refused(bad: Any) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError, match="nothing was sent"):
            await session.send_audio(bad)
        await session.send_audio(PCM)
        assert await audio_at(server, 1) == [PCM]


async def test_one_byte_samples_may_be_odd() -> None:
    telephony = created(audio={"input": {"format": {"type": "audio/pcmu"}}})
    async with ScriptedServer(telephony) as server, server.connect() as session:
        await session.send_audio(b"\0\1\2")
        assert await audio_at(server, 1) == [b"\0\1\2"]


@pytest.mark.parametrize(
    "nothing", [b"", bytearray(), memoryview(b""), memoryview((ctypes.c_int16 * 2 * 0)())]
)
async def test_nothing_is_sent_for_nothing(nothing: bytes | bytearray | memoryview) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.send_audio(nothing)
        await session.send_audio(PCM)
        assert await audio_at(server, 1) == [PCM]


async def test_long_audio_goes_in_appends_that_the_server_takes() -> None:
    long = memoryview(bytes(MAX_APPEND_BYTES) + PCM)
    async with ScriptedServer() as server, server.connect() as session:
        await session.send_audio(long)
        parts = await audio_at(server, 2)
    assert [len(part) for part in parts] == [MAX_APPEND_BYTES, len(PCM)]
    assert parts[1] == PCM


async def test_long_audio_with_half_a_sample_is_refused_as_a_whole() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            with pytest.raises(LocalProtocolError):
                await session.send_audio(bytes(MAX_APPEND_BYTES + 1))
        await server.ended.wait()
    assert server.events == []


async def fill(session: RealtimeSession, sent: list[int], event: Mapping[str, Any]) -> None:
    while True:
        await session.send(event)
        sent.append(len(sent))


async def test_a_send_waits_while_64_events_are_queued() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server, server.connect() as session:
        sent: list[int] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fill, session, sent, {"type": "input_audio_buffer.clear"})
            await anyio.wait_all_tasks_blocked()
            # All the queue, and two batches: in the pipe and in the writer's hands.
            assert MAX_QUEUED_EVENTS < len(sent) <= 3 * MAX_QUEUED_EVENTS
            waiting = len(sent)
            await anyio.wait_all_tasks_blocked()
            assert len(sent) == waiting
            server.read()
            await server.heard(waiting + 1)
            tasks.cancel_scope.cancel()


async def test_a_send_waits_while_a_mebibyte_is_queued() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server, server.connect() as session:
        sent: list[int] = []
        async with anyio.create_task_group() as tasks:
            append = InputAudioBufferAppend(audio=bytes(3 * 2**18))  # a mebibyte as base64
            tasks.start_soon(fill, session, sent, append)
            await anyio.wait_all_tasks_blocked()
            assert len(sent) == 3
            server.read()
            await server.heard(4)
            tasks.cancel_scope.cancel()


async def test_of_many_that_wait_only_as_many_go_on_as_there_is_room_for() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:
            for _ in range(10 * MAX_QUEUED_EVENTS):
                tasks.start_soon(session.send, {"type": "input_audio_buffer.clear"})
            await anyio.wait_all_tasks_blocked()
            server.read()
        await server.heard(10 * MAX_QUEUED_EVENTS)
    assert max(len(batch) for batch in server.batches) == MAX_QUEUED_EVENTS


async def test_a_send_that_waits_is_told_of_the_end() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:

            async def send() -> None:
                with pytest.raises(ConnectionLost):
                    await fill(session, [], {"type": "input_audio_buffer.clear"})

            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            await server.vanish()


async def test_a_send_that_waits_is_told_of_our_close() -> None:
    async with ScriptedServer(max_batches=1, reads=False) as server:
        async with server.connect(close_timeout=0.01) as session:
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    with pytest.raises(SessionClosed):
                        await fill(session, [], {"type": "input_audio_buffer.clear"})

                tasks.start_soon(send)
                await anyio.wait_all_tasks_blocked()
                await session.close()


async def test_sending_after_our_close_is_an_error_of_a_closed_resource() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await session.close()
        for _ in range(2):
            with pytest.raises(SessionClosed) as caught:
                await session.send({"type": "input_audio_buffer.clear"})
            assert isinstance(caught.value, anyio.ClosedResourceError)
        with pytest.raises(SessionClosed):
            await session.send_audio(PCM)


async def test_sending_after_the_block_is_an_error_of_a_closed_resource() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            pass
        with pytest.raises(SessionClosed, match="async with"):
            await session.send({"type": "input_audio_buffer.clear"})


async def test_sending_after_a_loss_is_an_error_of_a_broken_resource() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await server.vanish()
        await anyio.wait_all_tasks_blocked()
        assert session.closed is not None
        with pytest.raises(ConnectionLost) as caught:
            await session.send_audio(PCM)
        assert isinstance(caught.value, anyio.BrokenResourceError)
        assert caught.value.code is None


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (1000, "", ConnectionLost),
        (1011, "oh no", ConnectionLost),
        (1001, "Your session hit the maximum duration of 60 minutes.", SessionExpired),
    ],
)
async def test_sending_after_the_servers_close_says_what_it_said(
    code: int, reason: str, kind: type[ConnectionLost]
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await server.close(code, reason)
        await anyio.wait_all_tasks_blocked()
        assert session.closed is not None
        with pytest.raises(kind) as caught:
            await session.send({"type": "input_audio_buffer.clear"})
        assert caught.value.code == code
        assert caught.value.reason == reason


async def test_a_send_in_a_cancelled_scope_sends_nothing() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.send({"type": "input_audio_buffer.clear", "event_id": "never"})
        assert scope.cancelled_caught
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.send_audio(PCM)
        assert scope.cancelled_caught
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.send_audio(b"")
        assert scope.cancelled_caught
        await session.send({"type": "input_audio_buffer.clear", "event_id": "ever"})
        (event,) = await server.heard(1)
    assert event.data["event_id"] == "ever"


async def test_sending_lets_others_run() -> None:
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(len(turns))
            await anyio.lowlevel.checkpoint()

    async with ScriptedServer() as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            for _ in range(100):
                await session.send_audio(bytes(4800))
            # A chunk of 100 ms is 6.4 kB on the wire, so each third one completes 16 KiB.
            assert len(turns) >= 30
            tasks.cancel_scope.cancel()


async def test_many_senders_at_once_keep_each_event_whole() -> None:
    async with ScriptedServer(max_batches=1) as server, server.connect() as session:

        async def send(sender: int) -> None:
            for number in range(50):
                event = InputAudioBufferClear(event_id=f"{sender}.{number}")
                await session.send(event)

        async with anyio.create_task_group() as tasks:
            for sender in range(20):
                tasks.start_soon(send, sender)
        events = await server.heard(1000)
    ids = [event.data["event_id"] for event in events]
    assert len(set(ids)) == len(ids) == 1000
    for sender in range(20):
        own = [event_id for event_id in ids if event_id.startswith(f"{sender}.")]
        assert own == [f"{sender}.{number}" for number in range(50)]


async def test_what_was_queued_together_goes_out_in_few_writes() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        for number in range(MAX_QUEUED_EVENTS):
            await session.send(InputAudioBufferClear(event_id=str(number)))
        await server.heard(MAX_QUEUED_EVENTS)
    assert len(server.batches) == 1
