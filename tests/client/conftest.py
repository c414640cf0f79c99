"""The shared helpers, and an environment that names no server and no key."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # importlib mode adds nothing by itself

from support import nothing_left


@pytest.fixture
async def no_leaks(anyio_backend: object) -> AsyncGenerator[None]:
    async with nothing_left():
        yield


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESH_API_KEY", raising=False)
    monkeypatch.delenv("MESH_BASE_URL", raising=False)
