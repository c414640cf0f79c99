"""The tutorial's program, examples/first_conversation.py, does what the page says."""

import subprocess
import sys
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from meshrt.audio import read_wav
from meshrt.gateway import EchoVoice, serve

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "examples" / "first_conversation.py"
QUESTION = ROOT / "meshrt" / "cli" / "speech" / "train_question_24k.wav"
PAGE = ROOT / "docs" / "tutorial" / "first-conversation.md"


def run(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-W", "error", str(PROGRAM), url, str(QUESTION)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_tutorials_program_prints_what_the_page_shows(tmp_path: Path) -> None:
    with start_blocking_portal("trio") as portal:
        with portal.wrap_async_context_manager(serve(voice=EchoVoice())) as gateway:
            done = run(gateway.url, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    # All of it: the page shows what is printed with the voice that everybody has.
    assert f"{QUESTION.relative_to(ROOT).as_posix()}\n{done.stdout}```\n" in PAGE.read_text(
        "utf-8"
    )
    assert len(read_wav(tmp_path / "answer.wav")) > 48_000
