# ruff: noqa: PT012  a session's block, all of it, is what raises
"""The gateway in memory: the same sessions, without a socket and without waiting."""

import re
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest
import trio.testing
from support import nothing_left

from meshrt import (
    ConnectError,
    ConnectionLost,
    HandshakeRejected,
    MeshAPI,
    RealtimeSession,
    SessionExpired,
)
from meshrt.audio import read_wav
from meshrt.errors import ConfigurationError
from meshrt.events import InputText, ResponseDone, UserMessage
from meshrt.gateway import Rule, RuleModel, serve
from meshrt.gateway.faults import RefuseHandshake
from meshrt.testing import MemoryGateway, gateway_in_memory

pytestmark = pytest.mark.anyio

VIRTUAL = [
    pytest.param(("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}), id="virtual")
]
on_virtual_time = pytest.mark.parametrize("anyio_backend", VIRTUAL)


@pytest.fixture(autouse=True)
async def no_leaks(anyio_backend: object) -> Any:
    async with nothing_left():
        yield


async def ask(session: RealtimeSession, text: str) -> str:
    await session.create_item(UserMessage(content=[InputText(text=text)]))
    await session.send({"type": "response.create"})
    transcript = ""
    async for message in session:
        transcript += message.event.data.get("transcript", "")
        if isinstance(message.event, ResponseDone):
            break
    return transcript


async def test_sessions_are_held_as_over_a_socket() -> None:
    async with gateway_in_memory() as gateway, gateway.connect() as session:
        answer = await ask(session, "Is it on?")

    assert 'You wrote: "Is it on?".' in answer
    assert session.closed is not None
    assert (session.closed.initiator, session.closed.code) == ("client", 1000)


async def test_many_sessions_at_once_are_each_their_own() -> None:
    model = RuleModel(Rule(r"I am (?P<who>\d+)", "You are {who}."))
    answers: dict[int, str] = {}

    async def call(number: int) -> None:
        async with gateway.connect() as session:
            answers[number] = await ask(session, f"I am {number}")

    async with gateway_in_memory(model=model) as gateway, anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(call, number)

    assert all(f"You are {number}." in answers[number] for number in range(10))


async def test_what_is_to_be_configured_and_how_are_the_client_s() -> None:
    settings: Any = {"session": {"type": "realtime", "output_modalities": ["text"]}}
    async with gateway_in_memory() as gateway:
        async with gateway.connect(model="m", errors="deliver", **settings) as session:
            created = (await session.receive()).event
            updated = (await session.receive()).event
            await session.send({"type": "response.cancel"})
            error = (await session.receive()).event

    assert created.session.model == "m"
    assert updated.session.output_modalities == ["text"]
    assert error.type == "error"


@pytest.mark.parametrize("words", ["close 4000", "drop", "tear", "close 1006"])
async def test_faults_happen_without_frames_too(words: str) -> None:
    async with gateway_in_memory(faults=[f"{words} at response.created"]) as gateway:
        async with gateway.connect() as session:
            with pytest.raises(ConnectionLost):
                await ask(session, "Hi")


async def test_what_is_injected_and_what_a_client_places_happens() -> None:
    async with gateway_in_memory(control=True) as gateway:
        gateway.inject("refuse 429 retry 7")
        with pytest.raises(HandshakeRejected) as caught:
            async with gateway.connect():
                pytest.fail("it was let in")
        assert (caught.value.status, caught.value.retry_after) == (429, 7)
        async with gateway.connect() as session:
            await session.send({"type": "meshrt.fault", "fault": "close 4000"}, strict=False)
            with pytest.raises(ConnectionLost, match="4000"):
                await ask(session, "Hi")


@pytest.mark.parametrize(
    "fault",
    [
        *(RefuseHandshake(status) for status in (302, 304, 400, 401, 418, 429, 503, 599)),
        RefuseHandshake(429, 7),
        RefuseHandshake(503, body="We are closed."),
        RefuseHandshake(503, body=""),
        RefuseHandshake(402, body='{"error": {"code": "insufficient_quota", "message": "No."}}'),
        RefuseHandshake(422, body='{"detail": [{"msg": "no model"}], "request_id": "req_1"}'),
    ],
    ids=str,
)
async def test_a_refusal_is_the_same_as_over_a_socket(fault: RefuseHandshake) -> None:
    async with gateway_in_memory(faults=[fault]) as gateway:
        told = await refusal_of(gateway.connect())
    async with serve(faults=[fault]) as server:
        client = MeshAPI(base_url=server.url)
        expected = await refusal_of(client.realtime.connect(model="openai/gpt-realtime"))

    assert told == expected
    assert told["status"] == fault.status
    if fault.body is None and fault.status != 304:
        assert told["code"]
        assert told["request_id"] == "req_..."


async def refusal_of(connecting: AbstractAsyncContextManager[RealtimeSession]) -> dict[str, Any]:
    """Return what a refusal says, but for an id that is another each time."""
    with pytest.raises(HandshakeRejected) as caught:
        async with connecting:
            pytest.fail("it was let in")
    told = {"message": caught.value.message, **vars(caught.value)}
    told["request_id"] = re.sub(r"(?<=req_)\w{21}", "...", told["request_id"] or "")
    return told


async def test_a_gateway_whose_block_was_left_takes_nobody() -> None:
    async with gateway_in_memory() as gateway:
        pass
    with pytest.raises(ConnectError, match="this gateway is gone"):
        async with gateway.connect():
            pytest.fail("it was let in")


async def test_a_close_that_is_ignored_leaves_nothing() -> None:
    async with gateway_in_memory(faults=["ignore close"]) as gateway:
        async with gateway.connect(close_timeout=0.01) as session:
            await session.receive()


@on_virtual_time
async def test_an_hour_takes_no_time() -> None:
    began = anyio.current_time()
    async with gateway_in_memory() as gateway, gateway.connect(errors="deliver") as session:
        with pytest.raises(SessionExpired):
            async for _ in session:
                pass

    assert anyio.current_time() - began == pytest.approx(1800, abs=2)


@on_virtual_time
@pytest.mark.parametrize("by", ["close", "error", "drop"])
async def test_an_expiry_of_any_kind_takes_no_time(by: str) -> None:
    async with gateway_in_memory(faults=[f"expire by {by} after 900 s"]) as gateway:
        async with gateway.connect(errors="deliver") as session:
            began = anyio.current_time()
            assert session.expires_in == pytest.approx(900, abs=2)
            with pytest.raises(SessionExpired):
                async for _ in session:
                    pass

    assert anyio.current_time() - began == pytest.approx(900, abs=2)


@on_virtual_time
async def test_a_stall_is_a_dead_server_where_it_lasts() -> None:
    async with gateway_in_memory(faults=["stall 60 s at response.created"]) as gateway:
        async with gateway.connect() as session:
            await session.send({"type": "response.create"})
            began = anyio.current_time()
            with pytest.raises(ConnectionLost, match="15"):
                async for _ in session:
                    pass

    assert anyio.current_time() - began == pytest.approx(15, abs=2)


@on_virtual_time
async def test_slow_is_so_many_bytes_in_a_second() -> None:
    async with gateway_in_memory(faults=["slow 100"]) as gateway:
        began = anyio.current_time()
        async with gateway.connect() as session:
            size = len((await session.receive()).text or "")

    assert size > 300
    assert anyio.current_time() - began == pytest.approx(size / 100, abs=0.1)


@on_virtual_time
async def test_a_server_that_stalls_before_its_greeting_is_not_waited_for() -> None:
    async with gateway_in_memory(faults=["stall 60 s"]) as gateway:
        with pytest.raises(ConnectError, match="10"):
            async with gateway.connect():
                pytest.fail("it was let in")


@on_virtual_time
async def test_speech_is_heard_and_answered(train: bytes) -> None:
    async with gateway_in_memory(pacing="realtime") as gateway, gateway.connect() as session:
        began = anyio.current_time()
        await session.send_audio(train)
        await session.send_audio(bytes(48_000))
        audio = b""
        async for message in session:
            audio += message.audio or b""
            if isinstance(message.event, ResponseDone):
                break

    assert len(audio) > 48_000
    assert anyio.current_time() - began >= len(audio) / 48_000 - 2


@pytest.fixture(scope="session")
def train() -> bytes:
    from importlib.resources import as_file, files

    with as_file(files("meshrt.cli") / "speech" / "train_question_24k.wav") as path:
        return read_wav(path)


async def test_the_end_of_the_block_cuts_sessions_off() -> None:
    async def listen(gateway: MemoryGateway) -> None:
        with pytest.raises(ConnectionLost, match="without a CLOSE"):
            async with gateway.connect() as session:
                greeted.set()
                async for _ in session:
                    pass

    greeted = anyio.Event()
    async with anyio.create_task_group() as tasks:
        async with gateway_in_memory() as gateway:
            tasks.start_soon(listen, gateway)  # noqa: ASYNC111  that is what is tried
            await greeted.wait()


async def test_an_exception_leaves_the_block_as_it_was_raised() -> None:
    mine = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with gateway_in_memory() as gateway, gateway.connect():
            raise mine

    assert caught.value is mine


async def test_a_cancellation_is_passed_on() -> None:
    with anyio.CancelScope() as scope:
        async with gateway_in_memory() as gateway, gateway.connect() as session:
            scope.cancel()
            await session.receive()

    assert scope.cancelled_caught


@pytest.mark.parametrize(
    "options", [{"model": "gpt"}, {"voice": 7}, {"faults": ["clsoe"]}, {"pacing": "slow"}]
)
async def test_what_can_t_be_is_refused_at_once(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        async with gateway_in_memory(**options):
            pytest.fail("it was opened")
