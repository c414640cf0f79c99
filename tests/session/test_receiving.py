# ruff: noqa: PT012  a session's block, all of it, is what raises
"""Receiving: messages in their order, each once, to one reader at a time."""

import gc
import itertools
import weakref

import anyio
import anyio.lowlevel
import pytest
from support import PCM, ScriptedServer, audio_delta, created, text_delta, texts_of

from meshrt.events import ResponseOutputAudioDelta, ResponseOutputTextDelta, UnknownEvent
from meshrt.protocol import encode

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


async def test_messages_come_in_the_order_in_which_they_were_sent() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        for number in range(50):
            await server.say(text_delta(2 * number), text_delta(2 * number + 1))
        await server.close()
        messages = [message async for message in session]
    assert texts_of(messages) == [str(number) for number in range(100)]


async def test_the_greeting_is_the_first_message() -> None:
    async with ScriptedServer(created()) as server, server.connect() as session:
        message = await session.receive()
    assert message.event.type == "session.created"
    assert message.text == encode(created())
    assert message.audio is None


async def test_a_message_of_text_has_its_raw_text_and_no_audio() -> None:
    async with ScriptedServer(created(), text_delta("hello")) as server:
        async with server.connect() as session:
            await session.receive()
            message = await session.receive()
    assert isinstance(message.event, ResponseOutputTextDelta)
    assert message.event.delta == "hello"
    assert message.text == encode(text_delta("hello"))
    assert message.audio is None


@pytest.mark.parametrize("keep", [False, True])
async def test_a_message_of_audio_has_its_bytes_and_its_raw_text_only_if_asked(
    keep: bool,
) -> None:
    async with ScriptedServer(created(), audio_delta()) as server:
        async with server.connect(keep_audio_text=keep) as session:
            await session.receive()
            message = await session.receive()
    assert isinstance(message.event, ResponseOutputAudioDelta)
    assert message.audio == message.event.delta == PCM
    assert message.text == (encode(audio_delta()) if keep else None)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "brand.new.event", "x": 1},
        {"type": "response.output_text.delta", "delta": 7},
        {"type": "input_audio_buffer.clear"},
    ],
)
async def test_what_nobody_knows_is_a_message_too(event: dict[str, object]) -> None:
    async with ScriptedServer(created(), event) as server, server.connect() as session:
        await session.receive()
        message = await session.receive()
    assert isinstance(message.event, UnknownEvent)
    assert message.event.data == event
    assert message.text == encode(event)


async def test_a_reader_that_waits_is_woken_by_a_message() -> None:
    received = []

    async def read() -> None:
        received.append(await session.receive())
        received.append(await session.receive())

    async with ScriptedServer() as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            assert len(received) == 1
            await server.say(text_delta("at last"))
    assert texts_of(received) == ["at last"]


async def test_breaking_out_of_the_loop_loses_nothing() -> None:
    async with ScriptedServer(created(), *map(text_delta, range(6))) as server:
        async with server.connect() as session:
            parts = []
            for _ in range(2):
                part = []
                async for message in session:
                    part.append(message)
                    if len(part) == 3:
                        break
                parts.append(texts_of(part))
    assert parts == [["0", "1"], ["2", "3", "4"]]


async def test_a_second_reader_at_a_time_is_told_so_and_nothing_is_lost() -> None:
    received = []

    async def read() -> None:
        async for message in session:
            received.append(message)  # noqa: PERF401  it is looked at meanwhile

    async with ScriptedServer() as server, server.connect() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            for number in range(1000):
                with pytest.raises(anyio.BusyResourceError):
                    await session.receive()
                await server.say(text_delta(number))
            with pytest.raises(anyio.BusyResourceError):
                async for _ in session:
                    pytest.fail("it is busy")
            await server.close()
    assert texts_of(received) == [str(number) for number in range(1000)]


@pytest.mark.parametrize(("step_s", "at_least", "at_most"), [(0.001, 10, 40), (0.0, 1, 3)])
async def test_reading_lets_others_run_now_and_then(
    step_s: float, at_least: int, at_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[int] = []
    clock = map(step_s.__mul__, itertools.count())
    monkeypatch.setattr("meshrt.session._buffer.monotonic", clock.__next__)

    async def other() -> None:
        while True:
            turns.append(len(turns))
            await anyio.lowlevel.checkpoint()

    chunks = [audio_delta(bytes(4800)) for _ in range(100)]
    async with ScriptedServer(created(), *chunks) as server, server.connect() as session:
        await server.close()
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            async for _ in session:
                pass
            # What takes 100 ms lets others run each 5 ms; what takes none, when it is done.
            assert at_least <= len(turns) <= at_most
            tasks.cancel_scope.cancel()


async def test_a_receive_in_a_cancelled_scope_takes_nothing() -> None:
    async with ScriptedServer(created(), text_delta(1)) as server, server.connect() as session:
        await session.receive()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await session.receive()
        assert scope.cancelled_caught
        assert texts_of([await session.receive()]) == ["1"]


async def test_a_session_that_was_left_is_not_kept_alive() -> None:
    async with ScriptedServer() as server:
        async with server.connect() as session:
            async for _ in session:
                break
        reference = weakref.ref(session)
        del session
        gc.collect()
        assert reference() is None


async def test_a_session_has_no_public_constructor() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(TypeError, match="async with"):
            type(session)()
