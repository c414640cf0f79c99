"""Cancelled at each moment, a gateway or a server of a test's leaves nothing."""

from typing import Any

import pytest
from support import WAYS, CancelAt, Way, at_each, has_way

from meshrt.testing import gateway_in_memory, scripted_session, session_and_server

pytestmark = pytest.mark.anyio


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest, anyio_backend_name: str) -> Way:
    way: Way = request.param
    if not has_way(way, anyio_backend_name):
        pytest.skip("only asyncio has this way")
    return way


async def in_memory() -> None:
    async with gateway_in_memory() as gateway, gateway.connect() as session:
        await session.receive()
        await session.clear()


async def with_server() -> None:
    async with session_and_server() as (session, server):
        await session.receive()
        await session.send({"type": "response.create"})
        await server.receive()


async def with_script() -> None:
    async with scripted_session("> *\n< Hi!") as session:
        await session.send({"type": "response.create"})
        async for message in session:
            if message.event.type == "response.done":
                break


SCENES = [in_memory, with_server, with_script]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_cancelled_at_each_moment_nothing_is_left(way: Way, scene: Any) -> None:
    async def play(cancel: CancelAt) -> None:
        await cancel(scene)

    outcomes = await at_each(way, play)

    assert [outcome.error for outcome in outcomes if outcome.error is not None] == []
    assert sum(outcome.cancelled for outcome in outcomes) >= 3
