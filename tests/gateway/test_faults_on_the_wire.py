"""Each fault as a socket shows it: bytes, frames, and the connection's end."""

import json
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import attrs
import pytest
from support import client_frame

from meshrt.gateway import EchoVoice, Gateway, serve

pytestmark = pytest.mark.anyio

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
REQUEST = (
    b"GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
CREATE = client_frame(TEXT, b'{"type": "response.create"}')


@attrs.define
class Raw:
    """A client of a socket, and all that the server has said."""

    stream: anyio.abc.ByteStream
    data: bytes = b""
    head: bytes = b""

    def frames(self) -> tuple[list[tuple[int, bytes]], bytes]:
        """Return the whole frames so far, and the beginning of one that is not whole."""
        found, at, data = [], 0, self.data
        while len(data) - at >= 2:
            short, begin = data[at + 1] & 0x7F, at + 2
            size = {126: 2, 127: 8}.get(short, 0)
            length = int.from_bytes(data[begin : begin + size]) if size else short
            end = begin + size + length
            if end > len(data) or begin + size > len(data):
                break
            found.append((data[at] & 0x0F, data[begin + size : end]))
            at = end
        return found, data[at:]

    def types(self) -> list[str]:
        return [json.loads(payload)["type"] for code, payload in self.frames()[0] if code == TEXT]

    def close(self) -> tuple[int, str]:
        payload = next(payload for code, payload in self.frames()[0] if code == CLOSE)
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    async def until(self, found: Callable[[], Any]) -> None:
        while not found():
            self.data += await self.stream.receive()

    async def until_end(self) -> None:
        try:
            while True:
                self.data += await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return


@asynccontextmanager
async def raw(gateway: Gateway) -> AsyncGenerator[Raw]:
    port = int(gateway.url.rpartition(":")[2])
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        client = Raw(stream)
        await stream.send(REQUEST)
        await client.until(lambda: b"\r\n\r\n" in client.data)
        client.head, _, client.data = client.data.partition(b"\r\n\r\n")
        yield client


@asynccontextmanager
async def disturbed(*faults: str) -> AsyncGenerator[Raw]:
    """Ask for a response of a gateway on which something goes wrong."""
    async with serve(voice=EchoVoice(), faults=faults) as gateway, raw(gateway) as client:
        await client.stream.send(CREATE)
        yield client


@pytest.mark.parametrize("code", [1000, 1005, 1011, 4402, 0])
async def test_close_is_a_frame_with_the_code_and_nothing_after_it(code: int) -> None:
    async with disturbed(f'close {code} "enough" at response.created') as client:
        await client.until_end()

    frames, rest = client.frames()
    assert client.close() == (code, "enough")
    assert [kind for kind, _ in frames] == [TEXT, TEXT, CLOSE]
    assert client.types() == ["session.created", "response.created"]
    assert rest == b""


async def test_a_client_that_does_not_answer_the_close_is_cut_off() -> None:
    async with disturbed("close 1011") as client:
        await client.until_end()  # it never says CLOSE

    assert client.types() == []


@pytest.mark.parametrize("code", [1011, 1005])
async def test_a_client_that_answers_the_close_ends_the_connection(code: int) -> None:
    async with disturbed(f"close {code}") as client:
        await client.until(lambda: client.frames()[0])
        await client.stream.send(client_frame(CLOSE, struct.pack("!H", 1000)))
        await client.until_end()

    assert len(client.frames()[0]) == 1


async def test_end_is_an_error_and_then_the_documented_close() -> None:
    async with disturbed("end insufficient_quota at response.created") as client:
        await client.until_end()

    error = json.loads(client.frames()[0][-2][1])
    assert error["error"]["code"] == "insufficient_quota"
    assert error["request_id"].startswith("req_")
    assert client.close() == (4402, "insufficient_quota")


@pytest.mark.parametrize(("by", "types"), [("close", []), ("error", ["error"])])
async def test_an_expiry_is_1001_with_its_words(by: str, types: list[str]) -> None:
    async with disturbed(f"expire by {by} at session.created") as client:
        await client.until_end()

    code, reason = client.close()
    assert code == 1001
    assert "maximum duration" in reason
    assert client.types() == ["session.created", *types]


@pytest.mark.parametrize("words", ["drop", "expire by drop"])
async def test_a_drop_is_the_end_after_a_whole_frame(words: str) -> None:
    async with disturbed(f"{words} at response.created") as client:
        await client.until_end()

    frames, rest = client.frames()
    assert [kind for kind, _ in frames] == [TEXT, TEXT]
    assert rest == b""


@pytest.mark.parametrize("event", ["response.created", "session.created", "response.done"])
async def test_a_tear_is_the_end_within_the_event_s_frame(event: str) -> None:
    async with disturbed(f"tear at {event}") as client:
        await client.until_end()

    _, rest = client.frames()
    assert len(rest) > 50
    assert f'"{event}"'.encode() in rest[:60]
    assert event not in client.types()


@pytest.mark.parametrize("words", ["tear at response.create", "tear after 20 ms"])
async def test_a_tear_at_no_event_of_the_server_s_is_half_a_frame_too(words: str) -> None:
    async with disturbed(words) as client:
        await client.until_end()

    assert b"meshrt.torn" in client.frames()[1]


async def test_a_stall_is_silence_to_pings_too() -> None:
    async with disturbed("stall 200 ms at response.created") as client:
        await client.until(lambda: "response.created" in client.types())
        began, before = anyio.current_time(), len(client.frames()[0])
        await client.stream.send(client_frame(PING, b"?"))
        await client.until(lambda: len(client.frames()[0]) > before)
        assert anyio.current_time() - began > 0.1
        await client.until(lambda: (PONG, b"?") in client.frames()[0])


async def test_slow_takes_as_long_as_it_says() -> None:
    async with disturbed("slow 20000 at session.created") as client:
        await client.until(client.types)
        began, before = anyio.current_time(), len(client.data)
        await client.until(lambda: len(client.data) - before > 5000)
        # The first crumb, of a twentieth of a second's worth, may have come already.
        assert anyio.current_time() - began >= 4000 / 20_000


async def test_a_close_that_is_ignored_is_followed_by_nothing_and_the_connection_stays() -> None:
    async with disturbed("ignore close") as client:
        await client.until(lambda: "rate_limits.updated" in client.types())
        before = len(client.data)
        await client.stream.send(client_frame(CLOSE, struct.pack("!H", 1000)))
        with anyio.move_on_after(0.1) as waiting:
            client.data += await client.stream.receive()
        assert waiting.cancelled_caught
        assert len(client.data) == before


async def test_what_is_inserted_comes_to_the_letter() -> None:
    faults = (r'insert "{\"type\": \"é\"" at session.created', "malformed at session.created")
    async with disturbed(*faults, "unknown at session.created") as client:
        await client.until(lambda: len(client.frames()[0]) > 3)

    payloads = [payload for _, payload in client.frames()[0]]
    assert payloads[1].decode() == '{"type": "é"'
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(payloads[2])
    assert json.loads(payloads[3])["type"] == "meshrt.unknown"


async def test_oversized_has_the_size_that_it_says() -> None:
    async with disturbed("oversized 100000 at session.created") as client:
        await client.until(lambda: len(client.frames()[0]) > 1)

    assert len(client.frames()[0][1][1]) == 100_000


async def test_duplicate_is_the_same_frame_twice() -> None:
    async with disturbed("duplicate at response.created") as client:
        await client.until(lambda: "response.done" in client.types())

    frames = [frame for frame in client.frames()[0] if b'"response.created"' in frame[1]]
    assert len(frames) == 2
    assert frames[0] == frames[1]


async def test_lose_is_a_gap_and_delay_an_event_in_the_wrong_place() -> None:
    faults = ("lose at response.output_item.added", "delay 20 ms at response.created")
    async with disturbed(*faults) as client:
        await client.until(lambda: "response.created" in client.types())

    types = client.types()
    assert "response.output_item.added" not in types
    assert types.index("response.content_part.added") < types.index("response.created")


async def test_a_refusal_is_an_answer_to_the_letter() -> None:
    async with (
        serve(faults=['refuse 429 retry 7 "no, thanks"']) as gateway,
        raw(gateway) as client,
    ):
        await client.until_end()

    status, *fields = client.head.decode().split("\r\n")
    assert status == "HTTP/1.1 429 Too Many Requests"
    assert "Retry-After: 7" in fields
    assert "Content-Length: 10" in fields
    assert client.data == b"no, thanks"


async def test_a_refusal_has_the_documented_envelope_unless_told_otherwise() -> None:
    async with serve(faults=["refuse 599"]) as gateway, raw(gateway) as client:
        await client.until_end()

    assert client.head.startswith(b"HTTP/1.1 599 ")
    assert b"Retry-After" not in client.head
    body = json.loads(client.data)
    assert set(body) == {"error", "request_id"}
    assert set(body["error"]) == {"code", "message"}


async def test_without_faults_nothing_goes_wrong() -> None:
    async with disturbed() as client:
        await client.until(lambda: "rate_limits.updated" in client.types())
        await client.stream.send(client_frame(CLOSE, struct.pack("!H", 1000)))
        await client.until_end()

    assert client.close() == (1000, "")
    assert client.frames()[1] == b""


def fault_event(fault: str, **fields: str) -> bytes:
    return client_frame(
        TEXT, json.dumps({"type": "meshrt.fault", "fault": fault, **fields}).encode()
    )


async def test_faults_placed_in_one_write_are_answered_in_their_order() -> None:
    async with serve(control=True) as gateway, raw(gateway) as client:
        await client.until(client.types)
        await client.stream.send(fault_event("unknown") + fault_event("drop"))
        await client.until_end()

    placed = "meshrt.fault.placed"
    assert client.types() == ["session.created", placed, "meshrt.unknown", placed]


@pytest.mark.parametrize("faults", [[], ["stall 50 ms"], ["lose at response.done"]], ids=str)
async def test_the_greeting_comes_before_the_answers_to_whoever_is_in_a_hurry(
    faults: list[str],
) -> None:
    serving = serve(control=True, faults=faults)
    async with serving as gateway, raw(gateway) as client:
        hurried = [fault_event("clsoe"), fault_event("unknown"), fault_event("drop")]
        await client.stream.send(b"".join(hurried))
        await client.until_end()

    placed = "meshrt.fault.placed"
    assert client.types() == ["session.created", "error", placed, "meshrt.unknown", placed]


async def test_what_is_placed_before_the_greeting_meets_what_was_sent_with_it() -> None:
    serving = serve(control=True, voice=EchoVoice(), faults=["stall 50 ms"])
    async with serving as gateway, raw(gateway) as client:
        await client.stream.send(fault_event("drop at response.create") + CREATE)
        await client.until_end()

    assert client.types()[:2] == ["session.created", "meshrt.fault.placed"]
    assert "response.done" not in client.types()


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b'{"type": "meshrt.fault", "fault": %b}' % DEEP, id="deep-fault"),
        pytest.param(b'{"type": "response.create", "response": %b}' % DEEP, id="deep-event"),
        b'{"type": "meshrt.fault", "fault": "clsoe", "event_id": "\\ud800"}',
    ],
)
async def test_what_is_not_json_is_refused_where_faults_are_looked_for(message: bytes) -> None:
    faults = ["close 4000 at response.created"]
    async with serve(control=True, faults=faults) as gateway, raw(gateway) as client:
        await client.stream.send(client_frame(TEXT, message))
        await client.until(lambda: len(client.types()) > 1)
        error = json.loads(client.frames()[0][1][1])["error"]
        assert error["code"] == "invalid_json"
        await client.stream.send(fault_event("unknown"))  # the session goes on
        await client.until(lambda: "meshrt.unknown" in client.types())
