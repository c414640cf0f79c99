"""``meshrt demo``, run as a user runs it: on a terminal, in a pipe, for a program."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshrt.audio import bytes_of_ms, duration_ms, read_wav, write_wav

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


def report_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the one JSON object that must be all that was printed."""
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@BACKENDS
def test_a_fast_demo_prints_one_json_object(run: Run, tmp_path: Path, backend: str) -> None:
    report = report_of(run("demo", "--json", "--pace", "fast", "--backend", backend))

    reply = read_wav(tmp_path / "meshrt-reply.wav")
    assert report["backend"] == backend
    assert report["model"] == "openai/gpt-realtime-mini"
    assert report["session_id"].startswith("sess_")
    assert report["sent_audio_ms"] >= 4500
    assert report["received_audio_ms"] > 200
    assert report["received_audio_ms"] == duration_ms(reply)
    assert report["first_audio_ms"] is None
    assert "speech" in report["transcript"]
    assert report["events"]["response.done"] == 1
    assert report["events"]["input_audio_buffer.speech_stopped"] == 1
    assert report["closed"] == {"code": 1000, "reason": "", "initiator": "client"}


@BACKENDS
def test_at_the_pace_of_speech_it_measures_the_first_audio(
    run: Run, short_wav: Path, backend: str
) -> None:
    report = report_of(run("demo", "--json", "--wav", short_wav, "--backend", backend))

    assert report["first_audio_ms"] > 0
    assert report["sent_audio_ms"] > 1000


def test_a_written_question_gets_a_spoken_answer(run: Run, tmp_path: Path) -> None:
    report = report_of(run("demo", "--json", "--text", "How late is it?", "--out", "said.wav"))

    assert report["sent_audio_ms"] == 0
    assert report["first_audio_ms"] > 0
    assert "How late is it?" in report["transcript"]
    assert duration_ms(read_wav(tmp_path / "said.wav")) == report["received_audio_ms"]


def test_in_a_pipe_it_prints_plain_lines(run: Run, short_wav: Path) -> None:
    done = run("demo", "--wav", short_wav)

    assert (done.returncode, done.stderr) == (0, "")
    assert CONTROL.search(done.stdout) is None
    sequence = (
        r"asks short\.wav, 1\.0 s\nsession sess_\w+ with openai/gpt-realtime-mini\n(.*\n)*"
        r"sent 1\.0 s, -\d+ dB\n(.*\n)*speech ended at \d\.\d s\nfirst audio after \d+ ms\n"
        r"(.*\n)*received \d\.\d s, -\d+ dB\nreply: .*speech.*\nclosed by the client with code "
        r"1000\nthe reply is in meshrt-reply\.wav, \d\.\d s\n"
    )
    assert re.search(sequence, done.stdout)


def test_a_pipe_that_knows_ascii_only_gets_every_word(run: Run) -> None:
    done = run("demo", "--text", "Grüße", "--pace", "fast", PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, "")
    assert r"Gr\xfc\xdfe" in done.stdout


def test_silence_is_committed_by_us(run: Run, tmp_path: Path) -> None:
    write_wav(tmp_path / "silence.wav", bytes(bytes_of_ms(300)))

    done = run("demo", "--wav", "silence.wav", "--pace", "fast")

    assert (done.returncode, done.stderr) == (0, "")
    assert "committing the audio" in done.stdout
    assert "no speech" in done.stdout


def test_two_turns_in_one_file_are_both_heard_to_their_end(
    run: Run, short_wav: Path, tmp_path: Path
) -> None:
    speech = read_wav(short_wav)
    write_wav(tmp_path / "two.wav", speech + bytes(bytes_of_ms(900)) + speech)

    report = report_of(run("demo", "--json", "--pace", "fast", "--wav", "two.wav"))

    assert report["events"]["input_audio_buffer.speech_stopped"] == 2
    assert report["events"]["response.created"] == report["events"]["response.done"]


def test_nobody_reading_is_no_reason_to_complain(start: Start) -> None:
    process = start("demo", "--text", "hello")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None

    _, complaint = process.communicate(timeout=30)

    assert complaint == ""
    assert process.returncode == 1


@BACKENDS
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_ctrl_c_ends_it_without_a_traceback(start: Start, backend: str) -> None:
    process = start("demo", "--backend", backend)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("sent"):
        assert process.poll() is None

    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)

    assert complaint == ""
    assert process.returncode == 130
