"""What the README and the pages show does what they say, on every loop, against the gateway.

A ``python`` block is run as a module; each of its coroutine functions is then called with what its
parameters ask for: a client, a session, speech to say, words. What imports Trio runs there alone.
"""

import inspect
import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.resources import as_file, files
from types import FunctionType
from typing import Any

import anyio
import pytest
from support import nothing_left
from test_docs import BLOCKS, Block

from meshrt import MeshAPI
from meshrt.audio import bytes_of_ms, read_wav
from meshrt.gateway import Gateway, serve

SNIPPETS = [block for block in BLOCKS if block.kind == "python"]


@pytest.fixture(autouse=True)
def levels_restored() -> Iterator[None]:
    """Let what a snippet sets up for its whole program end with it."""
    loggers = [logging.getLogger(name) for name in ("meshrt", "meshrt.events")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@asynccontextmanager
async def supplies(gateway: Gateway, wanted: set[str]) -> AsyncGenerator[dict[str, Any]]:
    """Make what a snippet's parameters ask for."""
    with as_file(files("meshrt.cli") / "speech" / "train_question_24k.wav") as path:
        speech = read_wav(path)
    client = MeshAPI(base_url=gateway.url)
    pcm = speech[bytes_of_ms(500) : bytes_of_ms(1500)]
    have = {"client": client, "pcm": pcm, "question": pcm, "play": len, "words": "Hello."}
    if "session" not in wanted:
        yield have
        return
    async with client.realtime.connect(model="openai/gpt-realtime-mini") as session:
        yield {**have, "session": session}


def functions_of(block: Block) -> list[Callable[..., Any]]:
    namespace: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(block.text, block.where, "exec", dont_inherit=True), namespace)  # noqa: S102
    found = [thing for thing in namespace.values() if isinstance(thing, FunctionType)]
    return [thing for thing in found if inspect.iscoroutinefunction(thing)]


def is_for_trio(block: Block) -> bool:
    return re.search(r"^import trio", block.text, re.MULTILINE) is not None


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: block.where)
def test_a_snippet_does_what_it_shows(
    block: Block, anyio_backend: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_for_trio(block) and anyio_backend[0] != "trio":
        pytest.skip("the snippet is for Trio")

    async def play(function: Callable[..., Any]) -> None:
        names = set(inspect.signature(function).parameters)
        with anyio.fail_after(30):
            async with nothing_left(), serve() as gateway, supplies(gateway, names) as have:
                monkeypatch.setenv("MESH_BASE_URL", gateway.url)
                await function(**{name: have[name] for name in names})

    for function in functions_of(block):
        name, options = anyio_backend
        anyio.run(play, function, backend=name, backend_options=options)


def test_there_are_snippets_and_most_of_them_do_something() -> None:
    assert len(SNIPPETS) > 8
    assert sum("async def" in block.text for block in SNIPPETS) > 6
