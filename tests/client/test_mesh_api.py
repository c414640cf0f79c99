"""MeshAPI: which address, which key, and what is refused before anything is opened."""

import copy
import logging
import pickle
import ssl
from typing import Any

import pytest
from support import places_of

import meshrt
from meshrt import MeshAPI
from meshrt.errors import ConfigurationError, LocalProtocolError

KEY = "rsk_b7Q-sentinel/+=42"
BAD_KEYS = [
    f"{KEY}\r\nX-Evil: 1",
    f"{KEY}\n",
    f"\r{KEY}",
    f"{KEY}\0",
    f"{KEY} {KEY}",
    f" {KEY}",
    f"{KEY}\t",
    f"{KEY}é",
    f"{KEY}\u2028",
    f"{KEY}\x7f",
]


def test_the_front_door_is_meshs_own_address() -> None:
    assert repr(MeshAPI(token=KEY)) == "<MeshAPI at wss://api.meshapi.ai/v1/realtime>"


def test_an_address_of_ones_own_is_used() -> None:
    assert "wss://example.com/prefix/v1/realtime" in repr(
        MeshAPI(base_url="https://example.com/prefix/", token=KEY)
    )


def test_the_environment_names_address_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_BASE_URL", "https://env.example.com")
    monkeypatch.setenv("MESH_API_KEY", KEY)
    client = MeshAPI()
    assert "env.example.com" in repr(client)
    assert client._secret is not None
    assert client._secret.reveal() == KEY


def test_arguments_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_BASE_URL", "https://env.example.com")
    monkeypatch.setenv("MESH_API_KEY", "another")
    client = MeshAPI(base_url="https://arg.example.com", token=KEY)
    assert "arg.example.com" in repr(client)
    assert client._secret is not None
    assert client._secret.reveal() == KEY


def test_an_empty_environment_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_BASE_URL", "")
    monkeypatch.setenv("MESH_API_KEY", "")
    with pytest.raises(ConfigurationError, match="no API key"):
        MeshAPI()


@pytest.mark.parametrize("base_url", ["https://example.com", "wss://example.com", None])
def test_a_server_elsewhere_needs_a_key(base_url: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"token=.*MESH_API_KEY") as caught:
        MeshAPI(base_url=base_url)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "localhost:9"])
@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_loopback_server_needs_neither_tls_nor_a_key(scheme: str, host: str) -> None:
    assert host in repr(MeshAPI(base_url=f"{scheme}://{host}"))


@pytest.mark.parametrize(
    "host", ["example.com", "10.0.0.1", "localhost.example.com", "128.0.0.1", "[::]", "[::2]"]
)
@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_no_other_server_is_reached_without_tls(scheme: str, host: str) -> None:
    with pytest.raises(ConfigurationError, match="https://"):
        MeshAPI(base_url=f"{scheme}://{host}", token=KEY)


@pytest.mark.parametrize(
    "base_url",
    [
        "example.com",
        "ftp://example.com",
        "https://",
        "https://user:secret@example.com",
        "https://example.com?x=secret",
        "https://example.com#secret",
        "https://exa mple.com/secret",
        "https://example.com\r\nX: secret",
        "https://example.com:port-secret",
        "https://bücher-secret.example",
        7,
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(base_url: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        MeshAPI(base_url=base_url, token=KEY)
    assert "secret" not in str(caught.value)
    assert places_of(KEY, caught.value) == []


@pytest.mark.parametrize("key", BAD_KEYS)
@pytest.mark.parametrize("source", ["argument", "environment"])
def test_a_key_that_could_not_be_sent_is_refused_and_never_shown(
    key: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "environment" and "\0" in key:
        pytest.skip("an environment can't hold it")
    if source == "environment":
        monkeypatch.setenv("MESH_API_KEY", key)
    with pytest.raises(ConfigurationError, match="the API key") as caught:
        MeshAPI(token=key if source == "argument" else None)
    assert places_of(KEY, caught.value) == []


@pytest.mark.parametrize("key", ["", b"rsk_x", 7])
def test_a_key_that_is_none_is_refused(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="the API key"):
        MeshAPI(token=key)


@pytest.mark.parametrize("auth", ["bearer", "", None, ["query"]])
def test_a_way_to_send_the_key_that_there_is_not_is_refused(auth: Any) -> None:
    with pytest.raises(ConfigurationError, match="query") as caught:
        MeshAPI(token=KEY, auth=auth)
    assert places_of(KEY, caught.value) == []


def test_everything_is_said_by_name() -> None:
    with pytest.raises(TypeError):
        MeshAPI("https://example.com", KEY)  # type: ignore[misc]
    with pytest.raises(TypeError):
        MeshAPI(token=KEY).realtime.connect("model")  # type: ignore[misc]


def test_nothing_shows_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = MeshAPI(token=KEY)
    connecting = client.realtime.connect(model="m")
    things = [client, client.realtime, connecting, client._secret]
    shown = [*map(repr, things), *map(str, things), *(repr(vars(thing)) for thing in things[:3])]
    assert not [text for text in shown if KEY in text]
    assert caplog.records == []
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(client)
    with pytest.raises(TypeError):
        copy.deepcopy(client)


def test_the_context_of_tls_is_made_once_and_not_for_a_loopback_server() -> None:
    client = MeshAPI(token=KEY)
    endpoint = client._endpoint({})
    context = client._context_for(endpoint)
    assert isinstance(context, ssl.SSLContext)
    assert client._context_for(endpoint) is context
    local = MeshAPI(base_url="http://localhost")
    assert local._context_for(local._endpoint({})) is None


LOCAL = "http://localhost:9"


@pytest.mark.parametrize(
    "option", ["connect_timeout", "close_timeout", "buffer_bytes", "max_message_bytes"]
)
@pytest.mark.parametrize("value", [0, -1, float("nan"), True, None, "1"])
def test_a_limit_that_is_no_number_above_0_is_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        MeshAPI(base_url=LOCAL).realtime.connect(model="m", **{option: value})


@pytest.mark.parametrize("option", ["buffer_bytes", "max_message_bytes"])
@pytest.mark.parametrize("value", [1.5, float("inf")])
def test_a_number_of_bytes_is_whole(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        MeshAPI(base_url=LOCAL).realtime.connect(model="m", **{option: value})


@pytest.mark.parametrize("errors", ["ignore", "", None])
def test_another_way_with_errors_is_refused(errors: Any) -> None:
    with pytest.raises(ConfigurationError, match="deliver"):
        MeshAPI(base_url=LOCAL).realtime.connect(model="m", errors=errors)


@pytest.mark.parametrize("model", ["", None, 7, "m\r\nX: 1", "modèle"])
def test_a_model_that_is_none_is_refused(model: Any) -> None:
    with pytest.raises(ConfigurationError):
        MeshAPI(base_url=LOCAL).realtime.connect(model=model)


@pytest.mark.parametrize("session", [{}, {"type": "realtime", "voice": "alloy"}, "realtime", 7])
def test_a_session_that_cannot_be_sent_is_refused(session: Any) -> None:
    with pytest.raises(LocalProtocolError):
        MeshAPI(base_url=LOCAL).realtime.connect(model="m", session=session)


@pytest.mark.anyio
async def test_connecting_is_not_awaited() -> None:
    with pytest.raises(LocalProtocolError, match=r"async with client\.realtime\.connect"):
        await MeshAPI(base_url=LOCAL).realtime.connect(model="m")


def test_the_everyday_names_are_at_the_front_door() -> None:
    assert meshrt.MeshAPI is MeshAPI
    assert meshrt.ConfigurationError is ConfigurationError
