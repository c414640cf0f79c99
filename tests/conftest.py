"""What every test shares: the three event loops, a deadline, and how hard Hypothesis tries."""

import functools
import gc
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.util import find_spec
from inspect import iscoroutinefunction

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest
from hypothesis import settings

# Of real time, on a virtual clock too; pytest-timeout ends what does not even yield to the loop.
ASYNC_DEADLINE_S = 30

# No profile has a deadline: a busy machine is not a bug.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("mutants", deadline=None, derandomize=True, max_examples=15)
settings.register_profile("long", deadline=None, max_examples=20_000)
settings.load_profile("dev")

needs_uvloop = pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not for this OS")

BACKENDS = [
    pytest.param(("trio", {}), id="trio"),
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop", marks=needs_uvloop),
]


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Run each async test on Trio, on asyncio and on asyncio with uvloop."""
    backend: tuple[str, dict[str, object]] = request.param
    return backend


def bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Cancel an async test that is not done in time, and say so."""

    @functools.wraps(test)
    async def run(*args: object, **kwargs: object) -> None:
        token = anyio.lowlevel.current_token()

        def expire() -> None:
            with suppress(anyio.RunFinishedError):
                anyio.from_thread.run_sync(scope.cancel, token=token)

        watchdog = threading.Timer(ASYNC_DEADLINE_S, expire)
        watchdog.daemon = True
        watchdog.start()
        waiting_at: BaseException | None = None
        with anyio.CancelScope() as scope:
            try:
                await test(*args, **kwargs)
            except anyio.get_cancelled_exc_class() as cancelled:
                waiting_at = cancelled
                raise
            finally:
                watchdog.cancel()
        if scope.cancelled_caught:
            raise TimeoutError(f"not done after {ASYNC_DEADLINE_S} s") from waiting_at

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every async test its deadline; a hang then fails where it waits, and alone."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        handle = getattr(item.obj, "hypothesis", None)
        if handle is None and iscoroutinefunction(item.obj):
            item.obj = bounded(item.obj)
        elif handle is not None and iscoroutinefunction(handle.inner_test):
            handle.inner_test = bounded(handle.inner_test)


def pytest_sessionstart() -> None:
    """Let each mutant make its own plans, which were made before it was forked."""
    if "MUTANT_UNDER_TEST" in os.environ:
        from meshrt.events import _plan

        _plan._readers.clear()
        _plan._shapes.clear()


@pytest.fixture(scope="module", autouse=True)
def _collected() -> None:
    """Let the collector pass over what lives: each check for leaks runs it once more."""
    gc.collect()
    gc.freeze()
