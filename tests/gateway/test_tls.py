"""TLS on one's own machine: who trusts the gateway speaks to it, and nobody else."""

import ssl
import sys
import tempfile
from pathlib import Path

import anyio
import anyio.abc
import httpx  # noqa: ASYNC127  a counterpart, as meshapi has it
import pytest
from anyio.streams.tls import TLSStream
from support import WAYS, CancelAt, at_each, has_way, nothing_left

from meshrt import ConnectError, MeshAPI
from meshrt.errors import ConfigurationError
from meshrt.events import ResponseDone
from meshrt.gateway import EchoVoice, Gateway, Limits, serve

pytestmark = pytest.mark.anyio

MODEL = "openai/gpt-realtime"
KEY = "rsk_right"


async def greeted(gateway: Gateway, context: ssl.SSLContext) -> None:
    client = MeshAPI(base_url=gateway.url, token=KEY, ssl_context=context)
    async with client.realtime.connect(model=MODEL) as session:
        await session.respond()
        async for message in session:
            if isinstance(message.event, ResponseDone):
                break


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_a_client_with_its_context_holds_a_session(host: str) -> None:
    async with nothing_left():
        async with serve(tls=True, host=host, voice=EchoVoice()) as gateway:
            assert gateway.url.startswith("https://")
            assert gateway.ssl_context is not None
            await greeted(gateway, gateway.ssl_context)


async def test_a_client_with_its_file_holds_a_session() -> None:
    async with serve(tls=True, voice=EchoVoice()) as gateway:
        assert gateway.ca_file is not None
        await greeted(gateway, ssl.create_default_context(cafile=gateway.ca_file))


async def test_the_file_goes_with_the_gateway() -> None:
    async with serve(tls=True, voice=EchoVoice()) as gateway:
        path = anyio.Path(str(gateway.ca_file))
        text = await path.read_text()
    assert "BEGIN CERTIFICATE" in text
    assert "PRIVATE KEY" not in text
    assert not await path.exists()


async def test_cancelled_at_any_moment_it_leaves_nothing(
    anyio_backend_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def open_and_close() -> None:
        async with serve(tls=True, voice=EchoVoice()) as gateway:
            assert gateway.ca_file is not None
            stream = await anyio.connect_tcp("127.0.0.1", int(gateway.url.rpartition(":")[2]))
            await stream.aclose()

    async def scene(cancel: CancelAt) -> None:
        await cancel(open_and_close)

    for way in WAYS:
        if has_way(way, anyio_backend_name):
            assert len(await at_each(way, scene)) > 2
            assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240  only looking


async def test_nobody_else_trusts_it() -> None:
    async with serve(tls=True, voice=EchoVoice()) as gateway:
        with pytest.raises(ConnectError, match="certificate"):
            await greeted(gateway, ssl.create_default_context())
        async with serve(tls=True, voice=EchoVoice()) as another:
            assert another.ssl_context is not None
            with pytest.raises(ConnectError, match="certificate"):
                await greeted(gateway, another.ssl_context)


async def test_the_calls_around_it_are_secret_too() -> None:
    async with serve(tls=True, voice=EchoVoice()) as gateway:
        assert gateway.ssl_context is not None
        async with httpx.AsyncClient(verify=gateway.ssl_context, trust_env=False) as client:
            assert (await client.get(f"{gateway.url}/v1/models")).status_code == 200


async def test_it_says_when_it_has_said_all() -> None:
    async with serve(tls=True, voice=EchoVoice()) as gateway:
        stream = await anyio.connect_tcp("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        async with stream:
            spoken = await TLSStream.wrap(
                stream, hostname="localhost", ssl_context=gateway.ssl_context
            )
            await spoken.send(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with pytest.raises(anyio.EndOfStream):  # and not merely hung up
                await read_on(spoken)


async def test_a_name_of_one_s_own_is_certified() -> None:
    hosts = ["dev.example:8765", "[::1]:9"]
    async with serve(tls=True, hosts=hosts, voice=EchoVoice()) as gateway:
        stream = await anyio.connect_tcp("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        async with stream:
            spoken = await TLSStream.wrap(
                stream, hostname="dev.example", ssl_context=gateway.ssl_context
            )
            await spoken.send(b"GET /v1/models HTTP/1.1\r\nHost: dev.example:8765\r\n\r\n")
            assert (await spoken.receive()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "sent", [b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", b"", b"\x16\x03\x01\x00\x01a"]
)
async def test_who_does_not_speak_it_is_let_go(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(tls=True, voice=EchoVoice()) as gateway:
        assert gateway.ssl_context is not None
        stream = await anyio.connect_tcp("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        async with stream:
            if sent:
                await stream.send(sent)
            await stream.send_eof()
            assert b"HTTP/" not in await all_of(stream)
        await greeted(gateway, gateway.ssl_context)

    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_handshake_that_takes_too_long_is_cut_off() -> None:
    limits = Limits(header_seconds=0.2)
    async with serve(tls=True, voice=EchoVoice(), limits=limits) as gateway:
        stream = await anyio.connect_tcp("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        async with stream:
            await stream.send(b"\x16\x03\x01")
            assert await all_of(stream) == b""


async def test_old_tls_is_refused() -> None:
    async with serve(tls=True, voice=EchoVoice()) as gateway:
        assert gateway.ca_file is not None
        context = ssl.create_default_context(cafile=gateway.ca_file)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ConnectError):
            await greeted(gateway, context)


async def test_without_its_extra_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ConfigurationError, match=r'pip install "meshrt\[gateway\]"'):
        async with serve(tls=True, voice=EchoVoice()):
            pytest.fail("it was opened")


async def test_a_plain_gateway_has_neither() -> None:
    async with serve(voice=EchoVoice()) as gateway:
        assert (gateway.ssl_context, gateway.ca_file) == (None, None)


async def read_on(stream: anyio.abc.ByteStream) -> None:
    while True:
        await stream.receive()


async def all_of(stream: anyio.abc.ByteStream) -> bytes:
    answer = b""
    try:
        while True:
            answer += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return answer
