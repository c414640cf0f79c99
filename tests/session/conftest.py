"""The shared helpers, and the check that every test of a session ends with."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # importlib mode adds nothing by itself

from support import CANCELLERS, WAYS, Canceller, Way, has_way, nothing_left, works_on


@pytest.fixture
async def no_leaks(anyio_backend: object) -> AsyncGenerator[None]:
    async with nothing_left():
        yield


@pytest.fixture(params=CANCELLERS, ids=lambda canceller: canceller.__name__)
def cancel(request: pytest.FixtureRequest, anyio_backend_name: str) -> Canceller:
    """Cancel in each way that the running loop has."""
    canceller: Canceller = request.param
    if not works_on(canceller, anyio_backend_name):
        pytest.skip("only asyncio has this way")
    return canceller


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest, anyio_backend_name: str) -> Way:
    """Cancel at each moment, in each way that the running loop has."""
    way: Way = request.param
    if not has_way(way, anyio_backend_name):
        pytest.skip("only asyncio has this way")
    return way
