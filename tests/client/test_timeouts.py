"""The client's timeouts, to the second: on Trio's clock, over a transport in memory."""

import anyio
import pytest
import trio.testing
from support import ScriptedServer

from meshrt import ConnectTimeout, MeshAPI
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
