"""What has to happen before the body of a session's block begins, and what if it does not."""

import anyio
import pytest
from support import ScriptedServer, Wrapped, created, error, text_delta, updated

from meshrt.errors import LocalProtocolError, RealtimeError, RemoteProtocolError
from meshrt.events import RealtimeSessionConfig
from meshrt.session import Connecting, SessionOptions
from meshrt.transports import (
    ConnectError,
    ConnectTimeout,
    HandshakeRejected,
    Transport,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


@pytest.mark.parametrize("greeting", [created(model="m"), updated(model="m")])
async def test_the_body_begins_with_the_greeting(greeting: dict[str, object]) -> None:
    async with ScriptedServer(greeting) as server, server.connect() as session:
        assert session.id == "sess_1"
        assert isinstance(session.config, RealtimeSessionConfig)
        assert session.config.model == "m"
        assert session.closed is None


async def test_the_body_waits_for_the_greeting() -> None:
    entered = anyio.Event()

    async def enter() -> None:
        async with server.connect():
            entered.set()

    async with ScriptedServer(greets=False) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(enter)
        await server.say(text_delta("not a greeting"))
        await anyio.wait_all_tasks_blocked()
        assert not entered.is_set()
        await server.say(created())
        await entered.wait()


async def test_what_comes_with_the_greeting_is_not_lost() -> None:
    async with ScriptedServer(created(), text_delta(1), text_delta(2)) as server:
        async with server.connect() as session:
            types = [(await session.receive()).event.type for _ in range(3)]
    assert types == ["session.created"] + 2 * ["response.output_text.delta"]


async def test_a_greeting_that_does_not_fit_its_class_is_a_greeting_all_the_same() -> None:
    async with ScriptedServer({"type": "session.created", "session": None}) as server:
        async with server.connect() as session:
            assert (await session.receive()).event.type == "session.created"
            assert session.config is None


async def test_an_error_in_place_of_the_greeting_is_a_refusal() -> None:
    refusal = error("Incorrect API key.", code="invalid_api_key", request_id="req_7")
    async with ScriptedServer(refusal) as server:
        with pytest.raises(HandshakeRejected, match="Incorrect API key") as caught:
            async with server.connect():
                pytest.fail("the body may not begin")
        await server.ended.wait()
    assert isinstance(caught.value, RealtimeError)
    assert isinstance(caught.value, ConnectError)
    assert caught.value.code == "invalid_api_key"
    assert caught.value.message == "Incorrect API key."
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id == "req_7"
    assert caught.value.status == 101


async def test_a_refusal_that_is_followed_by_a_close_is_a_refusal() -> None:
    async with ScriptedServer(greets=False) as server:
        await server.say_and_close(error(code="invalid_api_key"), code=3000, reason="…")
        with pytest.raises(HandshakeRejected) as caught:
            async with server.connect():
                pytest.fail("the body may not begin")
    assert caught.value.code == "invalid_api_key"


async def test_a_close_in_place_of_the_greeting_is_a_connect_error() -> None:
    async with ScriptedServer(greets=False) as server:
        await server.close(1013, "try again later")
        with pytest.raises(ConnectError, match=r"1013.*try again later") as caught:
            async with server.connect():
                pytest.fail("the body may not begin")
    assert not isinstance(caught.value, HandshakeRejected)


async def test_a_loss_in_place_of_the_greeting_is_a_connect_error() -> None:
    async with ScriptedServer(greets=False) as server:
        await server.vanish()
        with pytest.raises(ConnectError, match="without a CLOSE"):
            async with server.connect():
                pytest.fail("the body may not begin")


@pytest.mark.parametrize(("garbage", "code"), [("garbage", 1007), ("[]", 1007), (b"\0", 1003)])
async def test_garbage_in_place_of_the_greeting_is_a_protocol_error(
    garbage: str | bytes, code: int
) -> None:
    async with ScriptedServer(garbage) as server:
        with pytest.raises(RemoteProtocolError) as caught:
            async with server.connect():
                pytest.fail("the body may not begin")
        await server.ended.wait()
    assert caught.value.close_code == code


async def test_a_server_that_never_greets_costs_the_connect_timeout() -> None:
    async with ScriptedServer(greets=False) as server:
        with pytest.raises(ConnectTimeout, match="connect_timeout"):
            async with server.connect(connect_timeout=0.01):
                pytest.fail("the body may not begin")
        await server.ended.wait()


async def test_opening_counts_towards_the_connect_timeout() -> None:
    async def forever(_tasks: object) -> Transport:
        await anyio.sleep_forever()
        raise AssertionError

    with pytest.raises(ConnectTimeout):
        async with Connecting(forever, options=SessionOptions(connect_timeout=0.01)):
            pytest.fail("the body may not begin")


async def test_a_session_is_configured_before_the_body_begins() -> None:
    async with ScriptedServer() as server:
        async with server.connect(
            session={"type": "realtime", "instructions": "Be brief."}
        ) as session:
            assert server.heard_types() == ["session.update"]
            assert isinstance(session.config, RealtimeSessionConfig)
            assert session.config.instructions == "Be brief."


async def test_a_typed_session_is_configured_too() -> None:
    async with ScriptedServer() as server:
        wanted = RealtimeSessionConfig(instructions="Be brief.")
        async with server.connect(session=wanted) as session:
            assert isinstance(session.config, RealtimeSessionConfig)
            assert session.config.instructions == "Be brief."


async def test_the_body_waits_for_the_confirmation() -> None:
    entered = anyio.Event()

    async def enter() -> None:
        async with server.connect(session={"type": "realtime"}):
            entered.set()

    async with ScriptedServer() as server, anyio.create_task_group() as tasks:
        server.replies.clear()
        tasks.start_soon(enter)
        await server.heard(1)
        await anyio.wait_all_tasks_blocked()
        assert not entered.is_set()
        await server.say(updated())
        await entered.wait()


@pytest.mark.parametrize("quotes", [True, False])
async def test_an_error_that_answers_the_configuration_is_raised_by_the_block(
    quotes: bool,
) -> None:
    async with ScriptedServer() as server:
        server.replies["session.update"] = lambda event: error(
            "No such voice.", param="session.voice", event_id=event.event_id if quotes else None
        )
        with pytest.raises(RealtimeError, match=r"No such voice\.") as caught:
            async with server.connect(session={"type": "realtime"}):
                pytest.fail("the body may not begin")
    assert not isinstance(caught.value, ConnectError)
    assert caught.value.param == "session.voice"


async def test_an_error_about_something_else_does_not_answer_the_configuration() -> None:
    async with ScriptedServer() as server:
        server.replies["session.update"] = lambda event: error("Another.", event_id="another")
        with pytest.raises(ConnectTimeout):
            async with server.connect(session={"type": "realtime"}, connect_timeout=0.01):
                pytest.fail("the body may not begin")


async def test_an_end_in_place_of_the_confirmation_is_a_connect_error() -> None:
    async with ScriptedServer() as server:
        server.replies.clear()
        await server.close(1011, "oh no")
        with pytest.raises(ConnectError, match="oh no"):
            async with server.connect(session={"type": "realtime"}):
                pytest.fail("the body may not begin")


async def _never() -> Transport:  # noqa: ASYNC124  as any function that opens
    raise AssertionError("nothing may be opened")


@pytest.mark.parametrize(
    ("session", "hint"),
    [
        ({}, "type"),
        ({"type": "realtime", "modalities": ["text"]}, "output_modalities"),
        ({"type": "realtime", "instructions": float("nan")}, "instructions"),
        ({"type": "realtime", "instructions": 7}, "instructions"),
    ],
)
async def test_a_session_that_cannot_be_sent_is_refused_before_anything_is_opened(
    session: dict[str, object], hint: str
) -> None:
    with pytest.raises(LocalProtocolError, match=hint):
        async with Connecting(_never, session=session):
            pytest.fail("the body may not begin")


async def test_connecting_is_not_awaited() -> None:
    with pytest.raises(LocalProtocolError, match="async with"):
        await Connecting(_never)


async def test_what_opening_raises_comes_out_bare_and_as_it_is() -> None:
    refused = ConnectError("nobody is there")
    refused.__context__ = context = OSError()

    async def fail(_tasks: object) -> Transport:
        await anyio.lowlevel.checkpoint()
        raise refused

    with pytest.raises(ConnectError) as caught:
        async with Connecting(fail):
            pytest.fail("the body may not begin")
    assert caught.value is refused
    assert refused.__context__ is context


@pytest.mark.parametrize(
    "messages",
    [(), (error(),), ("garbage",), (b"binary",)],
    ids=["mute", "error", "text", "binary"],
)
async def test_a_session_that_does_not_come_about_gives_its_transport_up(
    messages: tuple[str | bytes | dict[str, object], ...],
) -> None:
    async with ScriptedServer(*messages, greets=False) as server:
        server.client = transport = Wrapped(server.client)
        with pytest.raises((ConnectError, RemoteProtocolError)):
            async with server.connect(connect_timeout=0.01):
                pytest.fail("the body may not begin")
    assert transport.aborts


async def test_a_block_is_entered_once() -> None:
    async with ScriptedServer() as server:
        connecting = server.connect()
        async with connecting as session:
            await session.close()
        with pytest.raises(LocalProtocolError, match=r"call connect\(\)"):
            async with connecting:
                pytest.fail("the body may not begin")
