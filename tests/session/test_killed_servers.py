# ruff: noqa: PT012  a session's block, all of it, is what raises
"""A server that dies, at each moment and in each way: one typed error, and first what had come."""

from collections.abc import Callable
from typing import Any

import pytest
from support import (
    RawConnection,
    connecting,
    created,
    raw_server,
    response_created,
    text_delta,
    text_frame,
)

from meshrt.transports import ConnectError, ConnectionLost

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

Death = Callable[[RawConnection], None]
DEATHS = [RawConnection.reset, RawConnection.half_close, RawConnection.close]

deaths = pytest.mark.parametrize("die", DEATHS, ids=lambda die: die.__name__)


TEXTS = [text_delta(number) for number in range(3)]
TORN = text_frame(text_delta("x" * 300))


@deaths
@pytest.mark.parametrize(
    ("said", "torn"),
    [
        pytest.param([], b"", id="idle"),
        pytest.param([response_created(), *TEXTS], b"", id="in a turn"),
        pytest.param(TEXTS, TORN[:-1], id="in a frame"),
        pytest.param(TEXTS, TORN[:3], id="in the head of a frame"),
    ],
)
async def test_a_loss_is_raised_bare_and_after_what_had_come(
    said: list[dict[str, Any]], torn: bytes, die: Death
) -> None:
    def dying(connection: RawConnection) -> None:
        connection.greet()
        connection.say(*said)
        connection.ping()
        connection.read()  # the pong, so all of that has been read
        connection.write(torn)
        die(connection)

    received: list[str] = []
    with raw_server(dying) as server:
        async with connecting(server.port) as session:
            with pytest.raises(ConnectionLost) as caught:
                async for message in session:
                    received.append(message.event.type)  # noqa: PERF401  until it raises
            with pytest.raises(ConnectionLost):
                await session.send({"type": "input_audio_buffer.clear"})
            assert session.closed is not None
            assert (session.closed.initiator, session.closed.code) == ("network", None)
    assert caught.value.code is None
    assert ("middle of a response" in str(caught.value)) == (response_created() in said)
    assert received == [event["type"] for event in (created(), *said)]


@deaths
async def test_a_command_that_waits_is_told_of_the_loss(die: Death) -> None:
    def dying(connection: RawConnection) -> None:
        connection.greet()
        connection.read()
        die(connection)

    with raw_server(dying) as server:
        async with connecting(server.port) as session:
            with pytest.raises(ConnectionLost):
                await session.clear()


@deaths
async def test_a_block_that_notices_nothing_is_left_without_an_error(die: Death) -> None:
    def dying(connection: RawConnection) -> None:
        connection.greet()
        connection.wait()
        die(connection)

    with raw_server(dying) as server:
        async with connecting(server.port) as session:
            (await server.connection()).go()
            await session.receive()
        assert session.closed is not None


@deaths
@pytest.mark.parametrize("answered", ["nothing", "a part of the head", "the head", "a torn frame"])
async def test_a_handshake_that_is_cut_is_a_connect_error(die: Death, answered: str) -> None:
    def dying(connection: RawConnection) -> None:
        connection.read_request()
        answer = connection.switching_protocols()
        connection.write(
            {
                "nothing": b"",
                "a part of the head": answer[:-1],
                "the head": answer,
                "a torn frame": answer + text_frame(created())[:-1],
            }[answered]
        )
        die(connection)

    with raw_server(dying) as server:
        with pytest.raises(ConnectError) as caught:
            async with connecting(server.port):
                pytest.fail("the body may not begin")
        assert type(caught.value) is ConnectError


async def test_a_server_that_is_reset_before_it_was_accepted_is_a_connect_error() -> None:
    with raw_server(RawConnection.reset) as server:
        with pytest.raises(ConnectError):
            async with connecting(server.port):
                pytest.fail("the body may not begin")


@deaths
async def test_a_loss_while_we_close_is_no_error(die: Death) -> None:
    def dying(connection: RawConnection) -> None:
        connection.greet()
        while connection.so_far().close is None:
            connection.read()
        die(connection)

    with raw_server(dying) as server:
        async with connecting(server.port, close_timeout=1000) as session:
            await session.close()
            assert session.closed is not None
            assert session.closed.initiator == "client"
