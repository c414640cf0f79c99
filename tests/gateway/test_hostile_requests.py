"""Requests that mean no good: nothing is served that is not there, nothing is taken as told."""

import json
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

import anyio
import pytest

from meshrt.gateway import EchoVoice, Limits, serve

pytestmark = pytest.mark.anyio

Ask = Callable[..., Any]
Dial = Callable[..., AbstractAsyncContextManager[Any]]

UPGRADE = (
    b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

UPS = (
    "..", ".", "%2e%2e", "%2E%2E", "..%2f", "%2e%2e%2f", "..%5c", "..\\", "....//", "%252e%252e",
    "..;", "..%00", "%c0%ae%c0%ae", "%uff0e%uff0e", ".%2e", "..%c0%af", "..%09", "~", "//",
    "..%23",
)  # fmt: skip
PLACES = ("/{}/etc/passwd", "/v1/models/{}/{}/{}/etc/passwd", "/v1/{}/v1/balance")
TRAVERSALS = [place.replace("{}", up) for place in PLACES for up in UPS]

SIGNS = {
    "ansi_colour": "\x1b[31mred\x1b[0m", "ansi_clear": "\x1b[2J", "ansi_title": "\x1b]0;t\x07",
    "csi": "\x9b31m", "crlf": "a\r\nINFO forged", "cr": "a\rforged", "lf": "a\nforged",
    "nul": "a\0b", "bell": "\x07", "backspace": "a\x08\x08", "delete": "\x7f", "tab": "a\tb",
    "vertical_tab": "\x0b", "form_feed": "\x0c", "next_line": "\x85forged",
    "line_separator": "\u2028forged", "paragraph_separator": "\u2029forged",
    "bidi_override": "\u202etxt.exe", "bidi_isolate": "\u2066x\u2069", "zero_width": "a\u200bb",
    "byte_order_mark": "\ufeff", "shift_out": "\x0e", "escape_alone": "\x1b",
    "device_control": "\x1bP+q\x1b\\", "long": "x" * 5_000, "long_escaped": "\u202e" * 900,
    "format": "%s%n%d", "braces": "{0.__class__}", "json": '"},{"level":"CRITICAL"',
    "soft_hyphen": "a\xadb",
}  # fmt: skip


def head_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[0]


def test_there_are_as_many_as_promised() -> None:
    assert len(set(TRAVERSALS)) == 60
    assert len(SIGNS) == 30


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_no_path_leads_out(ask: Ask, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, request)

    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), answer
    assert b"root:" not in answer
    assert b"balance_usd" not in answer


@pytest.mark.parametrize("signs", SIGNS.values(), ids=SIGNS)
async def test_nothing_of_a_stranger_s_commands_a_terminal(
    ask: Ask, signs: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wire = signs.encode("latin-1", "replace").decode("latin-1")
    places = [
        f"GET /v1/realtime?model={quote(signs)} HTTP/1.1\r\n".encode() + UPGRADE,
        f"GET /v1/{quote(signs)} HTTP/1.1\r\nHost: localhost\r\n".encode(),
        f"GET /v1/{wire} HTTP/1.1\r\nHost: localhost\r\n".encode("latin-1"),
        f"GET /v1/models HTTP/1.1\r\nHost: {wire}\r\n".encode("latin-1"),
        f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nOrigin: {wire}\r\n".encode("latin-1"),
        f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {wire}\r\n".encode("latin-1"),
        b"GET /v1/realtime HTTP/1.1\r\n" + UPGRADE + b"Sec-WebSocket-Protocol: "
        + wire.encode("latin-1") + b"\r\n",
    ]  # fmt: skip
    async with serve(voice=EchoVoice()) as gateway:
        answers = [await ask(gateway, place + b"\r\n", hang_up=True) for place in places]

    assert all(answer.startswith(b"HTTP/1.1 ") for answer in answers)
    ours = [record for record in caplog.records if record.name.startswith("meshrt")]
    assert len(ours) >= 3
    for record in ours:
        said = [
            record.getMessage(),
            *(str(v) for k, v in vars(record).items() if k[:7] == "meshrt_"),
        ]
        for text in said:
            assert text.isprintable(), ascii(text)
            assert len(text) < 320


CHUNKED = b"Transfer-Encoding: chunked\r\n"
USAGE = b"POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v1/realtime HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 5\r\n\r\nhello", 400),
        (b"GET /v1/realtime HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 0\r\n\r\n", 400),
        (
            b"GET /v1/realtime HTTP/1.1\r\n" + UPGRADE + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n",
            400,
        ),
        (USAGE + CHUNKED + b"\r\n0\r\n\r\nGET /v1/balance HTTP/1.1\r\n\r\n", 400),
        (USAGE + b"Content-Length: 3\r\n\r\n{}", 400),
        (
            b"POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n{}",
            501,
        ),
        (b"POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/usage HTTP/1.1\r\nHost : localhost\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 200),
        (b"GET /v1/realtime HTTP/1.0\r\n" + UPGRADE + b"\r\n", 400),
        (b"GET /v1/realtime HTTP/2.0\r\n" + UPGRADE + b"\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET //evil.example/v1/realtime HTTP/1.1\r\n" + UPGRADE + b"\r\n", 404),
        (b"GET http://localhost/v1/realtime HTTP/1.1\r\n" + UPGRADE + b"\r\n", 400),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"TRACE /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"DELETE /v1/models/gpt-realtime HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"get /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"OPTIONS /v1/usage HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ],
)
async def test_a_request_of_two_meanings_has_none(ask: Ask, request_: bytes, status: int) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, request_)

    assert head_of(answer).startswith(b"HTTP/1.1 %d " % status), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"balance_usd" not in answer


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW", "POST"])
async def test_another_method_does_not_open_a_websocket(ask: Ask, method: str) -> None:
    request = f"{method} /v1/realtime HTTP/1.1\r\n".encode() + UPGRADE + b"\r\n"
    async with serve(voice=EchoVoice()) as gateway:
        assert (await ask(gateway, request)).startswith(b"HTTP/1.1 426 ")


async def test_no_second_request_is_read_of_a_connection(ask: Ask) -> None:
    request = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, request * 3)

    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("path", ["/v1/models", "/v1/realtime", "/v1/nothing"])
async def test_an_answer_is_neither_kept_nor_taken_for_something_else(ask: Ask, path: str) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        keyless = UPGRADE.partition(b"Sec-WebSocket-Key")[0]
        refused = await ask(gateway, b"GET /v1/realtime HTTP/1.1\r\n" + keyless + b"\r\n")

    for head in (head_of(answer), head_of(refused)):
        assert b"Cache-Control: no-store" in head
        assert b"X-Content-Type-Options: nosniff" in head
    assert b"Content-Type: application/json" in answer
    assert b"\r\nDate: " in answer


LINE = 8 * 1024


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v1/nothing?" + b"a" * (LINE - 12) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /v1/nothing?" + b"a" * LINE + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /" + b"a" * 2 * LINE, 414),
        (b"a" * 2 * LINE, 414),
        (
            b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nX: "
            + b"a" * (LINE - 1)
            + b"\r\n\r\n",
            404,
        ),
        (
            b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * LINE + b"\r\n\r\n",
            431,
        ),
        (b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2 * LINE, 431),
        (
            b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 63 + b"\r\n",
            404,
        ),
        (
            b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 64 + b"\r\n",
            431,
        ),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + (b"X: " + b"a" * 4_000 + b"\r\n") * 9, 431),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\n"
            + (b"X: " + b"a" * 6_600 + b"\r\n") * 5
            + b"\r\n",
            431,
        ),
        (
            b"POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n{}"
            + b" " * 65_534,
            200,
        ),
        (
            b"POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n"
            + b" " * 65_537,
            413,
        ),
    ],
    ids=range(13),
)
async def test_a_limit_holds_to_the_byte(ask: Ask, request_: bytes, status: int) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, request_)

    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:100]


@pytest.mark.parametrize(
    ("limits", "request_", "status"),
    [
        (Limits(headers=1), b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n\r\n", 431),
        (Limits(headers=2), b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n\r\n", 404),
        (Limits(line_bytes=20), b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 20), 414),
        (Limits(line_bytes=21), b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 20), 404),
    ],
)
async def test_a_limit_can_be_another(
    ask: Ask, limits: Limits, request_: bytes, status: int
) -> None:
    async with serve(voice=EchoVoice(), limits=limits) as gateway:
        assert (await ask(gateway, request_)).startswith(b"HTTP/1.1 %d " % status)


async def test_a_request_may_come_byte_by_byte(ask: Ask, dial: Dial) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        port = int(gateway.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            for sign in b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n":
                await stream.send(bytes([sign]))
            answer = await stream.receive()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])[0]["supports_realtime"] is True


async def test_headers_without_end_are_cut_off(ask: Ask) -> None:
    async def send_on(stream: Any) -> None:
        try:
            while True:
                await stream.send(b"X: a\r\n" * 100)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async with serve(voice=EchoVoice()) as gateway:
        port = int(gateway.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n")
            await send_on(stream)
