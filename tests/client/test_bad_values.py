"""What could break out of a request is refused before a socket is opened, and not repeated."""

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from support import RawConnection, places_of, raw_server

from meshrt import ConfigurationError, ConnectError, MeshAPI
from meshrt._secret import Secret
from meshrt.transports import Endpoint, connect_websocket

MARK = "s3nt1nel-value"
BREAKING = ["\r", "\n", "\0", "\r\n", "\r\nX-Evil: 1\r\n", "\x7f", "\x85", "\u2028", "é", "\ud800"]

# A value with a mark by which it would be recognised, and somewhere in it what may not be.
bad_texts = st.builds(
    lambda before, bad, after: f"{before}{MARK}{bad}{after}",
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=5),
    st.sampled_from(BREAKING) | st.characters(min_codepoint=128) | st.characters(max_codepoint=31),
    st.text(max_size=5),
)

often = settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """Listen, so that whoever connects after all would be seen."""
    with raw_server(lambda _: None) as server:
        yield f"http://127.0.0.1:{server.port}"
        anyio.run(server.settled)
        assert server.connections == []


async def connect(
    base_url: str, *, path: str = "", query: Any = None, key: str | None = None, **options: Any
) -> None:
    endpoint = Endpoint.parse(base_url, path=path, query=query)
    await connect_websocket(endpoint, key=None if key is None else Secret(key), **options)


def assert_refused(base_url: str, **options: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        anyio.run(lambda: connect(base_url, **options))
    assert isinstance(caught.value, ValueError)
    assert MARK not in str(caught.value)
    assert MARK not in repr(caught.value)


@often
@given(bad_texts)
@example(f"{MARK}\r\nX-Evil: 1")
def test_a_key(base_url: str, bad: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        MeshAPI(base_url=base_url, token=bad)
    assert places_of(MARK, caught.value) == []
    for auth in ("query", "header", "subprotocol"):
        assert_refused(base_url, key=bad, auth=auth)


@often
@given(bad_texts)
def test_a_model(base_url: str, bad: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        MeshAPI(base_url=base_url).realtime.connect(model=bad)
    assert MARK not in str(caught.value)
    assert_refused(base_url, query={"model": bad})


@often
@given(bad_texts)
def test_a_header(base_url: str, bad: str) -> None:
    assert_refused(base_url, headers={"X-Value": bad})
    assert_refused(base_url, headers={bad: "x"})


@often
@given(bad_texts)
def test_a_subprotocol(base_url: str, bad: str) -> None:
    assert_refused(base_url, subprotocols=(bad,))


@often
@given(bad_texts)
def test_a_path(base_url: str, bad: str) -> None:
    assert_refused(base_url, path=f"/{bad}")
    with pytest.raises(ConfigurationError) as caught:
        MeshAPI(base_url=f"{base_url}/{bad}")
    assert places_of(MARK, caught.value) == []


def test_what_can_be_sent_does_reach_the_server() -> None:
    def hang_up(connection: RawConnection) -> None:
        connection.read_request()
        connection.close()

    with raw_server(hang_up) as server:
        good: dict[str, Any] = {"headers": {"X-Value": MARK}, "subprotocols": (MARK,)}

        async def ask() -> None:
            with pytest.raises(ConnectError, match="closed the connection without an answer"):
                await connect(f"http://127.0.0.1:{server.port}", key=MARK, path="/x", **good)

        anyio.run(ask)
        (connection,) = server.connections
    assert connection.request.count(MARK.encode()) == 3
