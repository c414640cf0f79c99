"""The shared helpers, and an environment that names no server, no key and no proxy."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # importlib mode adds nothing by itself

from support import WAYS, Way, has_way, nothing_left


@pytest.fixture
async def no_leaks(anyio_backend: object) -> AsyncGenerator[None]:
    async with nothing_left():
        yield


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESH_API_KEY", raising=False)
    monkeypatch.delenv("MESH_BASE_URL", raising=False)
    for name in ("wss", "ws", "https", "http", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest, anyio_backend_name: str) -> Way:
    """Cancel at each moment, in each way that the running loop has."""
    way: Way = request.param
    if not has_way(way, anyio_backend_name):
        pytest.skip("only asyncio has this way")
    return way
