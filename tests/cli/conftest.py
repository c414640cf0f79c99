"""The real command, in processes of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import meshrt
from meshrt.audio import bytes_of_ms, read_wav, write_wav

Run = Callable[..., subprocess.CompletedProcess[str]]
PACKAGE = Path(meshrt.__file__).parent
TIMEOUT_S = 50
# In a job that a shell has put into the background SIGINT is ignored; here it is to work.
ENTRY = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from meshrt.cli import main; sys.exit(main())"
)


@pytest.fixture
def environment() -> dict[str, str]:
    # A program that reads a pipe counts on us to flush; what would do so for us is left out.
    left_out = ("MESH_API_KEY", "MESH_BASE_URL", "PYTHONUNBUFFERED")
    ours = {name: value for name, value in os.environ.items() if name not in left_out}
    if ours.pop("PYTHONDEVMODE", ""):
        # The same but for asyncio's debug mode, which tells stderr of each step that takes 0.1 s.
        ours |= {"PYTHONWARNINGS": "default", "PYTHONFAULTHANDLER": "1", "PYTHONMALLOC": "debug"}
    return {**ours, "PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run ``python -m meshrt`` in an empty folder and wait for its end."""

    def meshrt_command(
        *arguments: str | Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "meshrt", *map(str, arguments)],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            check=False,
        )

    return meshrt_command


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., object]]:
    """Start the command, to be watched while it runs and interrupted."""
    started: list[subprocess.Popen[str]] = []

    def meshrt_command(*arguments: str | Path, redirection: str = "") -> subprocess.Popen[str]:
        shell = ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh"] if redirection else []
        process = subprocess.Popen(
            [*shell, sys.executable, "-c", ENTRY, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield meshrt_command
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def short_wav(tmp_path: Path) -> Path:
    """Write a second of speech and return its path."""
    speech = read_wav(PACKAGE / "cli" / "speech" / "train_question_24k.wav")
    path = tmp_path / "short.wav"
    write_wav(path, speech[bytes_of_ms(500) : bytes_of_ms(1500)])
    return path
