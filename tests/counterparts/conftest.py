"""Programs of others at the other end: the gateway in a thread for those clients, and speech."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from meshrt.audio import chunks, read_wav
from meshrt.gateway import EchoVoice, Gateway, serve

Serve = Callable[..., Gateway]


@pytest.fixture(params=["trio", "asyncio"])
def serve_in_thread(request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Start gateways on an event loop of their own, Trio's or asyncio's."""
    with start_blocking_portal(request.param) as portal, ExitStack() as stack:

        def start(**options: Any) -> Gateway:
            running: AbstractContextManager[Gateway] = portal.wrap_async_context_manager(
                serve(**{"voice": EchoVoice(), **options})
            )
            return stack.enter_context(running)

        yield start


@pytest.fixture
def gateway(serve_in_thread: Serve) -> Gateway:
    return serve_in_thread()


@pytest.fixture(scope="session")
def speech() -> list[bytes]:
    """One question in pieces of 100 ms: PCM16 little-endian, 24 kHz, mono."""
    wav = Path(str(files("meshrt") / "cli" / "speech" / "train_question_24k.wav"))
    return list(chunks(read_wav(wav), 100))
