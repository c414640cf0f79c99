"""The shared helpers, and the check that every test of a session ends with."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # importlib mode adds nothing by itself

from support import CANCELLERS, Canceller, nothing_left, works_on


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
