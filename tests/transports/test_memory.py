"""What the transport in memory has beyond the contract: a bound, and virtual time."""

import anyio
import pytest
import trio.testing

from meshrt.transports import ConnectionLost, MemoryTransport, memory_transports


@pytest.mark.anyio
async def test_a_send_waits_while_as_many_batches_as_agreed_are_unread() -> None:
    near, far = memory_transports(max_batches=2)
    sent: list[int] = []

    async def send() -> None:
        for number in range(4):
            await near.send([str(number)])
            sent.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert sent == [0, 1]
        assert await far.receive() == ["0"]
        await anyio.wait_all_tasks_blocked()
        assert sent == [0, 1, 2]
        assert await far.receive() == ["1"]
    assert sent == [0, 1, 2, 3]


@pytest.mark.anyio
async def test_a_cancelled_send_breaks_the_connection_and_delivers_nothing() -> None:
    near, far = memory_transports(max_batches=1)
    await near.send(["first"])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(near.send, ["cancelled"])
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert await far.receive() == ["first"]
    with pytest.raises(ConnectionLost):
        await near.send(["never"])
    with anyio.move_on_after(0) as scope:
        await far.receive()
    assert scope.cancelled_caught


@pytest.mark.anyio
@pytest.mark.parametrize("ours", [True, False])
async def test_an_abort_ends_a_send_that_waits(ours: bool) -> None:
    near, far = memory_transports(max_batches=1)
    await near.send(["first"])

    async def send() -> None:
        expected = anyio.ClosedResourceError if ours else ConnectionLost
        with pytest.raises(expected):
            await near.send(["second"])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        await (near if ours else far).abort()


@pytest.mark.anyio
async def test_both_ends_report_the_subprotocol() -> None:
    near, far = memory_transports(subprotocol="openai-realtime")
    assert near.subprotocol == far.subprotocol == "openai-realtime"
    await near.abort()


def test_time_is_virtual_under_trio() -> None:
    async def wait_a_day() -> float:
        near, far = memory_transports()

        async def answer(transport: MemoryTransport) -> None:
            await trio.sleep(86_400)
            await transport.send(["good morning"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer, far)
            assert await near.receive() == ["good morning"]
        return near.last_byte_at

    clock = trio.testing.MockClock(autojump_threshold=0)
    assert trio.run(wait_a_day, clock=clock) >= 86_400
