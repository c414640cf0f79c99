"""A session through a proxy, as a user opens it: over every combination of TLS, and cut short."""

import base64
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager

import anyio
import pytest
import trustme
from support import (
    CancelAt,
    ForwardProxy,
    ProxyConnection,
    ProxyScript,
    RawConnection,
    RawServer,
    Way,
    at_each,
    by_scope_at,
    forward_proxy,
    front,
    http_proxy,
    places_of,
    raw_server,
    socks_proxy,
)

from meshrt import ConfigurationError, ConnectTimeout, MeshAPI, ProxyError
from meshrt.gateway import serve
from meshrt.session import Connecting

KEY = "rsk_b7Q-sentinel.42"
USER, PASSWORD = "us3r-sentinel", "p4ss-sentinel.9"
SECRETS = (KEY, USER, PASSWORD, f"{USER}:{PASSWORD}")
MODEL = "openai/gpt-realtime-mini"
NAME = "mesh.example"  # which only a proxy can reach

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def serving(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, "localhost").configure_cert(context)
    return context


SCRIPTS: dict[str, ProxyScript] = {
    "http": http_proxy(f"{USER}:{PASSWORD}"),
    "https": http_proxy(f"{USER}:{PASSWORD}"),
    "socks5h": socks_proxy((USER, PASSWORD)),
}
schemes = pytest.mark.parametrize("scheme", SCRIPTS)


@contextmanager
def proxied(
    scheme: str, serving: ssl.SSLContext, *, script: ProxyScript | None = None
) -> Iterator[tuple[ForwardProxy, str]]:
    """Run a proxy; yield it with its URL, user and password included."""
    script = script or SCRIPTS[scheme]
    with forward_proxy(script, ssl=serving if scheme == "https" else None) as proxy:
        yield proxy, f"{scheme}://{USER}:{PASSWORD}@localhost:{proxy.port}"


@schemes
@pytest.mark.parametrize("is_secure", [False, True], ids=["ws", "wss"])
async def test_a_session_goes_through_and_the_proxy_hears_no_key(
    scheme: str, is_secure: bool, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(raw_server(RawConnection.greet_and_serve))
        door = stack.enter_context(forward_proxy(front(server.port), ssl=serving))
        proxy, url = stack.enter_context(proxied(scheme, serving))
        base_url = (
            f"https://{NAME}:{door.port}" if is_secure else f"http://localhost:{server.port}"
        )
        client = MeshAPI(base_url=base_url, token=KEY, ssl_context=trusting, proxy=url)
        async with client.realtime.connect(model="m", session={"type": "realtime"}) as session:
            await session.send({"type": "input_audio_buffer.clear"})
        heard = await (await server.connection()).heard()
        await proxy.settled()
    assert [b"session.update" in heard.messages[0].encode(), heard.close is not None] == [True] * 2
    assert KEY.encode() in server.connections[0].request
    assert KEY.encode() not in proxy.heard
    assert proxy.led_to == [base_url.rpartition("/")[2].replace(":", " ")]


@pytest.mark.parametrize("variable", ["wss_proxy", "HTTPS_PROXY", "all_proxy"])
async def test_the_environments_proxy_is_used_by_default(
    variable: str,
    trusting: ssl.SSLContext,
    serving: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(raw_server(RawConnection.greet_and_serve))
        door = stack.enter_context(forward_proxy(front(server.port), ssl=serving))
        proxy, url = stack.enter_context(proxied("http", serving))
        monkeypatch.setenv(variable, url)
        client = MeshAPI(base_url=f"https://{NAME}:{door.port}", token=KEY, ssl_context=trusting)
        async with client.realtime.connect(model="m"):
            pass
        await proxy.settled()
    assert proxy.led_to == [f"{NAME} {door.port}"]


async def test_the_local_gateway_is_reached_whatever_the_environment_says(
    free_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("wss", "ws", "https", "http", "all"):
        monkeypatch.setenv(f"{name}_proxy", f"http://127.0.0.1:{free_tcp_port}")
    async with serve() as gateway:
        async with MeshAPI(base_url=gateway.url).realtime.connect(model=MODEL) as session:
            assert session.closed is None


async def test_an_explicit_proxy_is_for_the_local_gateway_too(serving: ssl.SSLContext) -> None:
    async with serve() as gateway:
        with proxied("http", serving) as (proxy, url):
            client = MeshAPI(base_url=gateway.url, proxy=url)
            async with client.realtime.connect(model=MODEL) as session:
                await session.update({"type": "realtime", "instructions": "Be brief."})
            await proxy.settled()
            assert len(proxy.led_to) == 1


async def test_none_is_direct_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("all_proxy", "http://proxy.example:3128")
    assert "through http://proxy.example:3128" in repr(MeshAPI(token=KEY))
    assert "through" not in repr(MeshAPI(token=KEY, proxy=None))
    monkeypatch.setenv("no_proxy", "meshapi.ai")
    assert "through" not in repr(MeshAPI(token=KEY))


async def test_the_proxys_certificate_is_checked(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with proxied("https", serving) as (proxy, url):
        for address, context in ((url, None), (url.replace("localhost", "127.0.0.1"), trusting)):
            client = MeshAPI(base_url="http://localhost:9", proxy=address, ssl_context=context)
            with pytest.raises(ProxyError, match=r"the proxy.*not trusted") as caught:
                await enter(client.realtime.connect(model="m"))
            assert_hidden(caught.value)
        assert not proxy.heard


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://{USER}:{PASSWORD}@proxy.example",
        f"http://{USER}:{PASSWORD}@proxy.example:x",
        f"http://{USER}:{PASSWORD}%0a@proxy.example",
        f"http://{USER}:{PASSWORD}\r\n@proxy.example",
        7,
    ],
)
async def test_what_is_no_proxy_is_refused_before_anything_is_opened(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"proxy.*'environment'") as caught:
        MeshAPI(token=KEY, proxy=url)
    assert_hidden(caught.value)


async def test_another_mistake_does_not_show_the_proxy() -> None:
    url = f"http://{USER}:{PASSWORD}@proxy.example"
    for options in ({"token": "a b"}, {"token": KEY, "auth": "x"}, {"base_url": "ftp://x"}):
        with pytest.raises(ConfigurationError) as caught:
            MeshAPI(proxy=url, **options)  # type: ignore[arg-type]
        assert_hidden(caught.value)


# What the proxy says to us, byte by byte, and where it then stops.


def mute_after(*answers: bytes) -> ProxyScript:
    async def run(connection: ProxyConnection) -> None:
        for answer in answers:
            await connection.stream.receive()
            await connection.say(answer)
        await connection.stay_mute()

    return run


TUNNEL = b"HTTP/1.1 200 OK\r\n\r\n"
MUTE = {
    "TLS to the proxy": ("https", mute_after()),
    "CONNECT": ("http", mute_after()),
    "the middle of its answer": ("http", mute_after(b"HTTP/1.1 407 No\r\n")),
    "SOCKS' methods": ("socks5h", mute_after()),
    "SOCKS' sign-in": ("socks5h", mute_after(b"\x05\x02")),
    "SOCKS' connect": ("socks5h", mute_after(b"\x05\x02", b"\x01\x00")),
    "SOCKS' address": ("socks5h", mute_after(b"\x05\x02", b"\x01\x00", b"\x05\x00\x00")),
    "TLS to the server": ("http", mute_after(TUNNEL)),
}


async def test_a_password_that_is_too_short_to_be_searched_for_is_not_repeated_either() -> None:
    with forward_proxy(repeat) as proxy:
        url = f"http://u5:p4ss@localhost:{proxy.port}"
        client = MeshAPI(base_url=f"https://{NAME}", token=KEY, proxy=url)
        with pytest.raises(ProxyError) as caught:
            await enter(client.realtime.connect(model="m"))
        await proxy.settled()
    for text in (str(caught.value), repr(caught.value), repr(vars(caught.value))):
        assert "u5" not in text
        assert "p4ss" not in text


async def enter(connecting: Connecting) -> None:
    async with connecting:
        pytest.fail("the body may not begin")


def assert_hidden(error: BaseException) -> None:
    for secret in SECRETS:
        assert places_of(secret, error) == []


@pytest.mark.parametrize("phase", MUTE)
async def test_a_proxy_that_is_mute_at_any_moment_costs_the_connect_timeout(
    phase: str, trusting: ssl.SSLContext
) -> None:
    scheme, script = MUTE[phase]
    with forward_proxy(script) as proxy:
        url = f"{scheme}://{USER}:{PASSWORD}@localhost:{proxy.port}"
        client = MeshAPI(base_url=f"https://{NAME}", token=KEY, proxy=url, ssl_context=trusting)
        with anyio.fail_after(3), pytest.raises(ConnectTimeout, match=r"0\.3") as caught:
            await enter(client.realtime.connect(model="m", connect_timeout=0.3))
        assert_hidden(caught.value)
        await proxy.settled()


@pytest.mark.parametrize(
    "script",
    [RawConnection.wait, RawConnection.read_request, RawConnection.shake_hands],
    ids=["from the start", "after the request", "after the handshake"],
)
async def test_a_server_that_is_mute_behind_a_proxy_costs_the_connect_timeout(
    script: Callable[[RawConnection], None], serving: ssl.SSLContext
) -> None:
    with raw_server(script) as server, proxied("http", serving) as (proxy, url):
        client = MeshAPI(base_url=f"http://localhost:{server.port}", token=KEY, proxy=url)
        with anyio.fail_after(3), pytest.raises(ConnectTimeout) as caught:
            await enter(client.realtime.connect(model="m", connect_timeout=0.3))
        assert_hidden(caught.value)
        server.let_go()
        await proxy.settled()


async def repeat(connection: ProxyConnection) -> None:
    """Refuse, and repeat what was asked and all that there is in it, wherever there is room."""
    asked = (await connection.read_head()).encode()
    basic = asked.partition(b"Basic ")[2].partition(b"\r\n")[0]
    said = basic + b" " + base64.b64decode(basic)
    await connection.say(
        b"HTTP/1.1 407 " + said + b"\r\nProxy-Authenticate: Basic realm=" + said
        + b"\r\nX-Request-Id: " + said + b"\r\n\r\n" + asked + said
    )  # fmt: skip


async def babble(connection: ProxyConnection) -> None:
    asked = await connection.read_head()
    await connection.say(asked.encode())


async def overdo(connection: ProxyConnection) -> None:
    asked = await connection.read_head()
    await connection.say(TUNNEL + asked.encode())


async def hang_up(connection: ProxyConnection) -> None:
    await connection.read(1)


async def refuse_socks(connection: ProxyConnection) -> None:
    await connection.stream.receive()
    await connection.say(b"\x05\x02")
    await connection.say(b"\x01" + (await connection.stream.receive())[1:])


@pytest.mark.parametrize(
    ("scheme", "script"),
    [
        ("http", repeat),
        ("https", repeat),
        ("http", babble),
        ("http", overdo),
        ("http", hang_up),
        ("https", hang_up),
        ("http", http_proxy("somebody:else")),
        ("socks5h", refuse_socks),
        ("socks5h", hang_up),
        ("socks5h", socks_proxy(("somebody", "else"))),
    ],
)
async def test_no_failure_shows_the_key_or_the_password(
    scheme: str,
    script: ProxyScript,
    serving: ssl.SSLContext,
    trusting: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with proxied(scheme, serving, script=script) as (proxy, url):
        client = MeshAPI(base_url=f"https://{NAME}", token=KEY, proxy=url, ssl_context=trusting)
        with pytest.raises(ProxyError) as caught:
            await enter(client.realtime.connect(model="m"))
        await proxy.settled()
    assert_hidden(caught.value)
    told = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    things = [repr(client), str(client), repr(vars(client))]
    assert not [text for text in [*told, *things] for secret in SECRETS if secret in text]


@pytest.mark.parametrize("phase", MUTE)
async def test_a_cancellation_does_not_show_the_password(
    phase: str, trusting: ssl.SSLContext
) -> None:
    scheme, script = MUTE[phase]
    seen: list[BaseException] = []
    with forward_proxy(script) as proxy:
        url = f"{scheme}://{USER}:{PASSWORD}@localhost:{proxy.port}"
        client = MeshAPI(base_url=f"https://{NAME}", token=KEY, proxy=url, ssl_context=trusting)
        with anyio.move_on_after(0.05):
            try:
                await enter(client.realtime.connect(model="m"))
            except anyio.get_cancelled_exc_class() as cancelled:
                seen.append(cancelled)
                raise
        await proxy.settled()
    assert_hidden(seen.pop())


async def cancel_at_each_moment(
    way: Way, client: MeshAPI, *settled: Callable[[], Awaitable[None]]
) -> None:
    async def live() -> None:
        async with client.realtime.connect(model="m"):
            pass

    async def scene(cancel: CancelAt) -> None:
        await cancel(live)
        for settle in settled:
            await settle()

    outcomes = await at_each(way, scene)
    assert [outcome.error for outcome in outcomes if outcome.error is not None] == []
    # A scope that is cancelled once the close has begun has nothing to cancel any more.
    assert way is by_scope_at or all(outcome.cancelled for outcome in outcomes[:-1])
    assert sum(outcome.cancelled for outcome in outcomes) > 6


@schemes
async def test_cancelled_at_each_moment_nothing_is_left(
    scheme: str, way: Way, serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    server: RawServer
    with raw_server(RawConnection.greet_and_serve) as server:
        with proxied(scheme, serving) as (proxy, url):
            base_url = f"http://localhost:{server.port}"
            client = MeshAPI(base_url=base_url, proxy=url, ssl_context=trusting)
            await cancel_at_each_moment(way, client, proxy.settled, server.settled)


async def test_cancelled_at_each_moment_of_tls_within_tls_nothing_is_left(
    way: Way, serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(raw_server(RawConnection.greet_and_serve))
        door = stack.enter_context(forward_proxy(front(server.port), ssl=serving))
        proxy, url = stack.enter_context(proxied("https", serving))
        client = MeshAPI(
            base_url=f"https://{NAME}:{door.port}", token=KEY, proxy=url, ssl_context=trusting
        )
        await cancel_at_each_moment(way, client, proxy.settled, door.settled, server.settled)
