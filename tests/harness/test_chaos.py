"""The bad network passes each byte once and in order, until it is told to cut."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import anyio
import anyio.abc
import pytest
from support import Chaos, ChaosProxy, RawConnection, RawServer, chaos_proxy, raw_server

pytestmark = pytest.mark.anyio

DATA = random.Random(3).randbytes(20_000)


def echo(connection: RawConnection) -> None:
    while data := connection.read():
        connection.write(data)


@contextmanager
def network(
    to_server: Chaos | None = None, to_client: Chaos | None = None
) -> Iterator[tuple[RawServer, ChaosProxy]]:
    with ExitStack() as stack:
        server = stack.enter_context(raw_server(echo))
        proxy = chaos_proxy(server.port, to_server=to_server, to_client=to_client, seed=1)
        yield server, stack.enter_context(proxy)


async def read_to_the_end(stream: anyio.abc.ByteStream) -> bytes:
    data = b""
    try:
        async for chunk in stream:
            data += chunk
    except anyio.BrokenResourceError:
        return data + b"RST"
    return data + b"FIN"


async def send_and_read(port: int) -> bytes:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(DATA)
        await stream.send_eof()
        return await read_to_the_end(stream)


@pytest.mark.parametrize(
    "chaos",
    [
        Chaos(),
        Chaos(piece_bytes=1),
        Chaos(latency_s=0.005, jitter_s=0.02, piece_bytes=1000),
    ],
)
async def test_what_is_slow_and_uneven_comes_whole_and_in_order(chaos: Chaos) -> None:
    with network(chaos, chaos) as (_, proxy):
        assert await send_and_read(proxy.port) == DATA + b"FIN"
        assert proxy.passed == [len(DATA), len(DATA)]


@pytest.mark.parametrize("at", [0, 1, 777])
async def test_a_stall_holds_back_until_it_is_ended(at: int) -> None:
    with network(to_client=Chaos(stall_at=at)) as (_, proxy):
        async with anyio.create_task_group() as tasks:

            async def resume() -> None:
                await proxy.stalled()
                assert proxy.passed[1] == at
                proxy.resume()

            tasks.start_soon(resume)
            assert await send_and_read(proxy.port) == DATA + b"FIN"


async def test_a_stall_may_end_by_itself() -> None:
    with network(Chaos(stall_at=500, stall_s=0.01)) as (_, proxy):
        assert await send_and_read(proxy.port) == DATA + b"FIN"
        await proxy.stalled()


async def test_it_may_be_narrow() -> None:
    began = time.monotonic()
    with network(Chaos(piece_bytes=1000, bytes_per_s=200_000)) as (_, proxy):
        assert await send_and_read(proxy.port) == DATA + b"FIN"
    assert time.monotonic() - began > len(DATA) / 200_000


@pytest.mark.parametrize(("end", "said"), [("rst", b"RST"), ("fin", b"FIN"), ("half", b"FIN")])
async def test_it_ends_after_so_many_bytes(end: str, said: bytes) -> None:
    chaos = Chaos(end_at=777, end=end)  # type: ignore[arg-type]
    with network(to_client=chaos) as (_, proxy):
        async with await anyio.connect_tcp("127.0.0.1", proxy.port) as stream:
            await stream.send(DATA[:1000])
            data = await read_to_the_end(stream)
        assert proxy.passed[1] == 777
    # What was under way when it was cut may be lost, and only then.
    assert data.endswith(said)
    assert DATA.startswith(data[:-3])
    assert end == "rst" or len(data) == 777 + 3


async def test_half_an_end_leaves_the_other_half() -> None:
    with network(to_client=Chaos(end_at=3, end="half")) as (server, proxy):
        async with await anyio.connect_tcp("127.0.0.1", proxy.port) as stream:
            await stream.send(DATA[:3])
            assert await read_to_the_end(stream) == DATA[:3] + b"FIN"
            await stream.send(DATA[3:9])
        assert await (await server.connection()).received() == DATA[:9]


async def test_a_server_that_is_not_there_ends_the_connection() -> None:
    with raw_server(echo) as server:
        port = server.port
    with chaos_proxy(port) as proxy, suppress(OSError):
        async with await anyio.connect_tcp("127.0.0.1", proxy.port) as stream:
            assert await read_to_the_end(stream) in (b"RST", b"FIN")
