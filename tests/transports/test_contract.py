"""What every transport promises, tried on each of them."""

import math

import anyio
import pytest

from meshrt.errors import LocalProtocolError
from meshrt.transports import ConnectionLost, Transport

pytestmark = pytest.mark.anyio

Pair = tuple[Transport, Transport]
BIG = "x" * 2**22


@pytest.fixture(params=["memory", "websocket", "trio_websocket", "new_trio_websocket"])
def pair(request: pytest.FixtureRequest) -> Pair:
    pair: Pair = request.getfixturevalue(f"{request.param}_pair")
    return pair


async def read(transport: Transport, count: int) -> list[str | bytes]:
    messages: list[str | bytes] = []
    while len(messages) < count:
        messages += await transport.receive()
    return messages


async def test_messages_arrive_whole_and_in_order_in_both_directions(pair: Pair) -> None:
    for sender, receiver in (pair, pair[::-1]):
        await sender.send(["one", b"\x00two", ""])
        await sender.send(["drei €", b""])
        assert await read(receiver, 5) == ["one", b"\x00two", "", "drei €", b""]


async def test_a_message_of_megabytes_arrives(pair: Pair) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair[0].send, [BIG, "after"])
        assert await read(pair[1], 2) == [BIG, "after"]


async def test_an_empty_batch_is_no_message(pair: Pair) -> None:
    await pair[0].send([])
    await pair[0].send(["first"])
    assert await pair[1].receive() == ["first"]


async def test_receive_waits_and_a_cancelled_one_loses_nothing(pair: Pair) -> None:
    near, far = pair
    seen: list[str | bytes] = []

    async def receive(scope: anyio.CancelScope) -> None:
        with scope:
            seen.extend(await near.receive())

    for number in range(60):
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive, scope)
            if number % 3:
                await anyio.lowlevel.checkpoint()
            await far.send([f"message {number}"])
            for _ in range(number % 7):
                await anyio.lowlevel.checkpoint()
            scope.cancel()
    await far.send(["last"])
    while "last" not in seen:
        seen += await near.receive()
    assert seen == [*(f"message {number}" for number in range(60)), "last"]


async def test_a_close_is_heard_after_the_messages_before_it(pair: Pair) -> None:
    near, far = pair
    await far.send(["before"])
    await far.aclose(4321, "bye ☎")
    assert await near.receive() == ["before"]
    for _ in range(2):
        with pytest.raises(anyio.EndOfStream):
            await near.receive()
    assert (near.close_code, near.close_reason) == (4321, "bye ☎")


async def test_the_answer_to_a_close_comes_back_to_who_closed(pair: Pair) -> None:
    near, far = pair
    woken = []
    near.wake = lambda: woken.append(True)
    await far.aclose(1000, "enough")
    with pytest.raises(anyio.EndOfStream):
        await near.receive()
    assert woken
    assert near.outgoing()
    assert far.close_code is None
    await near.send([])
    assert not near.outgoing()
    with pytest.raises(anyio.EndOfStream):
        await far.receive()
    assert (far.close_code, far.close_reason) == (1000, "enough")


async def test_messages_still_come_between_our_close_and_theirs(pair: Pair) -> None:
    near, far = pair
    await near.aclose()
    await far.send(["on its way"])
    await far.aclose(1001)
    assert await near.receive() == ["on its way"]
    with pytest.raises(anyio.EndOfStream):
        await near.receive()
    assert near.close_code == 1001


async def test_closing_twice_is_closing_once(pair: Pair) -> None:
    near, far = pair
    await near.aclose(1000, "first")
    await near.aclose(1011, "second")
    with pytest.raises(anyio.EndOfStream):
        await far.receive()
    assert (far.close_code, far.close_reason) == (1000, "first")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
async def test_a_code_that_may_not_be_sent_is_refused_and_nothing_happens(
    pair: Pair, code: int
) -> None:
    near, far = pair
    with pytest.raises(LocalProtocolError, match=str(code)):
        await near.aclose(code)
    await near.send(["alive"])
    assert await far.receive() == ["alive"]


async def test_after_our_close_nothing_can_be_sent(pair: Pair) -> None:
    near, far = pair
    await near.aclose()
    with pytest.raises(anyio.ClosedResourceError):
        await near.send(["late"])
    near.ping()
    assert not near.outgoing()
    with pytest.raises(anyio.EndOfStream):
        await far.receive()


async def test_after_their_close_a_send_says_that_and_still_answers_it(pair: Pair) -> None:
    near, far = pair
    await far.aclose(4000, "no more")
    with pytest.raises(anyio.EndOfStream):
        await near.receive()
    with pytest.raises(ConnectionLost) as caught:
        await near.send(["late"])
    assert (caught.value.code, caught.value.reason) == (4000, "no more")
    with pytest.raises(anyio.EndOfStream):
        await far.receive()


async def test_a_ping_is_answered_and_any_byte_is_life(pair: Pair) -> None:
    near, far = pair
    asked, answering = anyio.Event(), anyio.Event()
    near.wake, far.wake = asked.set, answering.set
    near.last_byte_at = -math.inf  # uvloop's clock may stand still for a millisecond
    near.ping()
    assert asked.is_set()
    assert near.outgoing()
    await near.send([])
    assert not near.outgoing()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(far.receive)
        await answering.wait()
        assert far.outgoing()
        await far.send(["with the pong"])
        tasks.cancel_scope.cancel()
    assert await near.receive() == ["with the pong"]
    assert near.last_byte_at > -math.inf


async def test_many_pings_wait_as_one(pair: Pair) -> None:
    near, _ = pair
    near.ping()
    waiting = near.outgoing()
    for _ in range(1000):
        near.ping()
    assert near.outgoing() == waiting
    await near.send([])
    assert near.outgoing() == 0


async def test_an_abort_ends_our_side_at_once(pair: Pair) -> None:
    near, far = pair

    async def receive() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await near.receive()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        await near.abort()
    await near.abort()
    with pytest.raises(ConnectionLost):
        await far.receive()
    for use in (near.receive, lambda: near.send(["x"]), lambda: near.send([])):
        with pytest.raises(anyio.ClosedResourceError):
            await use()
    await near.aclose()


async def test_an_abort_is_a_loss_for_the_peer(pair: Pair) -> None:
    near, far = pair
    await near.abort()
    for _ in range(2):
        with pytest.raises(ConnectionLost) as caught:
            await far.receive()
        assert caught.value.code is None
    assert far.close_code is None
    for use in (lambda: far.send(["x"]), far.aclose):
        with pytest.raises(ConnectionLost):
            await use()


async def test_an_abort_works_in_a_cancelled_scope_and_does_not_raise(pair: Pair) -> None:
    near, far = pair
    done = False
    with anyio.CancelScope() as scope:
        scope.cancel()
        await near.abort()
        done = True
    assert done
    with pytest.raises(ConnectionLost):
        await far.receive()


async def test_a_second_receiver_is_told_so(pair: Pair) -> None:
    near, far = pair
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(near.receive)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await near.receive()
        await far.send(["for the first"])


async def test_what_is_sent_may_be_a_batch_that_changes_later(pair: Pair) -> None:
    batch: list[str | bytes] = ["kept"]
    await pair[0].send(batch)
    batch[0] = "changed"
    assert await pair[1].receive() == ["kept"]


async def test_receive_and_send_give_way_to_a_cancellation(pair: Pair) -> None:
    for use in (pair[0].receive, lambda: pair[0].send(["x"]), lambda: pair[1].send([])):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await use()
        assert scope.cancelled_caught
