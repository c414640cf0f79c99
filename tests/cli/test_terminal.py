"""``meshrt demo`` on a terminal of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COLOUR = re.compile(r"\x1b\[[\d;]*m")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


def on_a_terminal(folder: Path, environment: dict[str, str], code: str, *arguments: str) -> str:
    """Run some code on a terminal and return what the terminal got, without the colours."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        screen = b"".join(iter(lambda: read(ours), b""))
        os.close(ours)
    return f"{COLOUR.sub('', screen.decode())}status {process.returncode}"


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the other side has gone
        return b""


MAIN = "import sys; from meshrt.cli import main; sys.exit(main())"


def test_a_terminal_gets_the_picture_and_the_file(
    tmp_path: Path, environment: dict[str, str], short_wav: Path
) -> None:
    screen = on_a_terminal(tmp_path, environment, MAIN, "demo", "--wav", str(short_wav))

    assert screen.startswith("\x1b[?25l╭─ meshrt")
    assert "1.0 of 1.0 s" in screen
    assert "first audio after" in screen
    assert "of speech." in screen
    assert "the reply is in meshrt-reply.wav" in screen
    assert screen.endswith("status 0")


def test_a_dumb_terminal_gets_lines(tmp_path: Path, environment: dict[str, str]) -> None:
    code = f"import os; os.environ['TERM'] = 'dumb'; {MAIN}"

    screen = on_a_terminal(tmp_path, environment, code, "demo", "--text", "hi", "--pace", "fast")

    assert "\x1b" not in screen
    assert "the reply is in" in screen
    assert screen.endswith("status 0")


def test_without_rich_it_says_what_to_install(tmp_path: Path, environment: dict[str, str]) -> None:
    code = f"import sys; sys.modules['rich'] = None; {MAIN}"

    screen = on_a_terminal(tmp_path, environment, code, "demo", "--text", "hi")

    assert '"meshrt[cli]"' in screen
    assert "Traceback" not in screen
    assert screen.endswith("status 2")


def test_a_url_that_is_none_is_refused_before_the_picture(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    screen = on_a_terminal(tmp_path, environment, MAIN, "demo", "--url", "foo")

    assert screen.startswith("meshrt: --url must begin with https://")
    assert screen.endswith("status 2")


def test_without_a_gateway_there_is_no_picture(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    code = f"import sys; sys.modules['h11'] = None; {MAIN}"

    screen = on_a_terminal(tmp_path, environment, code, "demo", "--text", "hi")

    assert screen.startswith("meshrt: h11 is not installed")
    assert screen.endswith("status 2")
