"""Each fault as a client of meshrt meets it: the error that is documented, and no other."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest
from support import nothing_left

from meshrt import (
    ConnectError,
    ConnectionLost,
    HandshakeRejected,
    MeshAPI,
    RealtimeError,
    RealtimeSession,
    RemoteProtocolError,
    SessionExpired,
    UnknownEvent,
)
from meshrt.errors import ConfigurationError
from meshrt.events import (
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputTextDelta,
)
from meshrt.gateway import EchoVoice, Gateway, serve
from meshrt.gateway.faults import (
    Close,
    Delay,
    Drop,
    Duplicate,
    End,
    Expire,
    Fault,
    IgnoreClose,
    Insert,
    Lose,
    Malformed,
    Oversized,
    RefuseHandshake,
    Slow,
    Stall,
    Tear,
    Unknown,
)

pytestmark = pytest.mark.anyio
Connect = Callable[..., AbstractAsyncContextManager[RealtimeSession]]


@pytest.fixture(autouse=True)
async def no_leaks(anyio_backend: object) -> Any:
    async with nothing_left():
        yield


def connect(gateway: Gateway, **options: Any) -> AbstractAsyncContextManager[RealtimeSession]:
    return MeshAPI(base_url=gateway.url).realtime.connect(model="openai/gpt-realtime", **options)


async def turn(session: RealtimeSession) -> list[str]:
    """Ask for a response; return the types of what comes, up to its end."""
    await session.send({"type": "response.create"})
    types = []
    async for message in session:
        types.append(message.event.type)
        if isinstance(message.event, ResponseDone):
            break
    return types


async def on(session: RealtimeSession) -> None:
    """Read to the end."""
    while True:
        await session.receive()


async def one_turn(*faults: Fault | str, **options: Any) -> list[str]:
    async with serve(voice=EchoVoice(), faults=faults) as gateway:
        async with connect(gateway, **options) as session:
            return await turn(session)


@pytest.mark.parametrize("code", [1000, 1011, 4402])
async def test_close_is_a_loss_with_its_code_and_reason(code: int) -> None:
    with pytest.raises(ConnectionLost) as caught:
        await one_turn(Close(code, "enough", at="response.created"))

    assert (caught.value.code, caught.value.reason) == (code, "enough")


async def test_close_at_an_event_of_the_client_s() -> None:
    with pytest.raises(ConnectionLost) as caught:
        await one_turn("close 4000 at response.create")

    assert caught.value.code == 4000


async def test_close_before_the_greeting_is_no_session() -> None:
    with pytest.raises(ConnectError, match="4000"):
        await one_turn(Close(4000))


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 65_535])
async def test_a_code_that_nobody_may_send_breaks_the_protocol(code: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        await one_turn(Close(code, at="response.created"))

    assert caught.value.close_code == 1002


@pytest.mark.parametrize("kind", [Drop, Tear])
async def test_a_cut_is_a_loss_without_a_code(
    kind: type[Fault], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConnectionLost, match="without a CLOSE") as caught:
        await one_turn(kind(at="response.output_audio.delta"))

    assert caught.value.code is None
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_cut_while_nothing_is_sent_is_no_error_of_the_gateway_s(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve() as gateway, connect(gateway) as session:
        await session.receive()
        gateway.inject("drop")
        with pytest.raises(ConnectionLost):
            await session.receive()
        await anyio.wait_all_tasks_blocked()

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_end_is_the_server_s_error_and_then_its_close() -> None:
    async with serve(faults=["drain at response.created"]) as gateway, connect(gateway) as session:
        with pytest.raises(RealtimeError) as caught:
            await turn(session)
        with pytest.raises(ConnectionLost) as lost:
            await session.receive()

    assert caught.value.code == "service_draining"
    assert caught.value.request_id
    assert lost.value.code == 1011
    assert session.closed is not None
    assert session.closed.error is not None
    assert session.closed.error.code == "service_draining"


@pytest.mark.parametrize("by", ["close", "error", "drop"])
async def test_an_expiry_is_an_expiry_in_each_of_its_ways(by: Any) -> None:
    async with serve(faults=[Expire(by, after=0.05)]) as gateway:
        async with connect(gateway, errors="deliver") as session:
            assert session.expires_in is not None
            assert session.expires_in < 5
            with pytest.raises(SessionExpired):
                await on(session)


async def test_stall_is_a_pause_after_which_nothing_is_missing() -> None:
    undisturbed = await one_turn()
    began = anyio.current_time()
    assert await one_turn(Stall(0.05, at="response.created")) == undisturbed
    assert anyio.current_time() - began >= 0.05


async def test_slow_is_slow_and_nothing_is_missing() -> None:
    undisturbed = await one_turn()
    began = anyio.current_time()
    assert await one_turn(Slow(300_000, at="response.created")) == undisturbed
    assert anyio.current_time() - began >= 0.03


async def test_a_close_that_is_ignored_costs_the_close_timeout_and_raises_nothing() -> None:
    async with serve(faults=[IgnoreClose()]) as gateway:
        async with connect(gateway, close_timeout=0.05) as session:
            began = anyio.current_time()
        assert anyio.current_time() - began >= 0.05

    assert session.closed is not None
    assert session.closed.initiator == "client"


async def test_unknown_and_inserted_events_arrive_whole() -> None:
    faults = [
        Unknown(at="response.created"),
        Insert('{"type": "x.y", "z": 1}', at="response.created"),
    ]
    async with serve(voice=EchoVoice(), faults=faults) as gateway, connect(gateway) as session:
        await session.send({"type": "response.create"})
        events = [(await session.receive()).event for _ in range(4)]

    assert [event.type for event in events[1:]] == ["response.created", "meshrt.unknown", "x.y"]
    assert isinstance(events[3], UnknownEvent)
    assert events[3].data == {"type": "x.y", "z": 1}


async def test_what_is_not_json_ends_the_session() -> None:
    with pytest.raises(RemoteProtocolError, match="not a JSON object"):
        await one_turn(Malformed(at="response.created"))


async def test_what_is_too_large_ends_the_session() -> None:
    with pytest.raises(RemoteProtocolError, match="larger than the limit") as caught:
        await one_turn(Oversized(10_000, at="response.created"), max_message_bytes=5000)

    assert caught.value.close_code == 1009


async def test_what_is_large_and_not_too_large_arrives() -> None:
    types = await one_turn(Oversized(10_000, at="response.created"), max_message_bytes=10_000)
    assert "meshrt.oversized" in types


async def test_duplicate_gives_an_event_twice() -> None:
    types = await one_turn(Duplicate(at="response.output_item.added"))
    assert types.count("response.output_item.added") == 2


async def test_an_acknowledgement_that_is_lost_is_waited_for() -> None:
    async with serve(faults=[Lose(at="session.updated")]) as gateway, connect(gateway) as session:
        with anyio.move_on_after(0.05) as waiting:
            await session.update({"type": "realtime", "instructions": "Be brief."})
        assert waiting.cancelled_caught
        await session.clear()


async def test_an_acknowledgement_that_is_late_still_answers() -> None:
    faults = [Delay(0.05, at="session.updated")]
    async with serve(faults=faults) as gateway, connect(gateway) as session:
        began = anyio.current_time()
        await session.update({"type": "realtime", "instructions": "Be brief."})
        assert anyio.current_time() - began >= 0.05


async def test_others_overtake_an_event_that_is_late() -> None:
    async with serve(voice=EchoVoice(), faults=["delay 50 ms at response.created"]) as gateway:
        async with connect(gateway) as session:
            await session.send({"type": "response.create"})
            types = [(await session.receive()).event.type for _ in range(3)]
            async for message in session:
                types.append(message.event.type)
                if isinstance(message.event, ResponseCreated):
                    break

    assert types[:2] == ["session.created", "response.output_item.added"]


@pytest.mark.parametrize("status", [302, 400, 401, 429, 500, 503])
async def test_a_refused_handshake_is_rejected_with_its_status(status: int) -> None:
    with pytest.raises(HandshakeRejected) as caught:
        await one_turn(RefuseHandshake(status, 7))

    assert caught.value.status == status
    assert caught.value.request_id or status == 302


async def test_a_handshake_is_refused_as_often_as_it_says() -> None:
    async with serve(faults=["refuse 503 2 times"]) as gateway:
        for _ in range(2):
            with pytest.raises(HandshakeRejected):
                async with connect(gateway):
                    pytest.fail("it was let in")
        async with connect(gateway):
            pass


async def test_the_nth_event_and_every_event() -> None:
    every = await one_turn("duplicate at every response.output_audio_transcript.delta")
    plain = await one_turn()
    name = "response.output_audio_transcript.delta"
    assert every.count(name) == 2 * plain.count(name)

    heard: list[str] = []
    async with serve(voice=EchoVoice(), faults=[f"close at 2nd {name}"]) as gateway:
        async with connect(gateway) as session:
            session.on("message", lambda message: heard.append(message.event.type))
            with pytest.raises(ConnectionLost):
                await turn(session)
    assert heard.count(name) == 2


async def test_a_beta_name_is_as_good() -> None:
    types = await one_turn("duplicate at response.audio.done")
    assert types.count("response.output_audio.done") == 2


async def test_what_is_given_to_serve_happens_in_every_session_unless_it_says_how_often() -> None:
    faults = ["close 4001 at response.created", "close 4002 at response.done once"]
    async with serve(voice=EchoVoice(), faults=faults) as gateway:
        for _ in range(2):
            async with connect(gateway) as session:
                with pytest.raises(ConnectionLost, match="4001"):
                    await turn(session)
    async with serve(voice=EchoVoice(), faults=faults[1:]) as gateway:
        async with connect(gateway) as session:
            await turn(session)
            with pytest.raises(ConnectionLost, match="4002"):
                await on(session)
        async with connect(gateway) as session:
            await turn(session)
            await session.clear()


async def test_what_is_injected_happens_once_in_what_runs_or_comes() -> None:
    async with serve(voice=EchoVoice()) as gateway:
        async with connect(gateway) as session:
            await session.receive()
            gateway.inject("close 4000")
            with pytest.raises(ConnectionLost, match="4000"):
                await session.receive()
        gateway.inject(Close(4001, at="response.created"))
        async with connect(gateway) as session:
            with pytest.raises(ConnectionLost, match="4001"):
                await turn(session)
        async with connect(gateway) as session:
            await turn(session)
        gateway.inject("refuse 503")
        with pytest.raises(HandshakeRejected):
            async with connect(gateway):
                pytest.fail("it was let in")


async def test_what_is_injected_for_two_sessions_happens_in_both() -> None:
    async with serve() as gateway, connect(gateway) as one, connect(gateway) as other:
        for session in (one, other):
            await session.receive()
        gateway.inject("close 4000 2 times")
        for session in (one, other):
            with pytest.raises(ConnectionLost, match="4000"):
                await session.receive()


async def test_a_client_may_place_a_fault_where_it_is_allowed_to() -> None:
    async with serve(voice=EchoVoice(), control=True) as gateway, connect(gateway) as session:
        fault = {"type": "meshrt.fault", "fault": "close 4000 at response.created"}
        await session.send(fault, strict=False)
        async for message in session:
            if message.event.type == "meshrt.fault.placed":
                break
        assert message.event.data["fault"] == "close 4000 at response.created"
        with pytest.raises(ConnectionLost, match="4000"):
            await turn(session)
        async with connect(gateway) as other:
            await turn(other)


async def test_a_client_s_fault_is_answered_before_it_happens() -> None:
    async with serve(control=True) as gateway, connect(gateway) as session:
        await session.receive()
        await session.send({"type": "meshrt.fault", "fault": "drop"}, strict=False)
        assert (await session.receive()).event.type == "meshrt.fault.placed"
        with pytest.raises(ConnectionLost):
            await session.receive()


@pytest.mark.parametrize(
    ("fault", "words"), [("clsoe", "column 1: expected one of"), (7, "not 7"), (None, "column 1")]
)
async def test_a_client_s_fault_that_is_none_is_an_error(fault: Any, words: str) -> None:
    async with serve(control=True) as gateway, connect(gateway) as session:
        event = {"type": "meshrt.fault", "event_id": "mine", **({"fault": fault} if fault else {})}
        await session.send(event, strict=False)
        with pytest.raises(RealtimeError, match=words) as caught:
            await on(session)

    assert caught.value.event_id == "mine"


async def test_a_client_may_have_the_next_handshake_refused() -> None:
    async with serve(control=True) as gateway, connect(gateway) as session:
        await session.send({"type": "meshrt.fault", "fault": "refuse 503"}, strict=False)
        while (await session.receive()).event.type != "meshrt.fault.placed":
            pass
        with pytest.raises(HandshakeRejected):
            async with connect(gateway):
                pytest.fail("it was let in")


async def test_a_client_s_fault_is_an_unknown_event_where_it_is_not_allowed() -> None:
    async with serve() as gateway, connect(gateway) as session:
        await session.send({"type": "meshrt.fault", "fault": "close 4000"}, strict=False)
        with pytest.raises(RealtimeError, match=r"meshrt\.fault"):
            await on(session)


@pytest.mark.parametrize("faults", ["close", Close(), ["clsoe"], [7]])
async def test_what_is_no_list_of_faults_is_one_sentence(faults: Any) -> None:
    with pytest.raises(ConfigurationError):
        async with serve(faults=faults):
            pytest.fail("it was opened")


async def test_audio_is_whole_around_a_fault() -> None:
    async with serve(
        voice=EchoVoice(), faults=["unknown at every response.output_audio.delta"]
    ) as gateway:
        async with connect(gateway) as session:
            await session.send({"type": "response.create"})
            audio = b""
            async for message in session:
                if isinstance(message.event, ResponseOutputAudioDelta):
                    audio += message.audio or b""
                if isinstance(message.event, ResponseDone):
                    break
            assert audio
            assert len(audio) % 2 == 0


async def test_a_text_s_deltas_are_not_touched_by_a_fault_of_another_event() -> None:
    text = ""
    async with (
        serve(faults=["duplicate at response.done"]) as gateway,
        connect(gateway) as session,
    ):
        await session.update({"type": "realtime", "output_modalities": ["text"]})
        await session.send({"type": "response.create"})
        async for message in session:
            if isinstance(message.event, ResponseOutputTextDelta):
                text += message.event.delta
            if isinstance(message.event, ResponseDone):
                break

    assert text == "I heard nothing yet."


def test_end_has_the_documented_close_codes() -> None:
    assert End("insufficient_quota").close_code == 4402
    assert End("unauthorized").close_code == 1008
    assert End("provider_error").close_code == 1011
