"""The client's timeouts, to the second: on Trio's clock, over a transport in memory."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio.testing
from support import ScriptedServer, text_delta

from meshrt import ConfigurationError, ConnectionLost, ConnectTimeout, Liveness, MeshAPI
from meshrt.transports import Transport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def client_of(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> MeshAPI:
    async def open_in_memory(*_: object) -> Transport:
        return await server.open()

    client = MeshAPI(base_url="http://localhost")
    monkeypatch.setattr(client, "_open", open_in_memory)
    return client


@pytest.mark.parametrize(("options", "seconds"), [({}, 10), ({"connect_timeout": 77}, 77)])
async def test_the_connect_timeout_is_what_a_server_costs_that_never_greets(
    options: dict[str, float], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(greets=False) as server:
        client = client_of(server, monkeypatch)
        began = anyio.current_time()
        with pytest.raises(ConnectTimeout):
            async with client.realtime.connect(model="m", **options):  # type: ignore[arg-type]
                pytest.fail("the body may not begin")
        assert anyio.current_time() - began == pytest.approx(seconds)


@pytest.mark.parametrize(("options", "seconds"), [({}, 1), ({"close_timeout": 77}, 77)])
async def test_the_close_timeout_is_what_a_server_costs_that_never_answers(
    options: dict[str, float], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(answers_close=False) as server:
        client = client_of(server, monkeypatch)
        async with client.realtime.connect(model="m", **options):  # type: ignore[arg-type]
            began = anyio.current_time()
        assert anyio.current_time() - began == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [({}, 30), ({"liveness": Liveness(ping_idle=50, dead_idle=70)}, 70)],
)
async def test_the_liveness_is_when_a_dead_server_is_given_up(
    options: dict[str, Any], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(answers_pings=False) as server:
        client = client_of(server, monkeypatch)
        began = anyio.current_time()
        with pytest.raises(ConnectionLost):
            async with client.realtime.connect(model="m", keep_alive=None, **options) as session:
                await session.run()
        assert anyio.current_time() - began == pytest.approx(seconds)


async def test_keep_alive_is_when_a_silent_client_sends_a_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ScriptedServer() as server:
        client = client_of(server, monkeypatch)
        connecting = client.realtime.connect(model="m", keep_alive=7, liveness=None)
        async with connecting as session:
            await anyio.sleep(20)
            assert session.statistics().last_sent_age == pytest.approx(6)


async def test_handler_errors_says_whether_a_failing_handler_ends_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> None:
        raise KeyError

    async with ScriptedServer() as server:
        client = client_of(server, monkeypatch)
        async with client.realtime.connect(model="m", handler_errors="report") as session:
            session.on("message", fail)
            await server.say(text_delta(1))
            await anyio.wait_all_tasks_blocked()
            assert session.closed is None


@pytest.mark.parametrize(
    "option", [{"keep_alive": 0}, {"liveness": 5}, {"handler_errors": "ignore"}], ids=repr
)
async def test_an_option_of_the_watch_that_cannot_be_used_is_refused(
    option: dict[str, Any],
) -> None:
    await anyio.lowlevel.checkpoint()
    client = MeshAPI(base_url="http://localhost")
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        client.realtime.connect(model="m", **option)
