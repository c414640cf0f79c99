"""The key by three ways into twelve failures, and out of none of them."""

import base64
import logging
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args
from urllib.parse import quote

import anyio
import anyio.lowlevel
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support import (
    RawConnection,
    created,
    error,
    forms_of,
    places_of,
    places_within,
    raw_server,
)

from meshrt import (
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    HandshakeRejected,
    MeshAPI,
    RealtimeSession,
    RemoteProtocolError,
)
from meshrt.client import Auth

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

KEY = "rsk_sentinel+k3y.0f~eleven"  # with a sign that a URL may not have as it is
ECHO = f"{KEY} {quote(KEY, safe='')} {base64.b64encode(KEY.encode()).decode()}"
MODEL = "openai/gpt-realtime-mini"

auths = pytest.mark.parametrize("auth", get_args(Auth))


def answer(status: str, header: str = "X-Request-Id") -> Callable[[RawConnection], None]:
    """Refuse, and repeat the key wherever a server could."""
    body = f'{{"error": {{"code": "{ECHO}", "message": "no {ECHO}"}}, "detail": "{ECHO}"}}'

    def script(connection: RawConnection) -> None:
        connection.read_request()
        head = f"HTTP/1.1 {status} {ECHO}\r\n{header}: {ECHO}\r\nContent-Length: {len(body)}"
        connection.write(f"{head}\r\n\r\n{body}".encode())

    return script


def wait(connection: RawConnection) -> None:
    connection.shake_hands()
    connection.read_all()


def greet(connection: RawConnection) -> None:
    connection.shake_hands()
    connection.say(created())
    connection.say(error(ECHO, code=ECHO, event_id=ECHO, request_id=ECHO, param=ECHO))


def speak_no_tls(connection: RawConnection) -> None:
    connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def reset(connection: RawConnection) -> None:
    greet(connection)
    connection.wait()
    connection.reset()


def close(connection: RawConnection) -> None:
    greet(connection)
    connection.say_close(1008, "policy")


def break_the_protocol(connection: RawConnection) -> None:
    greet(connection)
    connection.write(bytes([0x81, len(KEY)]) + KEY.encode())


def hold(connection: RawConnection) -> None:
    greet(connection)
    connection.serve()


# What the server does, how the client finds it, and what it raises.
FAILURES: dict[str, tuple[Callable[[RawConnection], None], str, type[BaseException]]] = {
    "refused": (wait, "nobody", ConnectError),
    "401": (answer("401"), "http", HandshakeRejected),
    "403": (answer("403"), "http", HandshakeRejected),
    "500": (answer("500"), "http", HandshakeRejected),
    "redirect": (answer("302", "Location"), "http", HandshakeRejected),
    "bad TLS": (speak_no_tls, "https", ConnectError),
    "bad URL": (wait, "pasted", ConfigurationError),
    "timeout": (wait, "http", ConnectTimeout),
    "reset": (reset, "http", ConnectionLost),
    "close": (close, "http", ConnectionLost),
    "cancel": (hold, "http", BaseException),
    "cancel before": (wait, "http", BaseException),
    "protocol error": (break_the_protocol, "http", RemoteProtocolError),
}


class Watched:
    """All that a program could see of a session that fails."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.sessions: list[RealtimeSession] = []
        self.raised: list[BaseException] = []
        self.warned: list[warnings.WarningMessage] = []

    @contextmanager
    def looking(self) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as self.warned:
            warnings.simplefilter("always")
            try:
                yield
            except BaseException as raised:  # noqa: ASYNC103  an exception is what is looked at
                self.raised.append(raised)
                if not isinstance(raised, Exception):
                    raise

    def places(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        found = [place for raised in self.raised for place in places_of(KEY, raised)]
        found += [place for session in self.sessions for place in places_within(KEY, session)]
        told = {f"warning {number}": str(each) for number, each in enumerate(self.warned)}
        for record in caplog.records:
            whole = f"{logging.Formatter().format(record)} {vars(record)}"
            told[f"log {record.name} {record.levelname} {record.msg}"] = whole
        for span in self.exporter.get_finished_spans():
            told[f"span {span.name}"] = span.to_json()
        found += [place for place, text in told.items() if shows_key(text)]
        return found


def shows_key(text: str) -> bool:
    return any(form in text for form in forms_of(KEY))


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("asyncio", "websockets", "websockets.client", "anyio", "meshrt", "trio"):
        caplog.set_level(logging.DEBUG, logger=name)


async def fail(failure: str, auth: Any, port: int, watched: Watched, server: Any) -> None:
    """Open a session that fails; the frames here are the tests', and may know the key."""
    _, where, _ = FAILURES[failure]
    scheme = "https" if where == "https" else "http"
    pasted = f"/?api_key={KEY}" if where == "pasted" else ""
    client = MeshAPI(
        base_url=f"{scheme}://127.0.0.1:{port}{pasted}",
        token=KEY,
        auth=auth,
        tracer_provider=watched.provider,
    )
    timeout = 0.3 if failure == "timeout" else 10
    connecting = client.realtime.connect(
        model=MODEL, connect_timeout=timeout, close_timeout=0.1, errors="deliver"
    )
    async with connecting as session:
        for _ in range(2):  # or what waits to be read has what the server repeated
            await session.receive()
        watched.sessions.append(session)
        server.let_go()
        async for _ in session:
            pass


@auths
@pytest.mark.parametrize("failure", FAILURES)
async def test_no_failure_shows_the_key(
    failure: str, auth: Any, caplog: pytest.LogCaptureFixture
) -> None:
    script, where, kind = FAILURES[failure]
    watched = Watched()
    with raw_server(script) as server:
        port = server.port
        if where != "nobody":
            await play(failure, auth, port, watched, server)
            asked = [one.request for one in server.connections]
            assert all(shows_key(request.decode()) for request in asked if b"HTTP" in request)
    if where == "nobody":
        await play(failure, auth, port, watched, server)

    (raised,) = watched.raised
    assert isinstance(raised, kind)
    assert watched.places(caplog) == []


async def play(failure: str, auth: Any, port: int, watched: Watched, server: Any) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            if failure.startswith("cancel"):
                tasks.start_soon(cancel_when_it_waits, failure, watched, server, scope)
            with watched.looking():
                await fail(failure, auth, port, watched, server)


async def cancel_when_it_waits(
    failure: str, watched: Watched, server: Any, scope: anyio.CancelScope
) -> None:
    connection = await server.connection()
    # Another thread does what is waited for.
    while not (b"\r\n\r\n" in connection.request if "before" in failure else watched.sessions):  # noqa: ASYNC110
        await anyio.lowlevel.checkpoint()
    scope.cancel()


def repeat(connection: RawConnection) -> None:
    connection.shake_hands()
    connection.say(created(id=f"sess {ECHO}", model=ECHO))
    connection.say({"type": f"new {ECHO}", "event_id": ECHO})
    connection.say(error(ECHO, code=ECHO, event_id=ECHO, request_id=ECHO, param=ECHO))
    connection.say_close(1008, ECHO)


async def test_a_server_that_repeats_it_everywhere_gets_it_into_no_log_span_or_sentence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched = Watched()
    with raw_server(repeat) as server, watched.looking():
        client = MeshAPI(
            base_url=f"http://127.0.0.1:{server.port}",
            token=KEY,
            tracer_provider=watched.provider,
        )
        async with client.realtime.connect(model=MODEL, errors="deliver") as session:
            async for _ in session:
                pass
    (raised,) = watched.raised
    assert isinstance(raised, ConnectionLost)
    assert not shows_key(f"{raised} {raised!r} {raised.reason} {session.closed}")
    # The session's own words are the user's data, and stay as they came.
    assert session.id == f"sess {ECHO}"
    watched.raised.clear()
    assert [record for record in caplog.records if record.name == "meshrt.events"]
    assert watched.exporter.get_finished_spans()
    assert watched.places(caplog) == []


@auths
async def test_a_session_that_goes_well_holds_no_key_but_in_its_box(
    auth: Any, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched()
    with raw_server(RawConnection.greet_and_serve) as server:
        base_url = f"http://127.0.0.1:{server.port}"
        client = MeshAPI(base_url=base_url, token=KEY, auth=auth, tracer_provider=watched.provider)
        with watched.looking():
            async with client.realtime.connect(model=MODEL) as session:
                assert places_within(KEY, session._connection) == []
                await session.send_audio(bytes(4800))
    assert watched.raised == []
    assert watched.places(caplog) == []
    assert places_within(KEY, client) == []


def test_what_shows_a_key_is_found() -> None:
    class Holder:
        pass

    holder = Holder()
    Holder.__module__ = "meshrt.made_up"
    for form in (KEY, quote(KEY, safe=""), f"x{base64.b64encode(b'u:' + KEY.encode()).decode()}"):
        holder.__dict__ = {"a": [{"b": (form,)}]}
        assert places_within(KEY, holder) != []
        assert places_of(KEY, ValueError(holder.__dict__)) != []


@pytest.mark.parametrize("where", ["same", "other"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_error_and_nobody_else_is_asked(where: str, status: int) -> None:
    with raw_server(wait) as other:

        def redirect(connection: RawConnection) -> None:
            connection.read_request()
            target = server.port if where == "same" else other.port
            location = f"http://127.0.0.1:{target}/v1/realtime?model=x"
            head = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0"
            connection.write(f"{head}\r\n\r\n".encode())

        with raw_server(redirect) as server:
            client = MeshAPI(base_url=f"http://127.0.0.1:{server.port}", token=KEY)
            with pytest.raises(HandshakeRejected, match="redirect") as caught:
                async with client.realtime.connect(model=MODEL):
                    pytest.fail("the body may not begin")
            await server.settled()
            assert len(server.connections) == 1
        await other.settled()
        assert other.connections == []
    assert caught.value.status == status


def test_there_is_no_switch_that_turns_off_whom_to_trust() -> None:
    context = MeshAPI(token=KEY)._context_for(MeshAPI(token=KEY)._endpoint({}))
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
