"""Whole programs that leave a session's block in another task: one complaint, and no other."""

import asyncio
import gc
import subprocess
import sys
import warnings
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from support import RawConnection, connecting, raw_server

import meshrt
from meshrt.errors import LocalProtocolError
from meshrt.session import RealtimeSession

KIND = RawConnection.greet_and_serve


def test_a_generator_that_the_loop_closes_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    generators = []

    async def fixture() -> AsyncGenerator[RealtimeSession]:
        async with connecting(server.port) as session:
            yield session  # noqa: ASYNC119  it does not

    async def main() -> None:
        generators.append(fixture())
        await anext(generators[0])

    with raw_server(KIND) as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(main())
        generators.clear()
        gc.collect()
    # The loop closes the user's generator and ours in any order: who comes first is told.
    errors = [each.exc_info[1] for each in caplog.records if each.exc_info]
    told = [type(error) for error in errors] + [each.category for each in warned]
    assert told in ([LocalProtocolError], [ResourceWarning])


PROGRAM = """
import asyncio, sys, time
from meshrt import MeshAPI

async def main():
    block = MeshAPI(base_url=sys.argv[1]).realtime.connect(model="m")
    session = await asyncio.create_task(block.__aenter__())
    try:
        await block.__aexit__(None, None, None)
    except Exception as error:
        print(type(error).__name__)
    began = time.process_time()
    await asyncio.sleep(0.5)
    assert time.process_time() - began < 0.25, "it spins"

with asyncio.Runner() as runner:
    # In its debug mode asyncio says so when the machine is busy; that is no fault of ours.
    runner.get_loop().slow_callback_duration = 60
    runner.run(main())
"""


def test_a_whole_program_says_nothing_else() -> None:
    root = str(Path(meshrt.__file__).parents[1])
    with raw_server(KIND) as server:
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", PROGRAM, f"http://127.0.0.1:{server.port}"],
            env={"PYTHONPATH": root},
            capture_output=True,
            encoding="utf-8",
            timeout=50,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "LocalProtocolError\n", "")
