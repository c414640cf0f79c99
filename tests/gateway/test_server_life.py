"""The gateway's own life: many clients, its end, and what it leaves behind."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from meshrt import MeshAPI
from meshrt.audio import chunks
from meshrt.errors import ConfigurationError
from meshrt.events import ResponseDone, ResponseOutputAudioTranscriptDone
from meshrt.gateway import EchoVoice, Gateway, HonestModel, _server, serve
from meshrt.session._outbox import MAX_QUEUED_BYTES, Outbox
from meshrt.transports import ConnectionLost

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Dial = Callable[..., AbstractAsyncContextManager[Any]]

MODEL = "openai/gpt-realtime"


@pytest.fixture(autouse=True)
def no_rubbish() -> Any:
    """Let what was not closed say so now, in this test, where it is an error."""
    yield
    gc.collect()


async def one_turn(gateway: Gateway, question: bytes) -> bytes:
    async with MeshAPI(base_url=gateway.url).realtime.connect(model=MODEL) as session:
        for chunk in chunks(question, 100):
            await session.send_audio(chunk)
        answer = b""
        async for message in session:
            answer += message.audio or b""
            if message.event.type == "response.done":
                break
        return answer


async def test_many_clients_at_once_are_each_given_their_own_answer() -> None:
    answers: dict[int, str] = {}

    async def call(number: int) -> None:
        async with MeshAPI(base_url=gateway.url).realtime.connect(model=MODEL) as session:
            part = {"type": "input_text", "text": f"I am caller {number}."}
            item = {"type": "message", "role": "user", "content": [part]}
            await session.send({"type": "conversation.item.create", "item": item})
            await session.send({"type": "response.create"})
            async for message in session:
                match message.event:
                    case ResponseOutputAudioTranscriptDone(transcript=str(transcript)):
                        answers[number] = transcript
                    case ResponseDone():
                        break

    async with serve(voice=EchoVoice()) as gateway, anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(call, number)

    assert answers == {number: f'You wrote: "I am caller {number}.".' for number in range(30)}


async def test_a_hundred_clients_connect_and_go(dial: Dial) -> None:
    async with serve(voice=EchoVoice()) as gateway, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(dial(gateway)) for _ in range(100)]
        greetings = [await wire.hear() for wire in wires]

    assert len({greeting["session"]["id"] for greeting in greetings}) == 100


async def test_a_client_that_goes_without_a_word_harms_nobody(
    dial: Dial, thinker: Any, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with serve(voice=EchoVoice(), model=thinker) as gateway, dial(gateway) as other:
        async with dial(gateway) as wire:
            await wire.say(append(train))
            await thinker.asked.wait()
        await other.say({"type": "input_audio_buffer.clear"})

        assert (await other.until("input_audio_buffer.cleared"))[0]["type"] == "session.created"


async def test_a_client_that_closes_is_answered(dial: Dial) -> None:
    async with serve(voice=EchoVoice()) as gateway, dial(gateway) as wire:
        await wire.hear()
        await wire.transport.aclose(1000, "enough")

        assert await wire.end() == ([], 1000, "enough")


async def test_the_end_of_the_block_cuts_everybody_off_and_leaves_nothing(
    dial: Dial, thinker: Any, append: Callable[[bytes], Json], train: bytes
) -> None:
    before = {task.id for task in anyio.get_running_tasks()}
    async with AsyncExitStack() as stack:
        async with serve(voice=EchoVoice(), model=thinker) as gateway:
            idle = await stack.enter_async_context(dial(gateway))
            busy = await stack.enter_async_context(dial(gateway))
            await busy.say(append(train))
            await thinker.asked.wait()
            half = await anyio.connect_tcp("127.0.0.1", int(gateway.url.rpartition(":")[2]))
            await stack.enter_async_context(half)
            await half.send(b"GET /v1/rea")
            assert (await idle.hear())["type"] == "session.created"
        assert {task.id for task in anyio.get_running_tasks()} <= before

        for wire in (idle, busy):
            with pytest.raises(ConnectionLost):
                await wire.end()
        with pytest.raises(OSError, match=r".+"):
            await anyio.connect_tcp("127.0.0.1", int(gateway.url.rpartition(":")[2]))


async def test_a_client_that_does_not_read_does_not_hold_the_end_up(
    dial: Dial, append: Callable[[bytes], Json], train: bytes
) -> None:
    class LongVoice:
        async def speak(self, text: str, *, heard: bytes) -> bytes:
            return bytes(240 * 48_000)

    async with AsyncExitStack() as stack:
        async with serve(voice=LongVoice()) as gateway:
            wire = await stack.enter_async_context(dial(gateway))
            await wire.say(append(train))
            await wire.until("response.output_audio.delta")
            await anyio.wait_all_tasks_blocked()


async def test_a_client_that_asks_and_does_not_read_is_read_no_more(
    talk: Dial, append: Callable[[bytes], Json], update: Callable[..., Json]
) -> None:
    async def ask_on() -> None:
        while True:
            await wire.say({"type": "conversation.item.retrieve", "item_id": item_id})

    async with talk() as wire:
        await wire.say(update(turn_detection=None), append(bytes(2**20)))
        await wire.say({"type": "input_audio_buffer.commit"})
        item_id = (await wire.until("conversation.item.done"))[-1]["item"]["id"]
        # That of the gateway; others may linger, of clients before this one.
        [box] = [
            found
            for found in gc.get_objects()
            if isinstance(found, Outbox) and not found.closed and found.ledger.sent
        ]
        with anyio.CancelScope() as asking:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask_on)
                # It has room for a MiB, and the answer that goes beyond may be as long as it is.
                while box.has_room:  # noqa: ASYNC110  it tells nobody
                    await checkpoint()
                for _ in range(500):
                    await checkpoint()
                    assert box.bytes < 2 * MAX_QUEUED_BYTES + 2**20
                asking.cancel()


async def test_a_client_that_goes_without_reading_what_it_asked_for_is_let_go(
    dial: Dial, append: Callable[[bytes], Json], update: Callable[..., Json]
) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        await anyio.wait_all_tasks_blocked()
        before = {task.id for task in anyio.get_running_tasks()}
        async with dial(gateway) as wire:
            await wire.say(update(turn_detection=None), append(bytes(2**20)))
            await wire.say({"type": "input_audio_buffer.commit"})
            item_id = (await wire.until("conversation.item.done"))[-1]["item"]["id"]
            await wire.say(*[{"type": "conversation.item.retrieve", "item_id": item_id}] * 30)
            await anyio.wait_all_tasks_blocked()
        while {task.id for task in anyio.get_running_tasks()} - before:  # noqa: ASYNC110  as above
            await checkpoint()


async def test_many_questions_in_one_piece_wait_for_their_answers_to_be_read(
    talk: Dial, append: Callable[[bytes], Json], update: Callable[..., Json]
) -> None:
    async with talk() as wire:
        await wire.say(update(turn_detection=None), append(bytes(2**18)))
        await wire.say({"type": "input_audio_buffer.commit"})
        item_id = (await wire.until("conversation.item.done"))[-1]["item"]["id"]
        await wire.say(*[{"type": "conversation.item.retrieve", "item_id": item_id}] * 100)
        answers = [await wire.hear() for _ in range(100)]

    assert {answer["type"] for answer in answers} == {"conversation.item.retrieved"}


async def test_the_gateway_is_cancelled_like_anything_else(dial: Dial) -> None:
    with anyio.CancelScope() as scope:
        async with serve(voice=EchoVoice()) as gateway, dial(gateway) as wire:
            await wire.hear()
            scope.cancel()
            await wire.hear()

    assert scope.cancelled_caught
    with pytest.raises(OSError, match=r".+"):
        await anyio.connect_tcp("127.0.0.1", int(gateway.url.rpartition(":")[2]))


async def test_an_exception_leaves_the_block_as_it_was_raised(dial: Dial) -> None:
    mine = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with serve(voice=EchoVoice()) as gateway, dial(gateway):
            raise mine

    assert caught.value is mine


@pytest.mark.parametrize("mine", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
async def test_even_the_end_of_the_program_leaves_the_block_as_it_was_raised(
    dial: Dial, mine: BaseException
) -> None:
    with pytest.raises(type(mine)) as caught:
        async with serve(voice=EchoVoice()) as gateway, dial(gateway):
            raise mine

    assert caught.value is mine


async def test_an_exception_is_not_lost_to_a_cancellation() -> None:
    async def fail(scope: anyio.CancelScope) -> None:
        async with serve(voice=EchoVoice()):
            scope.cancel()
            raise KeyError("mine")

    with anyio.CancelScope() as scope:
        with pytest.raises(KeyError, match="mine"):
            await fail(scope)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_anyio_might_take_for_the_gateway_s_is_not_lost() -> None:
    # Ctrl-C and a scope inside the block, both at once, make one exception that says this.
    theirs = asyncio.CancelledError("Cancelled via cancel scope 7f8d52a08aa0")
    with pytest.raises(asyncio.CancelledError) as caught:
        async with serve(voice=EchoVoice()):
            raise theirs

    assert caught.value is theirs


async def test_a_listener_that_fails_ends_the_block_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object) -> None:
        await checkpoint()
        raise RuntimeError("a bug")

    monkeypatch.setattr(_server, "accept_all", fail)

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="a bug")):
        async with serve(voice=EchoVoice()):
            await anyio.sleep_forever()


@pytest.mark.parametrize("port", [70_000, 65_536, -1, "1", True, 1.0, None])
async def test_a_port_that_is_none_is_one_sentence(port: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^a port is a number from 0 to 65535") as caught:
        async with serve(port=port):
            pytest.fail("it was opened")

    assert repr(port) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "gpt"}, "^model is an object with an async method `reply`, .* not 'gpt'$"),
        ({"model": ""}, "^model is an object .* not ''$"),
        ({"model": HonestModel}, "^model is an object .* such as HonestModel"),
        ({"voice": "marin"}, "^voice is an object with an async method `speak`, .* not 'marin'$"),
    ],
)
async def test_what_can_t_answer_is_one_sentence(options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        async with serve(**options):
            pytest.fail("it was opened")


async def test_a_port_that_is_taken_is_an_os_error() -> None:
    async with serve(voice=EchoVoice()) as gateway:
        with pytest.raises(OSError, match=r".+"):
            async with serve(port=int(gateway.url.rpartition(":")[2])):
                pytest.fail("two have it")


async def test_a_port_can_be_had_again() -> None:
    async with serve(voice=EchoVoice()) as gateway:
        port = int(gateway.url.rpartition(":")[2])
    async with serve(voice=EchoVoice(), port=port) as gateway:
        assert gateway.url == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_its_url_is_where_it_is(host: str, train: bytes) -> None:
    async with serve(host=host, voice=EchoVoice()) as gateway:
        assert await one_turn(gateway, train) in train
