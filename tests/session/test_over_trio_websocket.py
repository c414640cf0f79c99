# ruff: noqa: PT012  a session's block, all of it, is what raises
"""A session over trio-websocket: what it does, and what becomes of it, over real sockets."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest
import trio
import trio_websocket
from support import (
    PCM,
    CancelAt,
    Outcome,
    RawConnection,
    at_each,
    connecting,
    raw_server,
    text_delta,
)

from meshrt import (
    ConnectError,
    ConnectionLost,
    Liveness,
    MeshAPI,
    RealtimeSession,
    SessionClosed,
)
from meshrt.errors import ConfigurationError, RemoteProtocolError
from meshrt.events import ResponseDone
from meshrt.gateway import serve
from meshrt.session import Connecting
from meshrt.transports.trio_websocket import TrioWebSocketTransport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

Opener = Callable[..., AbstractAsyncContextManager[RealtimeSession]]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {}


@asynccontextmanager
async def over_a_new_one(port: int, **options: Any) -> AsyncGenerator[RealtimeSession]:
    realtime = MeshAPI(base_url=f"http://127.0.0.1:{port}").realtime
    async with realtime.connect(
        model="openai/gpt-realtime-mini", transport="trio-websocket", **options
    ) as session:
        yield session


@asynccontextmanager
async def over_one_that_is_there(port: int, **options: Any) -> AsyncGenerator[RealtimeSession]:
    """Hand over a connection that trio-websocket opened."""
    async with opened(port) as connection, handing_over(connection, **options) as session:
        yield session


class Steps(trio.abc.Instrument):
    """Cancel a scope before the n-th step of any task, the children's among them."""

    def __init__(self, scope: anyio.CancelScope, at: int) -> None:
        self.scope, self.left = scope, at

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if not self.left:
            self.scope.cancel()


async def by_step_at(function: Callable[[], Awaitable[object]], at: int) -> Outcome:
    """Cancel where a task that opens or reads the connection waits, and not only where we do."""
    with anyio.CancelScope() as scope:
        steps = Steps(scope, at)
        trio.lowlevel.add_instrument(steps)
        try:
            await function()
        except Exception as error:  # noqa: BLE001  it is the outcome
            return Outcome(at=at, asked=steps.left <= 0, error=error)
        finally:
            trio.lowlevel.remove_instrument(steps)
        return Outcome(at=at, asked=steps.left <= 0)
    return Outcome(at=at, asked=True, cancelled=True)


def opened(port: int) -> AbstractAsyncContextManager[trio_websocket.WebSocketConnection]:
    return trio_websocket.open_websocket(
        *("127.0.0.1", port, "/v1/realtime?model=openai/gpt-realtime-mini"),
        use_ssl=False,
        subprotocols=["openai-realtime"],
    )


def handing_over(connection: trio_websocket.WebSocketConnection, **options: Any) -> Connecting:
    realtime = MeshAPI(base_url="http://localhost").realtime
    return realtime.connect(transport=TrioWebSocketTransport(connection), **options)


@pytest.fixture(params=[over_a_new_one, over_one_that_is_there])
def over(request: pytest.FixtureRequest) -> Opener:
    opener: Opener = request.param
    return opener


async def test_a_turn_is_a_turn(over: Opener) -> None:
    async with serve() as gateway, over(int(gateway.url.rpartition(":")[2])) as session:
        await session.send_audio(PCM * 100)
        await session.commit()
        receipt = await session.send({"type": "response.create"})
        audio = 0
        async for message in session:
            audio += len(message.audio or b"")
            if isinstance(message.event, ResponseDone):
                break
        await session.flush()
        assert audio
        assert receipt.fate == "sent"


async def test_a_close_is_polite_and_is_answered(over: Opener) -> None:
    with raw_server(RawConnection.greet_and_serve) as server:
        async with over(server.port) as session:
            pass
        heard = await (await server.connection()).heard()
    assert session.closed is not None
    assert session.closed.initiator == "client"
    assert heard.close == (1000, "")
    assert not heard.torn


async def test_a_server_that_answers_no_close_costs_the_close_timeout(over: Opener) -> None:
    with raw_server(RawConnection.greet_and_ignore_close) as server:
        async with over(server.port, close_timeout=0.05):
            began = anyio.current_time()
        assert anyio.current_time() - began < 20  # trio-websocket would have waited 60 s
        connection = await server.connection()
        assert (await connection.heard()).close == (1000, "")


async def test_under_cancellation_it_is_cut_at_once(over: Opener) -> None:
    with raw_server(RawConnection.greet_and_serve) as server:
        with anyio.CancelScope() as scope:
            async with over(server.port, close_timeout=1000):
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        heard = await (await server.connection()).heard()
    assert scope.cancelled_caught
    assert heard.close is None
    assert not heard.torn


async def use(session: RealtimeSession) -> None:
    await session.send({"type": "input_audio_buffer.clear"})
    await session.flush()


def only_the_end(outcomes: list[Outcome]) -> bool:
    """Tell whether all that came out is that our tasks were cancelled before the body was."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    return all(isinstance(error, SessionClosed) for error in errors)


async def test_cancelled_at_each_moment_it_leaves_nothing() -> None:
    with raw_server(RawConnection.greet_and_serve) as server:

        async def live() -> None:
            async with connecting(server.port, transport="trio-websocket") as session:
                await use(session)

        async def scene(cancel: CancelAt) -> None:
            await cancel(live)
            await server.settled()

        outcomes = await at_each(by_step_at, scene)
    assert only_the_end(outcomes)
    assert sum(outcome.cancelled for outcome in outcomes) > 40


async def test_cancelled_at_each_moment_it_closes_what_it_was_handed() -> None:
    with raw_server(RawConnection.greet_and_serve) as server:

        async def scene(cancel: CancelAt) -> None:
            async with opened(server.port) as connection:

                async def live() -> None:
                    async with handing_over(connection) as session:
                        await use(session)

                await cancel(live)
            await server.settled()

        outcomes = await at_each(by_step_at, scene)
    assert only_the_end(outcomes)
    assert sum(outcome.cancelled for outcome in outcomes) > 20


async def test_the_body_s_exception_comes_out_bare_and_says_goodbye() -> None:
    mine = ZeroDivisionError()
    with raw_server(RawConnection.greet_and_serve) as server:
        with pytest.raises(ZeroDivisionError) as caught:
            async with connecting(server.port, transport="trio-websocket"):
                raise mine
        heard = await (await server.connection()).heard()
    assert caught.value is mine
    assert heard.close == (1000, "")


async def test_a_server_that_says_goodbye_ends_the_iteration(over: Opener) -> None:
    def say_goodbye(connection: RawConnection) -> None:
        connection.greet()
        connection.say(text_delta("a"))
        connection.say_close(1000, "bye")

    with raw_server(say_goodbye) as server:
        async with over(server.port) as session:
            types = [message.event.type async for message in session]
        heard = await (await server.connection()).heard()
    assert types[-1] == "response.output_text.delta"
    assert session.closed is not None
    assert (session.closed.initiator, session.closed.code) == ("server", 1000)
    assert session.closed.reason == "bye"
    assert heard.close is not None
    assert heard.close[0] == 1000


async def test_a_server_that_hangs_up_is_a_loss(over: Opener) -> None:
    def hang_up(connection: RawConnection) -> None:
        connection.greet()
        connection.close()

    with raw_server(hang_up) as server:
        with pytest.raises(ConnectionLost):
            async with over(server.port) as session:
                async for _ in session:
                    pass


async def test_what_is_no_event_is_answered_with_1007(over: Opener) -> None:
    def babble(connection: RawConnection) -> None:
        connection.greet()
        connection.write(b"\x81\x04what")

    with raw_server(babble) as server:
        with pytest.raises(RemoteProtocolError):
            async with over(server.port) as session:
                async for _ in session:
                    pass
        heard = await (await server.connection()).heard()
    assert heard.close is not None
    assert heard.close[0] == 1007


async def test_a_server_that_only_answers_pings_is_alive(over: Opener) -> None:
    liveness = Liveness(ping_idle=0.01, dead_idle=10, ping_active=0.01, dead_active=10)
    with raw_server(RawConnection.greet_and_serve) as server:
        async with over(server.port, liveness=liveness) as session:
            connection = await server.connection()
            await connection.until(lambda heard: len(heard.pings) > 4)
            age = anyio.current_time() - session._connection._transport.last_byte_at
            assert session.closed is None
    assert age < 5


async def test_a_server_that_answers_no_ping_is_given_up(over: Opener) -> None:
    def stay_mute(connection: RawConnection) -> None:
        connection.greet()
        connection.read_all()

    liveness = Liveness(ping_idle=0.01, dead_idle=0.3, ping_active=0.01, dead_active=0.3)
    with raw_server(stay_mute) as server:
        with pytest.raises(ConnectionLost, match="no byte came"):
            async with over(server.port, liveness=liveness) as session:
                async for _ in session:
                    pass


async def test_no_connection_is_the_same_error_as_without(unused_port: int) -> None:
    told = []
    for transport in ("websocket", "trio-websocket"):
        with pytest.raises(ConnectError) as caught:
            async with connecting(unused_port, transport=transport):
                pytest.fail("the body may not begin")
        told.append(str(caught.value))
    assert told[0] == told[1]


@pytest.fixture
def unused_port() -> int:
    with raw_server(RawConnection.greet_and_serve) as server:
        return server.port


@pytest.mark.parametrize("options", [{"model": "m"}, {"max_message_bytes": 1}])
def test_a_transport_that_is_there_settled_these_before(options: dict[str, Any]) -> None:
    realtime = MeshAPI(base_url="http://localhost").realtime
    with pytest.raises(ConfigurationError, match="settled when a transport is opened"):
        realtime.connect(transport=object.__new__(TrioWebSocketTransport), **options)


@pytest.mark.parametrize("transport", ["carrier-pigeon", None, object()])
def test_what_is_no_transport_is_refused(transport: Any) -> None:
    realtime = MeshAPI(base_url="http://localhost").realtime
    with pytest.raises(ConfigurationError, match=r"transport is .websocket."):
        realtime.connect(model="m", transport=transport)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_on_asyncio_it_says_that_it_needs_trio() -> None:
    with pytest.raises(ConfigurationError, match="runs on Trio alone"):
        async with connecting(1, transport="trio-websocket"):
            pytest.fail("the body may not begin")


async def test_a_transport_that_was_handed_over_is_closed_though_the_block_never_begins() -> None:
    with raw_server(RawConnection.shake_hands) as server:
        async with opened(server.port) as connection:
            with anyio.CancelScope() as scope:
                scope.cancel()
                async with handing_over(connection):
                    pytest.fail("the body may not begin")
            assert await (await server.connection()).received() == b""
