"""Fixtures for pytest: ``pytest_plugins = ["meshrt.testing.plugin"]``.

They run on AnyIO's own plugin, which comes with AnyIO: mark the tests with ``pytest.mark.anyio``,
and they run on asyncio and on Trio, or as your fixture ``anyio_backend`` says.

To set options, write a fixture ``realtime_gateway_options`` or ``realtime_session_options`` of
your own that returns a mapping, or parametrize a test with one of them.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import pytest

from ..client import MeshAPI
from ..gateway import Gateway, ScriptModel, serve
from ..session import RealtimeSession
from ._memory import MemoryGateway, gateway_in_memory

__all__ = (
    "realtime_gateway",
    "realtime_gateway_in_memory",
    "realtime_gateway_options",
    "realtime_session",
    "realtime_session_in_memory",
    "realtime_session_options",
)

_MODEL: Final = "openai/gpt-realtime-mini"
_ANY_KEY: Final = "rsk_test"  # over TLS a client sends one, whatever it is


@pytest.fixture
def realtime_gateway_options() -> Mapping[str, Any]:
    """Return the gateway's options: those of ``serve``, or of ``gateway_in_memory``."""
    return {}


@pytest.fixture
def realtime_session_options() -> Mapping[str, Any]:
    """Return the session's options: those of the client's ``connect``."""
    return {}


@pytest.fixture
async def realtime_gateway(
    anyio_backend: object,  # noqa: ARG001  it is how AnyIO's plugin knows that it is its own
    realtime_gateway_options: Mapping[str, Any],
) -> AsyncGenerator[Gateway]:
    """Run a local gateway on a free port; a script that it has must have been followed."""
    async with serve(**realtime_gateway_options) as gateway:
        yield gateway
    _check(realtime_gateway_options)


@pytest.fixture
async def realtime_session(
    realtime_gateway: Gateway,
    realtime_gateway_options: Mapping[str, Any],
    realtime_session_options: Mapping[str, Any],
) -> AsyncGenerator[RealtimeSession]:
    """Open a session to ``realtime_gateway``, over a socket."""
    gateway = realtime_gateway
    client = MeshAPI(
        base_url=gateway.url,
        token=realtime_gateway_options.get("key") or _ANY_KEY,
        ssl_context=gateway.ssl_context,
    )
    async with client.realtime.connect(**{"model": _MODEL, **realtime_session_options}) as session:
        yield session


@pytest.fixture
async def realtime_gateway_in_memory(
    anyio_backend: object,  # noqa: ARG001  it is how AnyIO's plugin knows that it is its own
    realtime_gateway_options: Mapping[str, Any],
) -> AsyncGenerator[MemoryGateway]:
    """Run the gateway in memory; a script that it has must have been followed."""
    async with gateway_in_memory(**realtime_gateway_options) as gateway:
        yield gateway
    _check(realtime_gateway_options)


@pytest.fixture
async def realtime_session_in_memory(
    realtime_gateway_in_memory: MemoryGateway, realtime_session_options: Mapping[str, Any]
) -> AsyncGenerator[RealtimeSession]:
    """Open a session to ``realtime_gateway_in_memory``."""
    async with realtime_gateway_in_memory.connect(**realtime_session_options) as session:
        yield session


def _check(options: Mapping[str, Any]) -> None:
    model = options.get("model")
    if isinstance(model, ScriptModel):
        model.check()
