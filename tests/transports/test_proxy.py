"""A proxy as a value: which URLs are one, and what the environment says."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, strategies as st
from support import places_of

from meshrt._secret import Secret
from meshrt.errors import ConfigurationError
from meshrt.transports import Endpoint, Proxy

MESH = Endpoint.parse("https://api.mesh.example")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wss", "https", "http", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("http://proxy.example:3128", "http", "proxy.example", 3128),
        ("http://proxy.example", "http", "proxy.example", 80),
        ("HTTP://Proxy.Example/", "http", "proxy.example", 80),
        ("https://proxy.example", "https", "proxy.example", 443),
        ("socks5://10.0.0.1", "socks5", "10.0.0.1", 1080),
        ("socks5h://[::1]:9", "socks5h", "::1", 9),
    ],
)
def test_a_url_says_who_the_proxy_is(url: str, scheme: str, host: str, port: int) -> None:
    proxy = Proxy.parse(url)
    assert (proxy.scheme, proxy.host, proxy.port) == (scheme, host, port)
    assert proxy.credentials is None
    assert proxy.secure is (scheme == "https")
    assert Proxy.parse(proxy.url) == proxy


@pytest.mark.parametrize(
    ("userinfo", "credentials"),
    [
        ("user:password", "user:password"),
        ("user:p%40ss%2Fw%C3%B6rd", "user:p@ss/wörd"),
        ("user:pass@word", "user:pass@word"),
        ("user:pass:word", "user:pass:word"),
        ("user:", "user:"),
        ("user", "user:"),
        (":token", ":token"),
    ],
)
def test_user_and_password_are_kept_and_never_shown(userinfo: str, credentials: str) -> None:
    proxy = Proxy.parse(f"http://{userinfo}@proxy.example")
    assert proxy.host == "proxy.example"
    assert proxy.credentials is not None
    assert proxy.credentials.reveal() == credentials
    for shown in (repr(proxy), str(proxy), proxy.url):
        assert "user" not in shown
        assert "ass" not in shown
        assert "token" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "5ecret",
        "proxy.example:3128",
        "ftp://5ecret@proxy.example",
        "socks4://user:5ecret@proxy.example",
        "socks://user:5ecret@proxy.example",
        "http://",
        "http://user:5ecret@",
        "http://user:5ecret@proxy example",
        "http://user:5ecret@proxy_example:port",
        "http://user:5ecret@proxy.example:0",
        "http://user:5ecret@proxy.example:65536",
        "http://user:5ecret@proxy.example/path",
        "http://user:5ecret@proxy.example?x",
        "http://user:5ecret@proxy.example#x",
        "http://user:12/5ecret@proxy.example",
        "http://user:12#5ecret@proxy.example",
        "http://user:12?5ecret@proxy.example",
        "http://us%3Aer:5ecret@proxy.example",
        "http://user:5ecret%ff@proxy.example",
        "http://user:5ecret%0d%0aX: y@proxy.example",
        "http://user:5ecret%0d%0aX:y@proxy.example",
        "http://user:5ecret%00@proxy.example",
        "http://user:5ecret%7F@proxy.example",
        "http://user:5ecret@proxy.example\r\nX: y",
        "http://user:5ecret\0@proxy.example",
        "http://user:5ecrét@proxy.example",
        "http://user:5ecret@próxy.example",
        "http://user:5ecret@[::1",
        "u5ecret:password@proxy.example:3128",
        "http://5ecret#:password@proxy.example",
        "http://5ecret/:password@proxy.example",
        f"socks5://user:5ecret{'x' * 250}@proxy.example",
        f"socks5h://{'5ecret' * 43}:x@proxy.example",
        7,
        b"http://proxy.example",
    ],
)
def test_what_is_no_proxy_is_refused_and_never_repeated(url: Any) -> None:
    with pytest.raises(ConfigurationError, match="proxy") as caught:
        Proxy.parse(url)
    assert places_of("5ecr", caught.value) == []
    assert caught.value.__context__ is None


@given(st.text(), st.sampled_from("\r\n\0\x7fé😀"), st.text())
def test_no_value_smuggles_a_line(before: str, bad: str, after: str) -> None:
    for url in (f"http://{before}{bad}{after}", f"http://u:{before}{bad}{after}@proxy.example"):
        with pytest.raises(ConfigurationError):
            Proxy.parse(url)


@pytest.mark.parametrize(
    "parts",
    [
        {"scheme": "ftp"},
        {"host": "no host"},
        {"port": 0},
        {"credentials": "user:5ecret"},
        {"credentials": Secret("user:5ecret\n")},
    ],
)
def test_a_part_that_cannot_be_used_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Proxy(**{"scheme": "http", "host": "proxy.example", "port": 80, **parts})
    assert "5ecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "port"),
    [
        ({}, None),
        ({"https_proxy": "http://proxy:1"}, 1),
        ({"HTTPS_PROXY": "http://proxy:1"}, 1),
        ({"HTTPS_PROXY": "http://proxy:1", "https_proxy": "http://proxy:2"}, 2),
        ({"HTTPS_PROXY": "http://proxy:1", "https_proxy": ""}, None),
        ({"WSS_PROXY": "http://proxy:3", "https_proxy": "http://proxy:1"}, 3),
        ({"all_proxy": "socks5h://proxy:4", "https_proxy": "http://proxy:1"}, 1),
        ({"all_proxy": "socks5h://proxy:4"}, 4),
        ({"http_proxy": "http://proxy:5", "ftp_proxy": "http://proxy:6"}, None),
        ({"https_proxy": "proxy:7"}, 7),
        ({"https_proxy": "user:password@proxy:8"}, 8),
    ],
)
def test_the_environment_names_a_proxy(
    variables: dict[str, str], port: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = Proxy.from_environment(MESH)
    assert (proxy and proxy.port) == port


@pytest.mark.parametrize("base_url", ["http://localhost", "https://127.0.0.2", "wss://[::1]:9"])
def test_a_loopback_host_is_reached_without_the_environments_proxy(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:1")
    assert Proxy.from_environment(Endpoint.parse(base_url)) is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_direct"),
    [
        ("api.mesh.example", "api.mesh.example", True),
        ("mesh.example", "api.mesh.example", True),
        (".mesh.example", "api.mesh.example", True),
        ("MESH.example", "api.mesh.example", True),
        ("esh.example", "api.mesh.example", False),
        ("api.mesh", "api.mesh.example", False),
        ("other.example, mesh.example", "api.mesh.example", True),
        ("api.mesh.example:443", "api.mesh.example", True),
        ("api.mesh.example:444", "api.mesh.example", False),
        ("api.mesh.example:8443", "api.mesh.example:8443", True),
        ("*", "api.mesh.example", True),
        ("other.example, * ", "api.mesh.example", True),
        ("*.mesh", "api.mesh.example", False),
        ("", "api.mesh.example", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.9.9.9/8", "10.1.2.3", True),
        ("11.0.0.0/8, 10.1.2.0/24", "10.1.2.3", True),
        ("10.1.3.0/24", "10.1.2.3", False),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("2001:db8::1", "[2001:db8:0::1]", True),
        ("[2001:db8::1]", "[2001:db8::1]", True),
        ("2001:db8::/32", "[2001:db8::1]", True),
        ("2001:db9::/32", "[2001:db8::1]", False),
        ("10.0.0.0/8", "api.mesh.example", False),
        ("nonsense/8,,/", "10.1.2.3", False),
    ],
)
def test_no_proxy_lists_who_is_reached_without(
    no_proxy: str, host: str, is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    monkeypatch.setenv("no_proxy", no_proxy)
    proxy = Proxy.from_environment(Endpoint.parse(f"https://{host}"))
    assert (proxy is None) is is_direct


@pytest.mark.parametrize(
    "url", ["socks://user:5ecret@proxy", "http://user:5ecret@pro xy", "5ecret:x"]
)
def test_what_the_environment_says_is_refused_by_its_name_and_not_repeated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", url)
    with pytest.raises(ConfigurationError, match=r"all_proxy.*proxy=None") as caught:
        Proxy.from_environment(MESH)
    assert places_of("5ecret", caught.value) == []
    assert caught.value.__context__ is None


PROBE = """
import os, sys
{variable}
from meshrt.transports import Endpoint, Proxy
Proxy.from_environment(Endpoint.parse("https://api.mesh.example"))
print("urllib.request" in sys.modules)
"""


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="the system has settings too")
@pytest.mark.parametrize(
    ("variable", "is_loaded"),
    [
        ("", "False"),
        ("os.environ['no_proxy'] = '*'", "False"),
        ("os.environ['https_proxy'] = 'http://proxy'", "True"),
    ],
)
def test_urllib_is_loaded_only_where_a_proxy_is_set(variable: str, is_loaded: str) -> None:
    command = [sys.executable, "-c", PROBE.format(variable=variable)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == is_loaded


def test_what_the_system_is_set_to_counts_where_it_has_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy:1"})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda _host: False)
    assert Proxy.from_environment(MESH) == Proxy.parse("http://proxy:1")
