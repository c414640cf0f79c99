# ruff: noqa: PT012  a session's block, all of it, is what raises
"""Streams of one's own: all hear the same order, and none takes from another or stalls it."""

import gc
from typing import Any

import anyio
import pytest
from support import (
    PCM,
    ScriptedServer,
    audio_delta,
    created,
    error,
    response_created,
    response_done,
    text_delta,
    texts_of,
    warnings_of,
)

from meshrt.errors import ConfigurationError, LocalProtocolError, MeshWarning, SlowConsumerError
from meshrt.events import (
    Error,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseOutputTextDelta,
    UnknownEvent,
)
from meshrt.session import Listener, RealtimeMessage
from meshrt.transports import ConnectionLost, SessionClosed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

CLEARED = {"type": "input_audio_buffer.cleared"}
BIG = "x" * 5000  # counts as more than 10 000 bytes


async def taken(listener: Listener, count: int) -> list[RealtimeMessage]:
    return [await listener.receive() for _ in range(count)]


def types_of(messages: list[RealtimeMessage]) -> list[str]:
    return [message.event.type for message in messages]


async def test_each_hears_all_that_it_asked_for_in_the_same_order() -> None:
    turn = [response_created(), text_delta(1), audio_delta(), text_delta(2), response_done()]
    async with ScriptedServer() as server, server.connect() as session:
        all_of_it = session.listen()
        ends = session.listen(ResponseCreated, "response.done")
        texts = session.listen(ResponseOutputTextDelta)
        await server.say(*turn)
        assert types_of(await taken(all_of_it, 5)) == [event["type"] for event in turn]
        assert types_of(await taken(ends, 2)) == ["response.created", "response.done"]
        assert texts_of(await taken(texts, 2)) == ["1", "2"]
        iterated = [await session.receive() for _ in range(6)]  # the greeting, too
        assert types_of(iterated[1:]) == [event["type"] for event in turn]


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("response.*", ["response.created", "response.output_text.delta", "response.done"]),
        ("*.delta", ["response.output_text.delta"]),
        ("response.text.delta", ["response.output_text.delta"]),  # the beta name of the same
        ("response.text.*", ["response.output_text.delta"]),
        ("response.output_text.delta", ["response.output_text.delta"]),
        ("error", ["error"]),
        (Error, ["error"]),
    ],
)
async def test_a_name_may_have_stars_and_may_be_the_old_one(
    pattern: Any, heard: list[str]
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        listener = session.listen(pattern)
        await server.say(response_created(), text_delta(1), error(), response_done())
        await server.close()
        with pytest.raises(anyio.EndOfStream):
            assert types_of(await taken(listener, len(heard))) == heard
            await listener.receive()


async def test_what_came_before_is_not_heard() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await server.say(text_delta(1))
        await anyio.wait_all_tasks_blocked()
        listener = session.listen(ResponseOutputTextDelta)
        await server.say(text_delta(2))
        assert texts_of([await listener.receive()]) == ["2"]


async def test_an_event_that_does_not_fit_is_heard_by_its_name_and_not_by_its_class() -> None:
    misfit = {"type": "response.done", "response": 3}
    async with ScriptedServer() as server, server.connect() as session:
        by_name, by_class = session.listen("response.done"), session.listen(ResponseDone)
        unknown = session.listen(UnknownEvent)
        await server.say(misfit, {"type": "brand.new"}, response_done())
        first, second = await taken(by_name, 2)
        assert isinstance(first.event, UnknownEvent)
        assert isinstance(second.event, ResponseDone)
        assert isinstance((await by_class.receive()).event, ResponseDone)
        assert types_of(await taken(unknown, 2)) == ["response.done", "brand.new"]


async def test_a_name_that_nobody_knows_is_warned_of_and_heard() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.warns(MeshWarning, match=r"brand\.new") as warned:
            listener = session.listen("brand.new")
        assert warned[0].filename == __file__
        await server.say({"type": "brand.new", "n": 7})
        assert (await listener.receive()).event.data["n"] == 7


@pytest.mark.parametrize("pattern", ["", "message", "open", 3, None, int, ResponseCreate, PCM])
async def test_what_is_no_event_of_the_server_is_refused(pattern: Any) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(LocalProtocolError, match="event"):
            session.listen(pattern)


@pytest.mark.parametrize(
    "option",
    [{"buffer": 0}, {"buffer": 1.5}, {"buffer": True}, {"on_overflow": "block"}],
    ids=repr,
)
async def test_an_option_that_cannot_be_used_is_refused(option: dict[str, Any]) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with pytest.raises(ConfigurationError, match=next(iter(option))):
            session.listen(**option)


async def test_an_error_that_answers_no_command_is_a_message_to_those_who_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        listener, others = session.listen("error"), session.listen("response.*")
        await server.say(error("No."), response_done())
        assert isinstance((await listener.receive()).event, Error)
        assert types_of(await taken(others, 1)) == ["response.done"]
        assert warnings_of("meshrt.session", caplog) == []  # somebody hears of it
        listener.close()
        await server.say(error("No."))
        await anyio.wait_all_tasks_blocked()
        assert len(warnings_of("meshrt.session", caplog)) == 1


async def test_an_error_that_answers_a_command_is_that_commands_alone() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        server.replies["input_audio_buffer.clear"] = lambda event: error(event_id=event.event_id)
        listener = session.listen()
        with pytest.raises(Exception, match="wrong"):
            await session.clear()
        await server.say(text_delta(1))
        assert types_of([await listener.receive()]) == ["response.output_text.delta"]


async def test_the_overflow_of_one_ends_it_alone() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        slow = session.listen("response.*", buffer=30_000)
        quick = session.listen("response.*")
        for number in range(8):
            await server.say(text_delta(f"{number} {BIG}"))
            await quick.receive()
        heard = []
        with pytest.raises(SlowConsumerError, match="30000"):
            async for message in slow:
                heard.append(message)  # noqa: PERF401  it ends with an error
        assert [text[0] for text in texts_of(heard)] == ["0", "1", "2"]
        with pytest.raises(SlowConsumerError):
            await slow.receive()
        assert session.closed is None
        await server.say(text_delta("on"))
        assert texts_of([await quick.receive()]) == ["on"]


async def test_old_audio_may_be_dropped_and_is_counted() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        deltas = [audio_delta(bytes([n, 0]) * 2400) for n in range(10)]  # 13 kB each of the budget
        listener = session.listen("response.*", buffer=50_000, on_overflow="drop_oldest_audio")
        for number, delta in enumerate(deltas):
            await server.say(delta, text_delta(number))
        await server.say(response_done())
        await server.close()
        heard = [message async for message in listener]
        audio = [message.audio[0] for message in heard if message.audio]
        assert texts_of(heard) == [str(n) for n in range(10)]
        assert audio == list(range(10))[-len(audio) :]
        assert listener.dropped == 10 - len(audio) > 0
        assert listener.dropped_bytes > listener.dropped * 12_800
        assert heard[-1].event.type == "response.done"


async def test_where_there_is_no_audio_to_drop_the_listener_ends() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        listener = session.listen(buffer=20_000, on_overflow="drop_oldest_audio")
        for number in range(5):
            await server.say(text_delta(f"{number} {BIG}"))
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(SlowConsumerError):
            while True:
                await listener.receive()
        assert listener.dropped == 1  # the one that there was no room for


async def test_dropping_for_long_keeps_no_memory_of_what_was_dropped() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        server.replies["input_audio_buffer.clear"] = lambda _: CLEARED
        listener = session.listen("*audio.delta", buffer=20_000, on_overflow="drop_oldest_audio")
        for _ in range(6):
            await server.say(*[audio_delta()] * 1000)
        await session.clear()  # and so all of it has come
        statistics = listener._buffer._take.statistics()
        assert statistics.current_buffer_used < 2000
        assert listener.dropped + session.statistics().waiting_listeners == 6000


async def test_closing_forgets_what_waits_and_stops_a_running_iteration() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        listener = session.listen()
        heard: list[RealtimeMessage] = []

        async def hear() -> None:
            heard.extend([message async for message in listener])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hear)
            await anyio.wait_all_tasks_blocked()
            await server.say(text_delta(1))
            await anyio.wait_all_tasks_blocked()
            listener.close()
        assert texts_of(heard) == ["1"]
        listener.close()
        with pytest.raises(anyio.ClosedResourceError) as caught:
            await listener.receive()
        assert not isinstance(caught.value, SessionClosed)
        await server.say(text_delta(2))
        await anyio.wait_all_tasks_blocked()
        assert session.statistics().waiting_listeners == 0


async def test_its_block_closes_it() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with session.listen() as listener:
            await server.say(text_delta(1), text_delta(2))
            async for message in listener:
                assert texts_of([message]) == ["1"]
                break
        assert [message async for message in listener] == []


async def test_a_second_reader_at_a_time_is_told_so() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        with session.listen() as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.receive)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(anyio.BusyResourceError):
                    await listener.receive()
                await server.say(text_delta(1))


async def test_a_loss_is_seen_after_what_was_buffered() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        listener = session.listen()
        await server.say(text_delta(1))
        await anyio.wait_all_tasks_blocked()
        await server.vanish()
        await anyio.wait_all_tasks_blocked()
        assert texts_of([await listener.receive()]) == ["1"]
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                await listener.receive()


async def test_our_close_stops_it_and_discards() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        listener = session.listen()
        await server.say(text_delta(1))
        await anyio.wait_all_tasks_blocked()
        await session.close()
        assert [message async for message in listener] == []
        with pytest.raises(SessionClosed):
            await listener.receive()


async def test_one_that_is_opened_after_the_end_sees_the_end() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await server.vanish()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ConnectionLost):
            await session.listen().receive()


async def test_one_that_is_forgotten_is_let_go_with_the_session() -> None:
    async with ScriptedServer() as server:
        async with server.connect(buffer_bytes=50_000) as session:
            session.listen(buffer=1)
            for number in range(8):
                await server.say(text_delta(f"{number} {BIG}"))
        del session
    gc.collect()  # which warns of a stream that is open yet
    await anyio.wait_all_tasks_blocked()


async def test_there_is_no_other_way_to_make_one() -> None:
    with pytest.raises(TypeError, match="listen"):
        Listener()  # type: ignore[call-arg]


async def test_it_hears_what_comes_while_it_is_cancelled() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        listener = session.listen(ResponseOutputTextDelta)
        for number in range(20):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(server.say, text_delta(number))
                    scope.cancel()
                    await listener.receive()
        await server.say(text_delta("last"))
        heard = []
        while (text := texts_of([await listener.receive()])) != ["last"]:
            heard += text
        assert heard == sorted(heard, key=int)


async def test_the_greeting_is_over_before_anybody_listens() -> None:
    async with ScriptedServer(created(), text_delta(1)) as server, server.connect() as session:
        listener = session.listen()
        await server.say(text_delta(2))
        assert "2" in texts_of(await taken(listener, 1))
