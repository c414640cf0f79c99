"""A session that is entered by hand and never left is told of, once, and where it came from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import created, websockets_server
from websockets.asyncio.server import ServerConnection

import meshrt

PROGRAM = """
import sys

import anyio

from meshrt import MeshAPI


async def main() -> None:
    connecting = MeshAPI(base_url=sys.argv[2]).realtime.connect(model="m")
    session = await connecting.__aenter__()
    await session.receive()
    print("greeted", flush=True)


anyio.run(main, backend=sys.argv[1])
"""


async def greet(connection: ServerConnection) -> None:
    await connection.send(json.dumps(created()))
    await connection.wait_closed()


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_session_that_is_never_left_is_one_warning_with_the_place(
    backend: str, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    root = str(Path(meshrt.__file__).parents[1])
    with websockets_server(greet) as port:
        done = subprocess.run(
            [sys.executable, "-X", "dev", str(program), backend, f"ws://127.0.0.1:{port}"],
            env={"PYTHONPATH": root},
            capture_output=True,
            encoding="utf-8",
            timeout=50,
            check=False,
        )
    assert done.stdout == "greeted\n"
    # The task group that was not left is the loop's own business: Trio calls it an error.
    (warning,) = [
        line
        for line in done.stderr.splitlines()
        if "ResourceWarning: " in line and "tracemalloc" not in line
    ]
    assert "never left: write `async with`" in warning
    assert f"connect() was called at {program}:10" in warning
    assert backend == "trio" or "Error" not in done.stderr, done.stderr


@pytest.mark.anyio
async def test_one_that_is_never_entered_holds_nothing() -> None:
    meshrt.MeshAPI(base_url="http://localhost").realtime.connect(model="m")
