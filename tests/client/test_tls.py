# ruff: noqa: PT012  a session's block, all of it, is what raises
"""TLS that is wrong, each in its way, over real sockets; and whom one client trusts."""

import datetime as dt
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import anyio
import pytest
import trustme
from support import RawConnection, created, raw_server, text_frame, websockets_server
from websockets.asyncio.server import ServerConnection

from meshrt import ConnectError, ConnectionLost, MeshAPI, ProxyError, transports

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

MODEL = "openai/gpt-realtime-mini"
KEY = "rsk_b7Q-sentinel.42"
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@contextmanager
def tls_server(
    context: ssl.SSLContext, script: Callable[[RawConnection], None] = RawConnection.greet
) -> Iterator[int]:
    """Serve with TLS; whoever does not like it goes, and that is no failure of the server's."""

    def wrapped(connection: RawConnection) -> None:
        with suppress(OSError):
            connection._socket = context.wrap_socket(connection._socket, server_side=True)
            script(connection)

    with raw_server(wrapped) as server:
        yield server.port


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def expired(authority: trustme.CA) -> ssl.SSLContext:
    return serving(authority.issue_cert("localhost", not_after=YESTERDAY))


def wrong_host(authority: trustme.CA) -> ssl.SSLContext:
    return serving(authority.issue_cert("example.org"))


def self_signed(_: trustme.CA) -> ssl.SSLContext:
    return serving(trustme.CA().issue_cert("localhost"))


def only_tls_1_1(authority: trustme.CA) -> ssl.SSLContext:
    context = serving(authority.issue_cert("localhost"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (expired, "not trusted: certificate has expired"),
        (wrong_host, "not trusted: Hostname mismatch"),
        (self_signed, "not trusted: .*(self.signed|unable to get local issuer)"),
        (only_tls_1_1, "no TLS connection .*(VERSION|PROTOCOL|hung up)"),
    ],
)
async def test_a_server_that_is_not_to_be_trusted_is_not(
    make: Callable[[trustme.CA], ssl.SSLContext],
    said: str,
    authority: trustme.CA,
    trusting: ssl.SSLContext,
) -> None:
    with tls_server(make(authority)) as port, pytest.raises(ConnectError, match=said) as caught:
        await open_session(f"https://localhost:{port}", trusting)
    assert type(caught.value) is ConnectError


async def open_session(
    base_url: str, trusting: ssl.SSLContext | None, proxy: str | None = None
) -> None:
    client = MeshAPI(base_url=base_url, token=KEY, ssl_context=trusting, proxy=proxy)
    async with client.realtime.connect(model=MODEL, connect_timeout=5):
        pytest.fail("the body may not begin")


async def test_tls_to_a_port_that_speaks_none_says_so(trusting: ssl.SSLContext) -> None:
    def speak_plainly(connection: RawConnection) -> None:
        connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw_server(speak_plainly) as server:
        with pytest.raises(ConnectError, match="does this port speak TLS"):
            await open_session(f"wss://localhost:{server.port}", trusting)


async def test_no_tls_to_a_port_that_speaks_it_says_so(authority: trustme.CA) -> None:
    with tls_server(serving(authority.issue_cert("localhost"))) as port:
        with pytest.raises(
            ConnectError, match=r"(closed|broke) the connection|answer is not HTTP"
        ):
            await open_session(f"ws://localhost:{port}", None)


@pytest.mark.parametrize("proxied", [False, True], ids=["server", "proxy"])
async def test_a_server_that_asks_for_a_certificate_of_ours_says_so(
    authority: trustme.CA, trusting: ssl.SSLContext, *, proxied: bool
) -> None:
    demanding = serving(authority.issue_cert("localhost"))
    authority.configure_trust(demanding)
    demanding.verify_mode = ssl.CERT_REQUIRED

    def demand(connection: RawConnection) -> None:
        wrapped = demanding.wrap_socket(
            connection._socket, server_side=True, do_handshake_on_connect=False
        )
        with suppress(ssl.SSLError):
            wrapped.do_handshake()
        # It is read on: closing what has something unread in it resets, which overtakes the alert.
        connection._socket = socket.socket(fileno=wrapped.detach())
        connection.be_patient(5)

    with raw_server(demand) as server:
        url = f"https://localhost:{server.port}"
        way = ("https://mesh.example", trusting, url) if proxied else (url, trusting)
        # TLS 1.3 lets the client think that all is well until it reads.
        with pytest.raises(ConnectError, match="CERTIFICATE_REQUIRED") as caught:
            await open_session(*way)
    assert isinstance(caught.value, ProxyError) is proxied


async def test_an_end_without_tls_farewell_is_a_loss_after_what_came(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    def greet_and_drop(connection: RawConnection) -> None:
        connection.greet()
        connection.write(text_frame({"type": "last"}))
        # Without TLS being told.
        with socket.socket(fileno=connection._socket.detach()) as plain:
            plain.shutdown(socket.SHUT_WR)
            plain.recv(65536)

    heard = []
    with tls_server(serving(authority.issue_cert("localhost")), greet_and_drop) as port:
        client = MeshAPI(base_url=f"https://localhost:{port}", token=KEY, ssl_context=trusting)
        with pytest.raises(ConnectionLost) as caught:
            async with client.realtime.connect(model=MODEL) as session:
                async for message in session:
                    heard.append(message.event.type)  # noqa: PERF401  it ends with an error
    assert heard == ["session.created", "last"]
    assert caught.value.code is None


async def test_a_hundred_sessions_at_once_share_one_context(
    authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[ssl.SSLContext] = []

    def build() -> ssl.SSLContext:
        built.append(trusting)
        return trusting

    monkeypatch.setattr(transports, "default_ssl_context", build)
    server = serving(authority.issue_cert("localhost"))

    async def greet(connection: ServerConnection) -> None:
        await connection.send(json.dumps(created()))
        await connection.wait_closed()

    with websockets_server(greet, ssl=server) as port:
        client = MeshAPI(base_url=f"https://localhost:{port}", token=KEY)
        assert built == []
        greeted: list[str | None] = []

        async def hold() -> None:
            async with client.realtime.connect(model=MODEL, connect_timeout=25) as session:
                greeted.append(session.id)

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(hold)
    assert len(greeted) == 100
    assert len(built) == 1


def test_importing_and_asking_builds_no_context() -> None:
    program = """
import ssl
built = []
create = ssl.create_default_context
ssl.create_default_context = lambda *a, **k: built.append(1) or create(*a, **k)
import meshrt, meshrt.client, meshrt.transports
client = meshrt.MeshAPI(base_url="https://localhost:1", token="rsk_12345678")
client.realtime.connect(model="m")
print(len(built))
for _ in range(2):
    client._context_for(client._endpoint({}))
print(len(built))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "1"]
