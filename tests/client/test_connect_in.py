"""``connect_in``: the options, the errors and the docstring of ``connect``, in a task group."""

import inspect
import json
from typing import Any

import anyio
import pytest
from support import RawConnection, created, places_of, raw_server, text_delta, websockets_server
from websockets.asyncio.server import ServerConnection

from meshrt import ConfigurationError, ConnectTimeout, HandshakeRejected, MeshAPI
from meshrt.client import Realtime
from meshrt.events import RealtimeSessionConfig
from meshrt.gateway import serve

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

KEY = "rsk_b7Q-sentinel.42"
MODEL = "openai/gpt-realtime-mini"


async def test_a_session_goes_there_and_back() -> None:
    async with serve() as gateway, anyio.create_task_group() as tasks:
        session = await MeshAPI(base_url=gateway.url).realtime.connect_in(
            tasks, model=MODEL, session={"type": "realtime", "instructions": "Be brief."}
        )
        assert isinstance(session.config, RealtimeSessionConfig)
        assert session.config.instructions == "Be brief."
        await session.close()


async def test_an_option_is_that_of_connect() -> None:
    async def mute(connection: ServerConnection) -> None:
        await connection.wait_closed()

    with websockets_server(mute) as port:
        client = MeshAPI(base_url=f"http://127.0.0.1:{port}")
        async with anyio.create_task_group() as tasks:
            with pytest.raises(ConnectTimeout, match=r"0\.05"):
                await client.realtime.connect_in(tasks, model=MODEL, connect_timeout=0.05)


@pytest.mark.parametrize("options", [{"model": ""}, {"model": MODEL, "close_timeout": -1}])
async def test_an_option_that_cannot_be_used_is_refused(options: dict[str, Any]) -> None:
    client = MeshAPI(base_url="http://127.0.0.1:9")
    async with anyio.create_task_group() as tasks:
        with pytest.raises(ConfigurationError):
            await client.realtime.connect_in(tasks, **options)


def test_it_shows_the_options_of_connect() -> None:
    mine = inspect.signature(Realtime.connect_in).parameters
    others = inspect.signature(Realtime.connect).parameters
    assert list(mine)[:2] == ["self", "task_group"]
    assert list(mine.values())[2:] == list(others.values())[1:]


async def test_a_refusal_comes_out_bare_and_without_the_key() -> None:
    async with serve(key="rsk_another") as gateway, anyio.create_task_group() as tasks:
        client = MeshAPI(base_url=gateway.url, token=KEY)
        with pytest.raises(HandshakeRejected) as caught:
            await client.realtime.connect_in(tasks, model=MODEL)
        assert places_of(KEY, caught.value) == []
        assert caught.value.code == "invalid_api_key"


async def test_a_wrong_group_does_not_show_the_key() -> None:
    client = MeshAPI(base_url="http://127.0.0.1:9", token=KEY)
    with pytest.raises(ConfigurationError) as caught:
        await client.realtime.connect_in(7, model=MODEL)  # type: ignore[arg-type]
    assert places_of(KEY, caught.value) == []


async def test_a_handler_closes_it_and_the_group_is_done() -> None:
    async def greet_and_speak(connection: ServerConnection) -> None:
        await connection.send(json.dumps(created()))
        await connection.recv()
        await connection.send(json.dumps(text_delta("That is all.")))
        await connection.wait_closed()

    with websockets_server(greet_and_speak) as port:
        async with anyio.create_task_group() as tasks:
            client = MeshAPI(base_url=f"http://127.0.0.1:{port}")
            session = await client.realtime.connect_in(tasks, model=MODEL)
            session.on("message", lambda _: session.close())
            await session.send({"type": "response.create"})
    assert session.closed is not None


async def test_the_place_of_the_call_is_where_connect_in_was_written() -> None:
    with raw_server(RawConnection.greet_and_serve) as server:
        client = MeshAPI(base_url=f"http://127.0.0.1:{server.port}")
        async with anyio.create_task_group() as tasks:
            session = await client.realtime.connect_in(tasks, model=MODEL)
            assert str(session._site).startswith(__file__)
            await session.close()
