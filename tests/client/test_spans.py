# ruff: noqa: PT012  a session's block, all of it, is what raises
"""One OpenTelemetry span for a session, which ends once, whatever ends the session."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from support import RawConnection, ScriptedServer, error, raw_server, response_done

from meshrt import ConfigurationError, ConnectError, ConnectionLost, HandshakeRejected, MeshAPI
from meshrt.gateway import serve
from meshrt.session import Connecting, Tracing

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

MODEL = "openai/gpt-realtime-mini"


class Ends(SimpleSpanProcessor):
    """Count the ends, of which a span has one."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        super().__init__(exporter)
        self.begun = self.ended = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.begun += 1
        super().on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self.ended += 1
        super().on_end(span)


class Spans:
    """A provider, and the spans that it has seen the end of."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.processor = Ends(self.exporter)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)

    def connect(self, server: ScriptedServer, **options: Any) -> Connecting:
        return server.connect(tracing=Tracing(provider=self.provider, model="m"), **options)

    @property
    def only(self) -> ReadableSpan:
        assert self.processor.begun == self.processor.ended == 1
        (span,) = self.exporter.get_finished_spans()
        return span

    @property
    def outcome(self) -> tuple[StatusCode, Any]:
        return self.only.status.status_code, (self.only.attributes or {}).get("error.type")


@pytest.fixture
def spans(caplog: pytest.LogCaptureFixture) -> Iterator[Spans]:
    yield Spans()
    # Whoever uses a span after its end, or ends it twice, is only told in the log.
    told = [record for record in caplog.get_records("call") if "opentelemetry" in record.name]
    assert told == []


async def test_a_session_has_a_span_with_the_names_of_the_field(spans: Spans) -> None:
    async with serve() as gateway:
        client = MeshAPI(base_url=gateway.url, tracer_provider=spans.provider)
        async with client.realtime.connect(model=MODEL) as session:
            assert spans.exporter.get_finished_spans() == ()
            await session.send({"type": "response.create"})
        port = int(gateway.url.rpartition(":")[2])
    span = spans.only
    assert (span.name, span.kind) == (f"realtime_session {MODEL}", SpanKind.CLIENT)
    assert spans.outcome == (StatusCode.UNSET, None)
    assert span.attributes == {
        "gen_ai.operation.name": "realtime_session",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.realtime_session.id": session.id,
        "server.address": "127.0.0.1",
        "server.port": port,
        "meshrt.closed.initiator": "client",
        "meshrt.closed.code": 1000,
    }
    assert (span.events, span.status.description) == ((), None)
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "meshrt"


async def test_what_was_used_is_summed_up(spans: Spans) -> None:
    usage = {
        "total_tokens": 30,
        "input_tokens": 10,
        "output_tokens": 20,
        "input_token_details": {"audio_tokens": 7, "text_tokens": 3, "cached_tokens": 4},
        "output_token_details": {"audio_tokens": 15, "text_tokens": 5},
    }
    async with ScriptedServer() as server, spans.connect(server):
        for number in range(2):
            done = response_done(f"r{number}")
            done["response"]["usage"] = usage
            await server.say(done)
        await anyio.wait_all_tasks_blocked()
    counts = {
        name.removeprefix("gen_ai.usage."): value
        for name, value in (spans.only.attributes or {}).items()
        if name.startswith("gen_ai.usage.")
    }
    assert counts == {
        "input_tokens": 20,
        "output_tokens": 40,
        "audio.input_tokens": 14,
        "audio.output_tokens": 30,
        "cache_read.input_tokens": 8,
        "reasoning.output_tokens": 0,
    }


async def test_the_parent_is_the_span_that_is_current_as_the_block_is_entered(
    spans: Spans,
) -> None:
    tracer = spans.provider.get_tracer("test")
    async with ScriptedServer() as server:
        connecting = spans.connect(server)
        with tracer.start_as_current_span("outer") as outer:
            async with connecting:
                assert trace.get_current_span() is outer  # and not ours, in any task
                with tracer.start_as_current_span("inner"):
                    await anyio.lowlevel.checkpoint()
    seen = {span.name: span for span in spans.exporter.get_finished_spans()}
    mine = seen["realtime_session m"].parent
    assert mine is not None
    assert mine.span_id == outer.get_span_context().span_id
    assert seen["inner"].parent == mine


async def test_a_block_entered_in_one_task_and_left_in_another_ends_its_span(
    spans: Spans,
) -> None:
    tracer = spans.provider.get_tracer("test")
    async with ScriptedServer() as server:
        entered, left = anyio.Event(), anyio.Event()

        async def hold() -> None:
            async with spans.connect(server):
                entered.set()
                await left.wait()

        async with anyio.create_task_group() as tasks:
            with tracer.start_as_current_span("outer"):
                tasks.start_soon(hold)
                await entered.wait()
            assert not trace.get_current_span().is_recording()
            left.set()
    assert spans.processor.ended == spans.processor.begun == 2


async def test_an_exception_in_the_body_is_named_and_not_told(spans: Spans) -> None:
    async with ScriptedServer() as server:
        with pytest.raises(KeyError):
            async with spans.connect(server):
                raise KeyError("what somebody said")
    assert spans.outcome == (StatusCode.ERROR, "KeyError")
    assert "somebody" not in spans.only.to_json()


async def test_a_loss_is_a_failure_although_the_body_catches_it(spans: Spans) -> None:
    async with ScriptedServer() as server:
        async with spans.connect(server) as session:
            await server.vanish()
            with pytest.raises(ConnectionLost):
                await session.run()
    assert spans.outcome == (StatusCode.ERROR, "meshrt.transports.ConnectionLost")
    assert (spans.only.attributes or {})["meshrt.closed.initiator"] == "network"


async def test_a_loss_after_an_error_has_the_servers_code(spans: Spans) -> None:
    async with ScriptedServer() as server:
        with pytest.raises(ConnectionLost):
            async with spans.connect(server, errors="deliver") as session:
                await server.say_with_close(error("x", code="insufficient_quota"), code=4402)
                await session.run()
    assert spans.outcome == (StatusCode.ERROR, "insufficient_quota")


async def test_a_close_of_either_side_is_none(spans: Spans) -> None:
    async with ScriptedServer() as server, spans.connect(server) as session:
        await server.close(1000)
        async for _ in session:
            pass
    assert spans.outcome == (StatusCode.UNSET, None)
    assert (spans.only.attributes or {})["meshrt.closed.initiator"] == "server"


@pytest.mark.parametrize("greets", [True, False])
async def test_a_cancellation_is_none_and_says_so(spans: Spans, greets: bool) -> None:
    entered = anyio.Event()
    async with ScriptedServer(greets=greets) as server, anyio.create_task_group() as tasks:

        async def hold() -> None:
            async with spans.connect(server):
                entered.set()
                await anyio.sleep_forever()

        tasks.start_soon(hold)
        await anyio.wait_all_tasks_blocked()
        assert entered.is_set() is greets
        tasks.cancel_scope.cancel()
    assert spans.outcome == (StatusCode.UNSET, None)
    assert (spans.only.attributes or {})["meshrt.cancelled"] is True


def answer_401(connection: RawConnection) -> None:
    connection.read_request()
    connection.write(b"HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n")


def answer_402_with_a_code(connection: RawConnection) -> None:
    connection.read_request()
    body = b'{"error": {"code": "insufficient\\u0000quota", "message": "pay"}}'
    connection.write(b"HTTP/1.1 402 x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def say_an_error(connection: RawConnection) -> None:
    connection.shake_hands()
    connection.say(error("No.", code="invalid_api_key"))


@pytest.mark.parametrize(
    ("script", "raised", "named"),
    [
        (answer_401, HandshakeRejected, "401"),
        (answer_402_with_a_code, HandshakeRejected, "insufficient quota"),
        (say_an_error, HandshakeRejected, "invalid_api_key"),
        (RawConnection.close, ConnectError, "meshrt.transports.ConnectError"),
    ],
)
async def test_a_session_that_does_not_come_about_is_a_failure(
    spans: Spans, script: Callable[[RawConnection], None], raised: type[Exception], named: str
) -> None:
    with raw_server(script) as server, pytest.raises(raised):
        base_url = f"http://127.0.0.1:{server.port}"
        client = MeshAPI(base_url=base_url, tracer_provider=spans.provider)
        async with client.realtime.connect(model=MODEL):
            pytest.fail("the body may not begin")
    assert spans.outcome == (StatusCode.ERROR, named)


async def test_a_number_that_no_exporter_could_write_is_capped(spans: Spans) -> None:
    done = response_done()
    done["response"]["usage"] = {"total_tokens": 1, "input_tokens": 2**64 - 1, "output_tokens": 1}
    async with ScriptedServer() as server, spans.connect(server):
        await server.say(done)
        await anyio.wait_all_tasks_blocked()
    assert (spans.only.attributes or {})["gen_ai.usage.input_tokens"] == 2**63 - 1


async def test_a_servers_id_is_escaped_and_cut(spans: Spans) -> None:
    greeting = {"type": "session.created", "session": {"id": "a\x1b" + "b" * 300}}
    async with ScriptedServer(greeting) as server, spans.connect(server):
        pass
    shown = str((spans.only.attributes or {})["gen_ai.realtime_session.id"])
    assert shown.startswith(r"a\x1bb")
    assert len(shown) == 200


@pytest.mark.parametrize("provider", [7, "otel", TracerProvider, object()])
async def test_what_gives_no_tracer_is_refused(provider: Any) -> None:
    await anyio.lowlevel.checkpoint()
    with pytest.raises(ConfigurationError, match="TracerProvider"):
        MeshAPI(base_url="http://localhost", tracer_provider=provider)


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510
    return done.stderr or done.stdout


def test_nothing_is_loaded_unless_asked() -> None:
    program = """
import sys
from meshrt import MeshAPI
MeshAPI(base_url="http://localhost").realtime.connect(model="m")
print([name for name in sys.modules if "opentelemetry" in name])
"""
    assert run(program) == "[]\n"


def test_the_extra_is_named_where_it_is_missing() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
from meshrt import MeshAPI
class Provider:
    def get_tracer(self, name, version=None, /): ...
MeshAPI(base_url="http://localhost", tracer_provider=Provider())
"""
    assert 'not installed: pip install "meshrt[otel]"' in run(program)
