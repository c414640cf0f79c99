"""The driver cancels at each suspension, once, and sees what is left or swallowed."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from support import WAYS, CancelAt, Way, at_each, by_scope_at, by_tick_at, has_way, nothing_left

pytestmark = pytest.mark.anyio


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest, anyio_backend_name: str) -> Way:
    way: Way = request.param
    if not has_way(way, anyio_backend_name):
        pytest.skip("only asyncio has this way")
    return way


async def test_each_suspension_is_one_try_and_the_last_is_never_asked(way: Way) -> None:
    steps: list[int] = []

    async def three() -> str:
        for step in range(3):
            steps.append(step)
            await anyio.lowlevel.checkpoint()
        return "done"

    async def scene(cancel: CancelAt) -> None:
        await cancel(three)

    outcomes = await at_each(way, scene)
    assert [outcome.at for outcome in outcomes] == list(range(1, len(outcomes) + 1))
    assert all(outcome.cancelled for outcome in outcomes[:-1])
    assert not outcomes[-1].asked
    assert outcomes[-1].result == "done"
    assert steps[-3:] == [0, 1, 2]
    if way is not by_tick_at:
        assert steps == [0, 0, 1, 0, 1, 2, 0, 1, 2]


async def test_what_comes_out_instead_is_the_outcome(way: Way) -> None:
    async def stubborn() -> None:
        try:
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            raise KeyError from None  # noqa: ASYNC104  which is what is wrong with it

    outcome = await way(stubborn, 1)
    assert isinstance(outcome.error, KeyError)
    assert outcome.asked


async def test_a_shield_is_no_swallowing_for_a_scope() -> None:
    async def shielded() -> str:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        return "done"

    outcome = await by_scope_at(shielded, 1)
    assert outcome.asked
    assert outcome.result == "done"


@pytest.mark.parametrize("way", WAYS[1:])
async def test_a_swallowed_cancellation_is_seen(way: Way, anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("asyncio's own cancellation")

    async def swallow() -> None:
        with suppress(asyncio.CancelledError):
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()

    with pytest.raises(AssertionError, match="swallowed"):
        await way(swallow, 1)


def leave_a_socket() -> socket.socket | None:
    return socket.socket()


def forget_a_socket() -> None:
    leave_a_socket()


@pytest.mark.parametrize("leave", [leave_a_socket, forget_a_socket])
async def test_what_is_left_is_seen(leave: Callable[[], socket.socket | None]) -> None:
    await anyio.lowlevel.checkpoint()
    left: list[socket.socket | None] = []
    with pytest.raises(AssertionError):
        async with nothing_left():
            left.append(leave())
    for thing in left:
        if thing is not None:
            thing.close()


async def test_an_exception_that_nobody_asked_for_is_seen(anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("Trio has no tasks that nobody waits for")

    async def fail() -> None:
        raise KeyError

    async def forget() -> None:
        async with nothing_left():
            task = asyncio.ensure_future(fail())
            await anyio.wait_all_tasks_blocked()
            del task

    with pytest.raises(AssertionError, match="never retrieved"):
        await forget()
