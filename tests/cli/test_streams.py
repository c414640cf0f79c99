"""Streams that are closed, full or unread: a sentence where one can be read, never a traceback."""

import errno
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from meshrt.cli import main

FULL = Path("/dev/full")
SPOKEN = ("demo", "--pace", "fast")
WRITTEN = ("demo", "--json", "--text", "hi")
HELP = ("serve", "--help")
SERVE = ("serve", "--port", "0")
UNUSABLE = ("demo", "--wav", "nowhere.wav")

Shell = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def shell(tmp_path: Path, environment: dict[str, str]) -> Shell:
    """Run the command with streams redirected as a shell does it."""

    def meshrt_command(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = (sys.executable, "-X", "dev", "-m", "meshrt", *arguments)
        return subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *program],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=50,
            check=False,
        )

    return meshrt_command


@pytest.mark.parametrize("arguments", [SPOKEN, WRITTEN, HELP])
def test_a_closed_stdout_is_none(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell(">&-", *arguments)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_full
@pytest.mark.parametrize("arguments", [SPOKEN, WRITTEN, HELP, SERVE])
def test_a_full_stdout_is_one_sentence(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell(f">{FULL}", *arguments)

    assert done.stderr == "meshrt: stdout can't be written: No space left on device\n"
    assert done.returncode == 2


@needs_full
@pytest.mark.parametrize("redirection", ["2>&-", f"2>{FULL}", "<&- >&- 2>&-", f">{FULL} 2>{FULL}"])
def test_without_a_stderr_there_is_the_status(shell: Shell, redirection: str) -> None:
    done = shell(redirection, *UNUSABLE)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")

    done = shell(redirection, *UNUSABLE)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_a_gateway_needs_no_stdout(start: Start) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    process = start("serve", "--port", str(port), redirection=">&-")
    wait_for(port, process)

    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)

    assert (process.returncode, complaint) == (130, "")


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until somebody listens there."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return


def test_a_stream_that_is_no_file_is_written_to_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Unread(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    arguments = ["demo", "--json", "--text", "hi", "--out", str(tmp_path / "reply.wav")]
    told = io.StringIO()
    for stdout, stderr, status in ((Full(), told, 2), (Full(), Full(), 2), (Unread(), told, 1)):
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "stderr", stderr)
        assert main(arguments) == status
    assert told.getvalue() == "meshrt: stdout can't be written: No space left on device\n"
