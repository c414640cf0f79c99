"""What clients may have of a gateway, and that the others have the rest."""

import logging
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
import trio.testing

from meshrt.errors import ConfigurationError
from meshrt.gateway import EchoVoice, Gateway, Limits, _options, serve
from meshrt.gateway._farewells import Farewell, farewell
from meshrt.gateway._turnstile import Full, Turnstile
from meshrt.gateway._visit import _watch

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Dial = Callable[..., AbstractAsyncContextManager[Any]]
Ask = Callable[..., Any]

MODEL = "openai/gpt-realtime"
TARGET = f"/v1/realtime?model={MODEL}"
PARTIAL = b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\n"
ASKED = PARTIAL + b"\r\n"


def port_of(gateway: Gateway) -> int:
    return int(gateway.url.rpartition(":")[2])


def listening_on(port: int) -> list[str]:
    """Return what listens on a port of this machine, as Linux writes addresses."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [line.split() for t in tables if t.exists() for line in t.read_text().splitlines()]
    return [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{port:04X}")]


async def connect(stack: AsyncExitStack, gateway: Gateway) -> anyio.abc.SocketStream:
    stream = await anyio.connect_tcp("127.0.0.1", port_of(gateway))
    return await stack.enter_async_context(stream)


async def all_of(stream: anyio.abc.ByteStream) -> bytes:
    answer = b""
    try:
        while True:
            answer += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return answer


@pytest.mark.skipif(sys.platform != "linux", reason="other systems say it elsewhere")
@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({}, "0100007F"),
        ({"host": "127.0.0.1"}, "0100007F"),
        ({"host": "0.0.0.0", "key": "rsk_right"}, "00000000"),  # noqa: S104  on purpose
    ],
)
async def test_it_listens_where_it_says_and_nowhere_else(options: Any, address: str) -> None:
    async with serve(voice=EchoVoice(), **options) as gateway:
        listening = listening_on(port_of(gateway))

    assert listening == [f"{address}:{port_of(gateway):04X}"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104
async def test_nobody_else_reaches_it_without_a_key(host: str) -> None:
    with pytest.raises(ConfigurationError, match="others reach it, so give it a key"):
        async with serve(host=host):
            pytest.fail("it was opened")


@pytest.mark.parametrize("host", ["", None, 7, b"127.0.0.1"])
async def test_a_host_is_a_name_or_an_address(host: Any) -> None:
    with pytest.raises(ConfigurationError, match="a host is a name or an address"):
        async with serve(host=host, key="rsk_right"):
            pytest.fail("it was opened")


async def test_a_gateway_for_all_is_dialled_by_its_loopback_address(dial: Dial) -> None:
    async with serve(host="0.0.0.0", key="rsk_right", voice=EchoVoice()) as gateway:  # noqa: S104
        assert gateway.url.startswith("http://127.0.0.1:")
        async with dial(gateway, f"{TARGET}&api_key=rsk_right") as wire:
            assert (await wire.hear())["type"] == "session.created"


async def test_slow_and_idle_connections_keep_nobody_out(dial: Dial) -> None:
    async with serve(voice=EchoVoice()) as gateway, AsyncExitStack() as stack:
        for _ in range(200):
            await (await connect(stack, gateway)).send(PARTIAL)
        for _ in range(200):
            await connect(stack, gateway)
        with anyio.fail_after(10):
            async with dial(gateway) as wire:
                assert (await wire.hear())["type"] == "session.created"
                await wire.say({"type": "input_audio_buffer.clear"})
                assert (await wire.hear())["type"] == "input_audio_buffer.cleared"


async def test_idle_sessions_leave_room_for_others(dial: Dial) -> None:
    limits = Limits(connections=4)
    async with serve(voice=EchoVoice(), limits=limits) as gateway, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(dial(gateway)) for _ in range(3)]
        slow = await connect(stack, gateway)
        await slow.send(PARTIAL)
        await wires[0].hear()
        async with dial(gateway) as wire:
            assert (await wire.hear())["type"] == "session.created"
            assert await all_of(slow) == b""  # it made room
            assert (await all_of(await connect(stack, gateway))).startswith(b"HTTP/1.1 503 ")


async def test_a_connection_too_many_is_told_so(dial: Dial) -> None:
    limits = Limits(connections=2)
    async with serve(voice=EchoVoice(), limits=limits) as gateway, AsyncExitStack() as stack:
        for _ in range(2):
            wire = await stack.enter_async_context(dial(gateway))
            await wire.hear()
        answer = await all_of(await connect(stack, gateway))

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in answer


async def test_over_tls_a_connection_too_many_is_closed() -> None:
    limits = Limits(connections_per_address=1)
    serving = serve(voice=EchoVoice(), limits=limits, tls=True)
    async with serving as gateway, AsyncExitStack() as stack:
        await connect(stack, gateway)
        assert await all_of(await connect(stack, gateway)) == b""


async def test_a_place_is_free_again_when_its_client_has_gone(dial: Dial) -> None:
    limits = Limits(connections=1)
    async with serve(voice=EchoVoice(), limits=limits) as gateway:
        for _ in range(3):
            async with dial(gateway) as wire:
                await wire.hear()
                await wire.transport.aclose()
                await all_of(wire.transport._stream)  # it hangs up when the place is free


async def test_an_address_has_its_own_limit(dial: Dial) -> None:
    limits = Limits(connections_per_address=2)
    async with serve(voice=EchoVoice(), limits=limits) as gateway, AsyncExitStack() as stack:
        for _ in range(2):
            await connect(stack, gateway)
        assert (await all_of(await connect(stack, gateway))).startswith(b"HTTP/1.1 429 ")


def test_an_address_is_counted_where_others_come_from() -> None:
    assert _options.per_address(Limits(), "127.0.0.1") is None
    assert _options.per_address(Limits(), "0.0.0.0") == 16  # noqa: S104  no bind
    assert _options.per_address(Limits(connections_per_address=3), "127.0.0.1") == 3


async def test_a_turnstile_counts_exactly() -> None:
    stile = Turnstile(connections=3, per_address=2, seconds=5)
    with stile.place("a") as first, stile.place("a") as second, stile.place("b") as third:
        with pytest.raises(Full, match="of this address"):
            stile.place("a").__enter__()
        first.settle()
        with stile.place("c"):
            assert (first.scope.cancel_called, second.scope.cancel_called) == (False, True)
            with stile.place("d"):
                assert third.scope.cancel_called
            third.settle()
        for place in (second, third):
            place.settle()


async def test_who_was_asked_to_go_is_counted_no_more() -> None:
    stile = Turnstile(connections=2, per_address=None, seconds=5)
    leaving = ExitStack()
    with stile.place("a") as first, leaving, stile.place("c") as third:
        assert not first.scope.cancel_called
        leaving.enter_context(stile.place("b"))
        assert first.scope.cancel_called
        leaving.close()
        with stile.place("d"):
            assert not third.scope.cancel_called


async def test_the_largest_message_is_a_limit(dial: Dial) -> None:
    limits = Limits(message_bytes=1_000)
    async with serve(voice=EchoVoice(), limits=limits) as gateway:
        async with dial(gateway) as wire:
            await wire.hear()
            await wire.say('{"type":"input_audio_buffer.clear"}'.ljust(1_000))
            assert (await wire.hear())["type"] == "input_audio_buffer.cleared"
            await wire.say('{"type":"input_audio_buffer.clear"}'.ljust(1_001))
            assert (await wire.end())[1] == 1009


async def test_fifteen_mib_of_audio_are_one_message(dial: Dial, append: Any) -> None:
    async with serve(voice=EchoVoice()) as gateway, dial(gateway) as wire:
        detection = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await wire.say({"type": "session.update", "session": detection})
        await wire.until("session.updated")
        await wire.say(append(bytes(15 * 2**20)))
        await wire.say({"type": "input_audio_buffer.clear"})
        assert (await wire.hear())["type"] == "input_audio_buffer.cleared"


async def flood(stream: anyio.abc.ByteStream, begun: bytes, frame: bytes) -> None:
    await stream.send(begun)
    for _ in range(10_000):  # a million frames
        await stream.send(frame * 100)


@pytest.mark.parametrize(
    ("begun", "frame"),
    [
        (b"", b"\x89\x80\0\0\0\0"),
        (b"\x01\x80\0\0\0\0", b"\0\x80\0\0\0\0"),
        (b"", b"\x8a\x80\0\0\0\0"),
    ],
    ids=["pings", "empty fragments", "pongs"],
)
async def test_a_flood_of_idle_frames_ends_its_own_session_alone(
    dial: Dial, begun: bytes, frame: bytes
) -> None:
    async with serve(voice=EchoVoice()) as gateway, dial(gateway) as other, dial(gateway) as wire:
        await wire.hear()
        with anyio.fail_after(20):
            with pytest.raises((anyio.BrokenResourceError, anyio.ClosedResourceError)):
                await flood(wire.transport._stream, begun, frame)
        assert (await other.hear())["type"] == "session.created"
        await other.say({"type": "input_audio_buffer.clear"})
        assert (await other.hear())["type"] == "input_audio_buffer.cleared"


@pytest.mark.parametrize(("codes", "code"), [("recorded", 1008), ("documented", 1008)])
async def test_a_silent_session_is_closed_as_documented(dial: Dial, codes: Any, code: int) -> None:
    limits = Limits(idle_seconds=0.2)
    async with serve(voice=EchoVoice(), limits=limits, close_codes=codes) as gateway:
        async with dial(gateway) as wire:
            await wire.hear()
            [event], closed, reason = await wire.end()

    assert event["error"]["code"] == "idle_timeout"
    assert event["request_id"].startswith("req_")
    assert (closed, reason) == (code, "idle_timeout")


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)
async def test_any_byte_is_life_and_silence_is_counted_from_the_last() -> None:
    class EndedError(Exception):
        pass

    class Session:
        def end(self, farewell: Farewell) -> None:
            raise EndedError(farewell.details.message)

    class Transport:
        last_byte_at = anyio.current_time()

    class House:
        def farewell(self, code: str, message: str) -> Farewell:
            return farewell(code, message, codes="documented")

    async def ping() -> None:
        for _ in range(10):
            await anyio.sleep(59)
            Transport.last_byte_at = anyio.current_time()

    began = anyio.current_time()
    with pytest.RaisesGroup(pytest.RaisesExc(EndedError, match="Nothing came for 60 seconds")):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ping)
            watched: Any = (House(), Session(), Transport())
            tasks.start_soon(_watch, *watched, Limits().idle_seconds)

    assert anyio.current_time() - began == pytest.approx(10 * 59 + 60)


async def test_silence_may_be_allowed(dial: Dial) -> None:
    limits = Limits(idle_seconds=None)
    async with serve(voice=EchoVoice(), limits=limits) as gateway, dial(gateway) as wire:
        await wire.hear()
        await anyio.wait_all_tasks_blocked()
        await wire.say({"type": "input_audio_buffer.clear"})
        assert (await wire.hear())["type"] == "input_audio_buffer.cleared"


async def test_one_key_has_so_many_sessions_at_a_time(dial: Dial) -> None:
    limits = Limits(sessions_per_owner=1)
    async with serve(voice=EchoVoice(), limits=limits) as gateway:
        async with dial(gateway, f"{TARGET}&api_key=rsk_a") as wire:
            await wire.hear()
            async with dial(gateway, f"{TARGET}&api_key=rsk_a") as second:
                [event], closed, reason = await second.end()
            async with dial(gateway, f"{TARGET}&api_key=rsk_b") as other:
                assert (await other.hear())["type"] == "session.created"
            await wire.transport.aclose()
            await all_of(wire.transport._stream)
        async with dial(gateway, f"{TARGET}&api_key=rsk_a") as again:
            assert (await again.hear())["type"] == "session.created"

    assert event["error"]["code"] == "concurrent_sessions_exceeded"
    assert (closed, reason) == (1008, "concurrent_sessions_exceeded")


async def test_a_session_has_so_many_tokens(dial: Dial, write: Any) -> None:
    limits = Limits(session_tokens=1)
    async with serve(voice=EchoVoice(), limits=limits) as gateway, dial(gateway) as wire:
        await wire.say(write("When does the train leave?"), {"type": "response.create"})
        events, closed, reason = await wire.end()

    assert [event["type"] for event in events[-2:]] == ["response.done", "error"]
    assert events[-1]["error"]["code"] == "session_token_cap_exceeded"
    assert (closed, reason) == (4402, "session_token_cap_exceeded")


@pytest.mark.parametrize("name", ["connections", "headers", "line_bytes", "message_bytes"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "7", None])
def test_a_count_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is a whole number above 0: not"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["connections_per_address", "sessions_per_owner"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "7"])
def test_a_count_that_may_be_missing_is_a_whole_number(name: str, value: Any) -> None:
    assert getattr(Limits(**{name: None}), name) is None
    with pytest.raises(ConfigurationError, match=f"{name} is a whole number above 0: not"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["header_seconds", "idle_seconds"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "7"])
def test_a_time_is_a_number_of_seconds(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is a time above 0, in seconds: not"):
        Limits(**{name: value})


async def test_limits_are_limits() -> None:
    with pytest.raises(ConfigurationError, match=r"limits is a Limits\(\.\.\.\): not 7"):
        async with serve(limits=7):  # type: ignore[arg-type]
            pytest.fail("it was opened")


async def test_clients_that_reset_before_they_are_served_are_no_bug(
    dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        for _ in range(20):  # none of them is taken yet: we give way to nobody in between
            with socket.create_connection(("127.0.0.1", port_of(gateway))) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with dial(gateway) as wire:  # it comes after them
            assert (await wire.hear())["type"] == "session.created"

    assert not [record for record in caplog.records if record.levelname == "ERROR"]


class _Told(logging.Handler):
    """Says once a record of this name has come."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.told = anyio.Event()
        self.times = 0
        self._wanted = name

    def emit(self, record: logging.LogRecord) -> None:
        if vars(record).get("meshrt_record") == self._wanted:
            self.times += 1
            self.told.set()


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limit")
async def test_a_want_of_file_descriptors_ends_no_gateway(dial: Dial) -> None:
    import resource

    logger, told = logging.getLogger("meshrt.gateway"), _Told("gateway.not_taken")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serve(voice=EchoVoice()) as gateway, dial(gateway) as wire:
        assert (await wire.hear())["type"] == "session.created"
        with socket.socket() as late:
            logger.addHandler(told)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                late.connect(("127.0.0.1", port_of(gateway)))
                await told.told.wait()
                await wire.say({"type": "input_audio_buffer.clear"})  # who is there is served
                assert (await wire.hear())["type"] == "input_audio_buffer.cleared"
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                logger.removeHandler(told)
            late.sendall(b"GET /v1/balance HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await anyio.wait_readable(late)
            assert late.recv(12) == b"HTTP/1.1 200"
    assert told.times == 1
