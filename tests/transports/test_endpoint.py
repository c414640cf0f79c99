"""Addresses: what is accepted, what comes of it, and that no refusal repeats anything."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given, strategies as st

from meshrt.errors import ConfigurationError
from meshrt.transports import Endpoint


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.meshapi.ai", "wss://api.meshapi.ai/v1/realtime"),
        ("wss://api.meshapi.ai/", "wss://api.meshapi.ai/v1/realtime"),
        ("HTTPS://API.MeshAPI.ai:443/prefix/", "wss://api.meshapi.ai/prefix/v1/realtime"),
        ("https://example.org:8443/a/b", "wss://example.org:8443/a/b/v1/realtime"),
        ("http://localhost:8080", "ws://localhost:8080/v1/realtime"),
        ("ws://127.8.9.1", "ws://127.8.9.1/v1/realtime"),
        ("http://[::1]:99", "ws://[::1]:99/v1/realtime"),
        ("https://[2001:DB8::1]", "wss://[2001:db8::1]/v1/realtime"),
        ("https://10.0.0.1/%7Ea", "wss://10.0.0.1/%7Ea/v1/realtime"),
    ],
)
def test_a_base_url_becomes_the_address(base_url: str, url: str) -> None:
    assert str(Endpoint.parse(base_url, path="/v1/realtime")) == url
    assert Endpoint.parse(base_url, path="v1/realtime").url == url


def test_a_model_s_slash_is_encoded_and_read_back_by_any_server() -> None:
    query = {"model": "openai/gpt-realtime-mini", "x": "a b&c=d+e%20f?#"}
    endpoint = Endpoint.parse("https://api.meshapi.ai", path="/v1/realtime", query=query)
    assert "model=openai%2Fgpt-realtime-mini" in endpoint.url
    assert endpoint.target == endpoint.url.removeprefix("wss://api.meshapi.ai")
    assert parse_qs(urlsplit(endpoint.url).query) == {k: [v] for k, v in query.items()}


def test_without_a_path_the_path_is_the_root() -> None:
    assert Endpoint.parse("https://example.org").url == "wss://example.org/"


def test_it_is_a_value() -> None:
    one, two = (Endpoint.parse("wss://example.org", query={"a": "b"}) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    with pytest.raises(AttributeError):
        one.host = "evil.example"  # type: ignore[misc]


SECRET = "rsk-5ecret"  # noqa: S105


@pytest.mark.parametrize(
    ("base_url", "advice"),
    [
        (f"http://{SECRET}.example", "https://"),
        ("ws://example.org", "wss://"),
        ("http://localhost.example.org", "https://"),
        ("http://128.0.0.1", "https://"),
        ("http://[::2]", "https://"),
        ("http://[::ffff:127.0.0.1]", "https://"),
        (f"https://{SECRET}@example.org", "by itself"),
        (f"https://user:{SECRET}@example.org", "by itself"),
        (f"https://example.org/#{SECRET}", "fragment"),
        ("https://example.org/#", "fragment"),
        (f"https://example.org/?api_key={SECRET}", "by itself"),
        ("https://example.org?", "by itself"),
        (f"ftp://{SECRET}.example", "https://"),
        (f"{SECRET}:x", "https://"),
        (SECRET, "https://"),
        ("", "https://"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://:443", "no host"),
        (f"https://example.org:{SECRET}", "port"),
        ("https://example.org:0", "port"),
        ("https://example.org:65536", "port"),
        ("https://example.org:-1", "port"),
        ("https://[::1", "host"),
        ("https://[1.2.3.4]", "host"),
        ("https://[fe80::1%25eth0]", "host"),
        (f"https://{SECRET}..example", "host"),
        (f"https://{'a' * 64}.example", "host"),
        (f"https://{'a.' * 127}example", "host"),
        ("https://exa*mple.org", "host"),
        ("https://münchen.example", "ASCII"),
        (f"https://example.org/{SECRET}\r\nX: y", "printable"),
        ("https://example.org\n", "printable"),
        (" https://example.org", "spaces"),
        ("https://example.org/a b", "spaces"),
        ("https://example.org/%zz", "percent-encode"),
        ("https://example.org/a\\b", "percent-encode"),
        (f'https://example.org/"{SECRET}"', "percent-encode"),
        (None, "string"),
        (b"https://example.org", "string"),
    ],
)
def test_what_can_t_be_an_address_is_refused_with_advice_and_not_repeated(
    base_url: str, advice: str
) -> None:
    with pytest.raises(ConfigurationError, match=advice) as caught:
        Endpoint.parse(base_url)
    assert SECRET not in f"{caught.value!r} {caught.value.__dict__}"
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("name", ["api_key", "API_KEY"])
def test_the_key_is_no_query_item(name: str) -> None:
    with pytest.raises(ConfigurationError, match="by itself") as caught:
        Endpoint.parse("https://example.org", query={name: SECRET})
    assert SECRET not in str(caught.value)


BAD = st.sampled_from("\r\n\0\t\x1b\x7f\x80\xa0é\u2028\ud800€😀")


@given(st.text(), BAD, st.text())
def test_control_and_other_characters_are_refused_in_every_part(
    before: str, bad: str, after: str
) -> None:
    value = f"{before}{bad}{after}"
    for call in (
        lambda: Endpoint.parse(value),
        lambda: Endpoint.parse(f"https://example.org/{value}"),
        lambda: Endpoint.parse(f"https://{value}"),
        lambda: Endpoint.parse("https://example.org", path=value),
        lambda: Endpoint.parse("https://example.org", query={"model": value}),
        lambda: Endpoint.parse("https://example.org", query={value: "x"}),
        lambda: Endpoint(host=value, port=1, path="/", secure=True),
    ):
        with pytest.raises(ConfigurationError):
            call()


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
@example("https://[v1.x]", "", {})
@example("https://[", "", {})
@example("//[::1]x", "", {})
def test_whatever_is_asked_for_it_works_or_is_a_configuration_error(
    base_url: str, path: str, query: dict[str, str]
) -> None:
    for url in (base_url, f"https://{base_url}", f"https://example.org{base_url}"):
        try:
            endpoint = Endpoint.parse(url, path=path, query=query)
        except ConfigurationError:
            continue
        assert endpoint.url.isascii()
        assert endpoint.url.isprintable()
        assert " " not in endpoint.url
        assert urlsplit(endpoint.url).hostname == endpoint.host


words = st.text(st.characters(min_codepoint=32, max_codepoint=126))


@given(st.dictionaries(words.filter(lambda name: name.lower() != "api_key"), words))
def test_any_printable_query_is_read_back_as_it_was(query: dict[str, str]) -> None:
    endpoint = Endpoint.parse("https://example.org", query=query)
    read = parse_qs(urlsplit(endpoint.url).query, keep_blank_values=True, strict_parsing=False)
    assert read == {name: [value] for name, value in query.items()}
