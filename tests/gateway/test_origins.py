"""Which pages get in, and under which names: nobody's page is let in that is not on the list."""

import json
import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlsplit

import pytest

from meshrt.errors import ConfigurationError
from meshrt.gateway import EchoVoice, Gateway, serve
from meshrt.gateway._http import Refused, Request
from meshrt.gateway._origins import AllowList

pytestmark = pytest.mark.anyio

Ask = Callable[..., Any]

ORIGIN = "https://app.example:8443"
WEBSOCKET = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

# PORT stands for the gateway's port.
REFUSED_ORIGINS = {
    "evil": "https://evil.example",
    "null": "null",
    "empty": "",
    "subdomain": "https://x.app.example:8443",
    "parent": "https://example:8443",
    "suffix": "https://app.example:8443.evil.example",
    "name_with_suffix": "https://app.example.evil.example:8443",
    "prefix": "https://evil-app.example:8443",
    "upper_case": "HTTPS://APP.EXAMPLE:8443",
    "scheme": "http://app.example:8443",
    "another_port": "https://app.example:8444",
    "no_port": "https://app.example",
    "trailing_dot": "https://app.example.:8443",
    "trailing_slash": "https://app.example:8443/",
    "path": "https://app.example:8443/page",
    "user": "https://app.example:8443@evil.example",
    "space": "https://app.example:8443 ",
    "ip_literal": "http://127.0.0.1:PORT",
    "ipv6_literal": "http://[::1]:PORT",
    "decimal_address": "http://2130706433:PORT",
    "own_name": "http://localhost:PORT",
    "file": "file://",
    "extension": "chrome-extension://abcdef",
    "two_in_one": "https://app.example:8443, https://evil.example",
}
del REFUSED_ORIGINS["space"]  # HTTP strips it: it is the listed one

REFUSED_HOSTS = {
    "rebinding": "evil.example:PORT",
    "rebinding_without_port": "evil.example",
    "subdomain_of_localhost": "x.localhost:PORT",
    "suffix": "localhost.evil.example:PORT",
    "suffix_of_the_address": "127.0.0.1.evil.example:PORT",
    "nip_io": "127.0.0.1.nip.io:PORT",
    "trailing_dot": "localhost.:PORT",
    "another_loopback_address": "127.0.0.2:PORT",
    "every_address": "0.0.0.0:PORT",
    "decimal_address": "2130706433:PORT",
    "hexadecimal_address": "0x7f000001:PORT",
    "short_address": "127.1:PORT",
    "another_address": "192.0.2.1:PORT",
    "empty": "",
    "user": "localhost@evil.example",
    "no_number": "localhost:port",
    "two": "localhost, evil.example",
    "path": "localhost/evil",
}


def request(gateway: Gateway, *fields: str, upgrade: bool, path: str = "") -> bytes:
    """Write a request, with the gateway's own host where no other is given."""
    port = str(urlsplit(gateway.url).port)
    lines = [field.replace("PORT", port) for field in fields]
    if not any(line.lower().startswith("host:") for line in lines):
        lines.append(f"Host: 127.0.0.1:{port}")
    target = path or "/v1/realtime?model=gpt-realtime"
    head = "".join(f"{line}\r\n" for line in [f"GET {target} HTTP/1.1", *lines])
    return (head + (WEBSOCKET if upgrade else "") + "\r\n").encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("origin", REFUSED_ORIGINS.values(), ids=REFUSED_ORIGINS)
async def test_a_page_that_is_not_listed_is_refused_before_101(ask: Ask, origin: str) -> None:
    async with serve(voice=EchoVoice(), origins=[ORIGIN]) as gateway:
        upgrade = request(gateway, f"Origin: {origin}", upgrade=True)
        rest = request(gateway, f"Origin: {origin}", upgrade=False, path="/v1/models")
        answers = [await ask(gateway, upgrade, hang_up=True), await ask(gateway, rest)]

    for answer in answers:
        assert status_of(answer) == 403
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "forbidden"
        assert not origin or origin.encode() not in answer


@pytest.mark.parametrize("host", REFUSED_HOSTS.values(), ids=REFUSED_HOSTS)
async def test_a_name_that_is_not_the_gateway_s_is_refused_before_101(ask: Ask, host: str) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, request(gateway, f"Host: {host}", upgrade=True), hang_up=True)

    assert status_of(answer) in (400, 403)  # what is not even a host, h11 refuses


@pytest.mark.parametrize(
    ("host", "named", "is_let_in"),
    [
        ("Dev.example", "dev.example:8765", True),
        ("dev.example", "evil.example:8765", False),
        ("0.0.0.0", "0.0.0.0:8765", False),  # noqa: S104  no address is a name
        ("::", "[::]:8765", False),
        ("fe80::1%eth0", "fe80::1", False),
    ],
)
def test_the_name_that_a_gateway_was_given_is_its_own(
    host: str, named: str, *, is_let_in: bool
) -> None:
    allowed = AllowList.of(origins=[], hosts=[]).and_name(host)
    asked = Request(method="GET", target="/", headers=[("host", named)])
    refusal = nullcontext() if is_let_in else pytest.raises(Refused)
    with refusal:
        allowed.check(asked, "192.0.2.1")


async def test_the_host_of_a_gateway_is_a_name_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(AllowList, "and_name", lambda self, host: given.append(host) or self)
    async with serve(host="localhost", voice=EchoVoice()):
        pass

    assert given == ["localhost"]


@pytest.mark.parametrize(
    "fields",
    [
        ("Origin: https://app.example:8443",),
        ("Origin:  https://app.example:8443 ",),  # HTTP strips what is around it
        (),  # no browser
        ("Host: localhost:PORT",),
        ("Host: LocalHost:PORT",),  # names have no case
        ("Host: localhost",),  # by a tunnel, whose port is another
        ("Host: 127.0.0.1:9",),
        ("Host: dev.example:9",),
        ("Host: exact.example:8765",),
        ("Origin: https://app.example:8443", "Sec-Fetch-Site: cross-site"),
    ],
    ids=repr,
)
async def test_who_is_on_the_list_gets_in(ask: Ask, fields: tuple[str, ...]) -> None:
    hosts = ["dev.example", "exact.example:8765"]
    async with serve(voice=EchoVoice(), origins=[ORIGIN], hosts=hosts) as gateway:
        answer = await ask(gateway, request(gateway, *fields, upgrade=True), hang_up=True)

    assert status_of(answer) == 101


@pytest.mark.parametrize(
    "fields",
    [
        ("Sec-Fetch-Site: cross-site",),
        ("Sec-Fetch-Site: same-origin",),
        ("Origin: https://app.example:8443", "Origin: https://app.example:8443"),
        ("Host: exact.example:8766",),
        ("Host: exact.example",),
    ],
    ids=repr,
)
async def test_what_is_nearly_right_is_refused(ask: Ask, fields: tuple[str, ...]) -> None:
    hosts = ["exact.example:8765"]
    async with serve(voice=EchoVoice(), origins=[ORIGIN], hosts=hosts) as gateway:
        answer = await ask(gateway, request(gateway, *fields, upgrade=True), hang_up=True)

    assert status_of(answer) == 403


@pytest.mark.parametrize("origin", ["null", "http://127.0.0.1:3000", "chrome-extension://abcdef"])
async def test_even_a_strange_origin_is_let_in_if_it_is_listed(ask: Ask, origin: str) -> None:
    async with serve(voice=EchoVoice(), origins=[origin]) as gateway:
        ours = request(gateway, f"Origin: {origin}", upgrade=True)
        other = request(gateway, "Origin: http://127.0.0.1:3001", upgrade=True)

        assert status_of(await ask(gateway, ours, hang_up=True)) == 101
        assert status_of(await ask(gateway, other, hang_up=True)) == 403


@pytest.mark.parametrize("written", ["HTTPS://App.Example", "https://app.example:443"])
async def test_an_origin_is_listed_as_browsers_write_it(ask: Ask, written: str) -> None:
    async with serve(voice=EchoVoice(), origins=[written]) as gateway:
        asked = request(gateway, "Origin: https://app.example", upgrade=True)
        assert status_of(await ask(gateway, asked, hang_up=True)) == 101


async def test_the_log_says_who_was_kept_out(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "meshrt.gateway")
    async with serve(voice=EchoVoice()) as gateway:
        await ask(gateway, request(gateway, "Origin: https://evil.example", upgrade=True))

    [record] = [r for r in caplog.records if vars(r).get("meshrt_record") == "gateway.forbidden"]
    assert vars(record)["meshrt_header"] == "origin"
    assert vars(record)["meshrt_value"] == "https://evil.example"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"origins": ["https://app.example/"]}, "an origin is .* not even a slash"),
        ({"origins": ["app.example"]}, "an origin is"),
        ({"origins": ["https://*.example"]}, "no star"),
        ({"origins": ["https://app.example:port"]}, "an origin is"),
        ({"origins": ["https://\u00e4.example"]}, "an origin is"),
        ({"origins": [7]}, "an origin is"),
        ({"origins": "https://app.example"}, r"origins is a list .* \['https://app.example'\]"),
        ({"hosts": ["http://app.example"]}, "a host is"),
        ({"hosts": [""]}, "a host is"),
        ({"hosts": [7]}, "a host is"),
        ({"hosts": "app.example"}, "hosts is a list"),
    ],
)
async def test_what_can_t_be_listed_is_one_sentence(options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        async with serve(voice=EchoVoice(), **options):
            pytest.fail("it was opened")
