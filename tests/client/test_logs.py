# ruff: noqa: PT012  a session's block, all of it, is what raises
"""What meshrt logs: each record that the documentation lists, and no other."""

import errno
import logging
import re
import subprocess
import sys
import unicodedata
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.abc
import pytest
from support import (
    RawConnection,
    ScriptedServer,
    Wrapped,
    error,
    raw_server,
    response_created,
    response_done,
)

from meshrt import (
    ConnectError,
    ConnectionLost,
    HandshakeRejected,
    InternalError,
    MeshAPI,
    RemoteProtocolError,
    _journal,
)
from meshrt.gateway import EchoVoice, EspeakVoice, Heard, serve
from meshrt.gateway._accepting import accept_all
from meshrt.protocol import encode
from meshrt.session import Connecting
from meshrt.transports import Endpoint, connect_websocket

pytestmark = pytest.mark.anyio

MODEL = "openai/gpt-realtime-mini"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "logging.md"
ROW = re.compile(r"^\| `(\w+\.\w+)` \| `(meshrt\.\w+)` \| ([A-Z]+) \| (.*?) ?\| ", re.MULTILINE)
PREFIX = "meshrt_"


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="meshrt")


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("meshrt")]


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    named = {n.removeprefix(PREFIX): v for n, v in vars(record).items() if n.startswith(PREFIX)}
    return {name: value for name, value in named.items() if name != "record"}


def named(name: str, caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [fields_of(record) for record in ours(caplog) if record.meshrt_record == name]


@asynccontextmanager
async def listening(name: str, said: anyio.Event) -> AsyncGenerator[None]:
    """Set an event when a record is written."""

    def look(record: logging.LogRecord) -> bool:
        if record.meshrt_record == name:  # type: ignore[attr-defined]
            said.set()
        return True

    logger = logging.getLogger(f"meshrt.{name.partition('.')[0]}")
    logger.addFilter(look)
    yield
    logger.removeFilter(look)


def connect_to(base_url: str, **options: Any) -> Connecting:
    return MeshAPI(base_url=base_url, **options).realtime.connect(model=MODEL)


async def converse() -> None:
    async with serve(voice=EchoVoice()) as gateway, connect_to(gateway.url) as session:
        await session.respond()
        async for message in session:
            if message.event.type == "response.done":
                break


async def be_refused_by_an_event() -> None:
    async with serve(key="right") as gateway:
        with pytest.raises(HandshakeRejected):
            async with connect_to(gateway.url, token=MODEL):
                pytest.fail("the body may not begin")


async def be_refused_by_a_status() -> None:
    def refuse(connection: RawConnection) -> None:
        connection.read_request()
        body = b'{"error": {"code": "invalid_api_key", "message": "No."}, "request_id": "req_1"}'
        head = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: " + str(len(body)).encode()
        connection.write(head + b"\r\n\r\n" + body)

    with raw_server(refuse) as server, pytest.raises(HandshakeRejected):
        async with connect_to(f"http://127.0.0.1:{server.port}"):
            pytest.fail("the body may not begin")


async def find_nobody() -> None:
    with raw_server(lambda _: None) as server:
        port = server.port
    with pytest.raises(ConnectError):
        async with connect_to(f"http://127.0.0.1:{port}"):
            pytest.fail("the body may not begin")


async def leave_something_unsent() -> None:
    async with ScriptedServer() as server:
        with pytest.raises(KeyError):
            async with server.connect() as session:
                session.send_nowait({"type": "input_audio_buffer.clear"})
                raise KeyError


async def hear_no_error() -> None:
    async with ScriptedServer() as server, server.connect():
        await server.say(error("No.", code="bad", request_id="req_2"))
        await anyio.wait_all_tasks_blocked()


async def fail_in_a_handler() -> None:
    def fail(_: object) -> None:
        raise KeyError

    async with ScriptedServer() as server:
        async with server.connect(handler_errors="report") as session:
            session.on("message", fail)
            await server.say({"type": "x"})
            await anyio.wait_all_tasks_blocked()


async def meet_a_bug() -> None:
    class Buggy(Wrapped):
        async def receive(self) -> list[str | bytes]:
            received = await super().receive()
            if "session.created" not in str(received):
                raise ZeroDivisionError
            return received

    async with ScriptedServer() as server:
        server.client = Buggy(server.client)
        with pytest.raises(InternalError):
            async with server.connect() as session:
                await server.say({"type": "x"})
                await session.run()


async def break_the_rules() -> None:
    async with serve() as gateway:
        endpoint = Endpoint.parse(gateway.url, path="/v1/realtime", query={"model": MODEL})
        transport = await connect_websocket(endpoint)
        await transport.receive()
        await transport._stream.send(b"\xff\xff\xff\xff")
        with pytest.raises((anyio.EndOfStream, RemoteProtocolError)):
            while True:
                await transport.receive()
        await transport.abort()


async def be_a_strange_page() -> None:
    async with serve() as gateway:
        endpoint = Endpoint.parse(gateway.url)
        stream = await anyio.connect_tcp(endpoint.host, endpoint.port)
        async with stream:
            head = f"GET /v1/models HTTP/1.1\r\nHost: {endpoint.authority}\r\nOrigin: null\r\n\r\n"
            await stream.send(head.encode())
            assert b" 403 " in await stream.receive()


async def go_without_a_word() -> None:
    said = anyio.Event()
    async with serve(key="right") as gateway, listening("gateway.lost", said):
        endpoint = Endpoint.parse(gateway.url, path="/v1/realtime", query={"model": MODEL})
        transport = await connect_websocket(endpoint)
        await transport.receive()
        await transport.abort()
        await said.wait()


class Exhausted:
    async def accept(self) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")


async def find_no_file_descriptor() -> None:
    said, listener = anyio.Event(), cast("anyio.abc.SocketListener", Exhausted())
    async with anyio.create_task_group() as tasks, listening("gateway.not_taken", said):
        tasks.start_soon(accept_all, listener, pytest.fail, tasks)
        await said.wait()
        tasks.cancel_scope.cancel()


class Broken:
    async def reply(self, heard: Heard) -> str:
        raise ZeroDivisionError


async def have_a_broken_model() -> None:
    async with serve(model=Broken()) as gateway, connect_to(gateway.url) as session:
        await session.send({"type": "response.create"})
        async for message in session.listen("response.*", "error"):
            if message.event.type == "error":
                break


async def have_no_voice() -> None:
    await EspeakVoice(program="/nowhere/espeak").speak("Hello.", heard=b"")


SCENES: list[Callable[[], Awaitable[None]]] = [
    converse,
    be_refused_by_an_event,
    be_refused_by_a_status,
    find_nobody,
    leave_something_unsent,
    hear_no_error,
    fail_in_a_handler,
    meet_a_bug,
    break_the_rules,
    be_a_strange_page,
    find_no_file_descriptor,
    go_without_a_word,
    have_a_broken_model,
    have_no_voice,
]


async def test_the_page_lists_each_record_with_logger_level_and_fields_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for play in SCENES:
        await play()

    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    listed = {(*row[:3], frozenset(re.findall(r"`(\w+)`", row[3]))) for row in rows}
    written = {
        (record.meshrt_record, record.name, record.levelname, frozenset(fields_of(record)))
        for record in ours(caplog)
    }
    assert written == listed


async def test_a_session_in_which_nothing_goes_wrong_warns_of_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await converse()

    assert {record.levelname for record in ours(caplog)} == {"DEBUG", "INFO"}
    (began,), (ended,) = named("session.greeted", caplog), named("session.ended", caplog)
    assert (began["model"], ended["kind"], ended["initiator"]) == (MODEL, "ours", "client")
    assert (ended["code"], ended["reason"]) == (1000, "")
    ids = {named(name, caplog)[0]["session_id"] for name in ("gateway.accepted", "gateway.closed")}
    assert {began["session_id"], ended["session_id"]} == ids


async def test_each_event_has_a_line_and_what_is_in_it_has_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        receipt = await session.send(
            {"type": "response.create", "response": {"instructions": "whisper"}}
        )
        await session.send_audio(b"\0\0" * 2400)
        await server.heard(2)
        came = {"type": "response.output_text.delta", "event_id": "e_7", "delta": "whisper"}
        await server.say(came)
        await anyio.wait_all_tasks_blocked()

    out, sound = named("event.out", caplog)
    assert (out["type"], out["event_id"]) == ("response.create", receipt.event_id)
    assert sound["type"] == "input_audio_buffer.append"
    assert sound["bytes"] > 6400
    assert [(each["type"], each["event_id"]) for each in named("event.in", caplog)] == [
        ("session.created", "server_event_1"),
        ("response.output_text.delta", "e_7"),
    ]
    assert named("event.in", caplog)[1]["bytes"] == len(encode(came))
    for record in ours(caplog):
        assert "whisper" not in f"{record.getMessage()} {vars(record)}"
        assert "AAAA" not in f"{record.getMessage()} {vars(record)}"


async def test_a_response_that_waited_for_its_turn_is_logged_when_it_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        server.replies["response.create"] = lambda _: response_created(f"r{len(server.events)}")
        await session.respond()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.respond)
            await anyio.wait_all_tasks_blocked()
            assert len(named("event.out", caplog)) == 1
            await server.say(response_done("r1"))
        assert [each["type"] for each in named("event.out", caplog)] == ["response.create"] * 2


BAD = [
    "\n", "\r\n", "\r", "a\nINFO:root:forged", "\0", "\x07", "\x08\x08\x08", "\x7f", "\x85",
    "\x0b", "\x0c", "\t", "\x1b[2J", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\",
    "\x9b31m", "\x90q\x9c", "\x1bc", "\u202egpj.exe", "\u202a\u202b\u202c\u202d", "\u2066\u2069",
    "\u200e\u200f\u061c", "\u2028", "\u2029", "\u200b\u200c\u200d", "\ufeff", "\U000e0041",
    "%s%d%(type)s", "x" * 10_000,
]  # fmt: skip


def assert_harmless(caplog: pytest.LogCaptureFixture) -> None:
    records = ours(caplog)
    assert records
    for record in records:
        texts = [record.getMessage(), *map(str, fields_of(record).values())]
        for text in texts:
            assert text.isprintable(), (record.meshrt_record, text)
            assert not {unicodedata.category(char) for char in text} & {"Cc", "Cf", "Zl", "Zp"}
        assert all(len(str(value)) <= 200 for value in fields_of(record).values())
        assert logging.Formatter("%(message)s").format(record) == record.getMessage()


@pytest.mark.parametrize("bad", BAD, ids=ascii)
async def test_what_a_server_says_gives_no_orders_in_a_log(
    bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    greeting = {"type": "session.created", "event_id": bad, "session": {"id": bad, "model": bad}}
    async with ScriptedServer(greeting) as server:
        with pytest.raises(Exception, match="closed the session"):
            async with server.connect(errors="deliver") as session:
                await server.say({"type": bad, "event_id": bad})
                await server.say(error(bad, code=bad, event_id=bad, request_id=bad))
                await anyio.wait_all_tasks_blocked()
                session.send_nowait({"type": bad, "event_id": bad[:100]}, strict=False)
                await server.close(4000, bad[:120])
                await session.run()
    assert len(named("event.in", caplog)) == 3
    assert_harmless(caplog)


@pytest.mark.parametrize("bad", BAD, ids=ascii)
async def test_what_a_refusal_says_gives_no_orders_in_a_log(
    bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer(error(bad, code=bad, request_id=bad)) as server:
        with pytest.raises(HandshakeRejected):
            async with server.connect():
                pytest.fail("the body may not begin")
    assert named("session.refused", caplog)
    assert_harmless(caplog)


# The ends of lines end a header, and so can't be in it.
@pytest.mark.parametrize("bad", [bad for bad in BAD if not {"\r", "\n"} & {*bad}], ids=ascii)
@pytest.mark.parametrize("header", ["X-Request-Id", "Sec-WebSocket-Protocol", "Retry-After"])
@pytest.mark.parametrize("status", [b"101 x", b"401 x"])
async def test_what_a_header_says_gives_no_orders_in_a_log(
    bad: str, header: str, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(connection: RawConnection) -> None:
        connection.read_request()
        line = f"{header}: {bad}\r\n".encode()
        connection.write(b"HTTP/1.1 " + status + b"\r\n" + line + b"Content-Length: 0\r\n\r\n")

    with raw_server(answer) as server, pytest.raises(ConnectError):
        async with connect_to(f"http://127.0.0.1:{server.port}"):
            pytest.fail("the body may not begin")
    assert_harmless(caplog)


@pytest.mark.parametrize("bad", [bad for bad in BAD if len(bad) < 100], ids=ascii)
async def test_what_a_client_says_gives_no_orders_in_the_gateways_log(
    bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as gateway:
        endpoint = Endpoint.parse(gateway.url, path="/v1/realtime", query={"model": MODEL})
        transport = await connect_websocket(endpoint)
        await transport.send([encode({"type": bad, "event_id": bad})])
        await transport.aclose(4000, bad)
        with pytest.raises(anyio.EndOfStream):
            while True:
                await transport.receive()
        await transport.abort()
    assert named("gateway.closed", caplog)[0]["code"] == 4000
    assert_harmless(caplog)


def test_without_any_logging_set_up_warnings_reach_stderr_and_nothing_else_does() -> None:
    program = """
from meshrt._journal import Journal
Journal("meshrt.session").write(20, "a.b", "a beginning")
Journal("meshrt.session").write(30, "a.b", "%(count)d lost", count=3)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == "3 lost\n"


def test_where_nobody_listens_a_record_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def escape(_: str) -> str:
        raise AssertionError

    monkeypatch.setattr(_journal, "printable", escape)
    journal = _journal.Journal("meshrt.nobody")
    journal.logger.setLevel(logging.INFO)
    journal.write(logging.DEBUG, "a.b", "%(x)s", x="y")
    with pytest.raises(AssertionError):
        journal.write(logging.INFO, "a.b", "%(x)s", x="y")


class FailingHandler(logging.Handler):
    """Fail at each record, and count them."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.failed.add(record.meshrt_record)  # type: ignore[attr-defined]
        raise ZeroDivisionError


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.usefixtures("no_leaks")
async def test_a_handler_that_fails_at_each_record_disturbs_no_session(
    *, is_told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def greet_and_close(connection: RawConnection) -> None:
        connection.greet()
        connection.read()
        connection.say_close(4000, "enough")
        connection.read_all()

    failing = FailingHandler()
    monkeypatch.setattr(logging, "raiseExceptions", is_told)
    monkeypatch.setattr(logging.getLogger("meshrt"), "handlers", [failing])
    with raw_server(greet_and_close) as server:
        with pytest.raises(ConnectionLost, match="4000"):
            async with connect_to(f"http://127.0.0.1:{server.port}") as session:
                await session.send({"type": "input_audio_buffer.clear"})
                async for _ in session:
                    pass
        await server.settled()
    assert failing.failed == {
        "connection.opened", "session.greeted", "event.in", "event.out", "session.ended",
    }  # fmt: skip
    assert ("ZeroDivisionError" in capsys.readouterr().err) is is_told
