"""The voices; espeak-ng for real where it is installed."""

import logging
import os
import shutil
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from meshrt.audio import duration_ms, level_dbfs
from meshrt.gateway import _speaking
from meshrt.gateway._hearing import speech_ms
from meshrt.gateway._speaking import EchoVoice, EspeakVoice, Voice, default_voice

pytestmark = pytest.mark.anyio

needs_espeak = pytest.mark.skipif(
    not shutil.which("espeak-ng"), reason="the program espeak-ng is not installed"
)
needs_sh = pytest.mark.skipif(os.name != "posix", reason="the stand-in programs are for sh")

SPEECH = b"\x10\x20" * 24_000


def program(folder: Path, script: str, *, name: str = "espeak-ng") -> str:
    """Write an executable that takes espeak-ng's place."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_echo_gives_the_caller_s_speech_back() -> None:
    voice: Voice = EchoVoice()
    assert await voice.speak("I heard you.", heard=SPEECH) == SPEECH


@pytest.mark.parametrize("text", ["", "Hello", "word " * 1_000])
@pytest.mark.parametrize("heard", [b"", b"\x10\x20" * 100])
async def test_without_speech_to_echo_there_are_soft_notes(text: str, heard: bytes) -> None:
    notes = await EchoVoice().speak(text, heard=heard)
    assert 200 < duration_ms(notes) < 5_000
    assert -50 < level_dbfs(notes) < -25


async def test_each_word_has_its_note() -> None:
    voice = EchoVoice()
    four, five = [await voice.speak(text, heard=b"") for text in ("a b c d", "a b c d e")]
    assert five.startswith(four)
    assert len(five) > len(four)


@needs_espeak
async def test_espeak_speaks_the_text_at_24_khz() -> None:
    voice: Voice = EspeakVoice()
    spoken = await voice.speak("I heard three seconds of speech.", heard=b"")
    assert 1_000 < duration_ms(spoken) < 5_000
    assert speech_ms(spoken) > 1_000


@needs_espeak
@pytest.mark.parametrize("text", ["--version", '-f /etc/hostname "quoted"', "Grüße, 世界 \ud800"])
async def test_espeak_takes_any_text_as_text(text: str, caplog: pytest.LogCaptureFixture) -> None:
    spoken = await EspeakVoice().speak(text, heard=SPEECH)
    assert duration_ms(spoken) > 200
    assert spoken != SPEECH
    # asyncio's debug mode has its own to say on a busy machine.
    assert not [record for record in caplog.records if record.name.startswith("meshrt")]


@needs_espeak
async def test_a_very_long_text_is_spoken_in_part() -> None:
    spoken = await EspeakVoice().speak("word " * 10_000, heard=b"")
    assert duration_ms(spoken) < 5 * 60_000


@needs_sh
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("cat >/dev/null; echo 'no such voice' >&2; exit 3", "(exit status 3: no such voice)"),
        ("cat >/dev/null; exit 1", "(exit status 1)"),
        ("cat >/dev/null", "is not a whole WAV file"),
        ("cat", "is not a WAV file"),
    ],
)
async def test_a_program_that_fails_leaves_the_echo_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, script: str, said: str
) -> None:
    voice = EspeakVoice(program=program(tmp_path, script))
    for _ in range(2):
        assert await voice.speak("I heard you, and so on.", heard=SPEECH) == SPEECH
    # asyncio's debug mode has its own to say on a busy machine.
    [record] = [record for record in caplog.records if record.name == "meshrt.gateway"]
    assert record.levelno == logging.WARNING
    assert said in record.getMessage()
    assert "so on" not in record.getMessage()


async def test_a_program_that_is_not_there_leaves_the_echo(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    voice = EspeakVoice(program=str(tmp_path / "missing"))
    assert await voice.speak("Hello", heard=SPEECH) == SPEECH
    assert "can't speak" in caplog.text


@needs_sh
async def test_a_program_that_does_not_read_a_long_text_leaves_the_echo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than a pipe holds, so that the write meets the closed end.
    monkeypatch.setattr(_speaking, "_MAX_SPOKEN_CHARS", 10**6)
    voice = EspeakVoice(program=program(tmp_path, "exec <&-; exit 3"))
    assert await voice.speak("word " * 200_000, heard=SPEECH) == SPEECH


@needs_sh
async def test_a_program_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Long enough to start it: cancelled in that, uvloop forgets the program and warns.
    monkeypatch.setattr(_speaking, "_ESPEAK_TIMEOUT_S", 1)
    voice = EspeakVoice(program=program(tmp_path, "exec sleep 1000"))
    assert await voice.speak("Hello", heard=SPEECH) == SPEECH
    assert "no answer within" in caplog.text


@needs_sh
async def test_a_cancelled_speak_leaves_no_program_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    voice = EspeakVoice(program=program(tmp_path, f"echo $$ > '{fifo}'; exec sleep 1000"))
    pid = 0
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: voice.speak("Hello", heard=SPEECH))
            pid = int(await anyio.to_thread.run_sync(fifo.read_text))
            group.cancel_scope.cancel()
        # Cancelled while it starts the program, asyncio kills it, and reaps it a bit later.
        while is_there(pid):  # noqa: ASYNC110  a process is no event of ours
            await checkpoint()
    # In its debug mode asyncio logs that it kills the program.
    assert not [record for record in caplog.records if record.name.startswith("meshrt")]


@needs_sh
def test_the_default_voice_is_espeak_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert isinstance(default_voice(), EchoVoice)
    program(tmp_path, "exit 0")
    assert isinstance(default_voice(), EspeakVoice)
