"""What can't be used is one sentence on stderr and exit status 2, never a traceback."""

import http.server
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshrt.audio import write_wav
from meshrt.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]


def sentence_of(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert done.stderr.startswith("meshrt: ")
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture
def port_of_nobody() -> Iterator[int]:
    """Hold a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def web_server() -> Iterator[str]:
    """Run a server that is no gateway."""
    handler = http.server.BaseHTTPRequestHandler
    handler.log_message = lambda *_: None  # type: ignore[method-assign]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "required: command"),
        (("sing",), "invalid choice: 'sing'"),
        (("demo", "--pace", "slow"), "--pace"),
        (("demo", "--backend", "curio"), "--backend"),
        (("demo", "--loud"), "unrecognized arguments: --loud"),
        (("demo", "--text", "a", "--wav", "b"), "not allowed with"),
        (("demo", "--text", " "), "--text is empty"),
        (("demo", "--wav", "nowhere.wav"), "No such file"),
        (("demo", "--wav", ""), "argument --wav: it names no file"),
        (("demo", "--out", ""), "argument --out: it names no file"),
        (("demo", "--wav", "not.wav"), "is not a WAV file"),
        (("demo", "--wav", "stereo.wav"), "needed is 16-bit PCM, mono, 24000 Hz"),
        (("demo", "--wav", "empty.wav"), "holds no audio"),
        (("demo", "--out", "."), "it is a folder"),
        (("demo", "--out", "no/such/folder.wav"), "there is no folder 'no/such'"),
        (("demo", "--out", "x" * 300), "can't be written"),
        (("demo", "--wav", "good.wav", "--out", "good.wav"), "--wav names"),
        (("demo", "--url", "ftp://localhost"), "meshrt: --url must begin with https://"),
        (("demo", "--url", "http://example.com"), "in the clear"),
        (("demo", "--url", "https://example.com"), "no API key: set MESH_API_KEY"),
        (("demo", "--pace", "fast", "--model", "openai/none"), "There is no model"),
        (("serve", "--port", "65536"), "a port is a number"),
        (("serve", "--port", "-1"), "a port is a number"),
        (("serve", "--port", "many"), "a port is a number"),
        (("serve", "--host", "192.0.2.1"), "loopback"),
        (("serve", "--key", "a b"), "printable ASCII"),
    ],
)
def test_bad_input_is_one_sentence(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    write_wav(tmp_path / "good.wav", bytes(4800))
    write_wav(tmp_path / "empty.wav", b"")
    (tmp_path / "not.wav").write_text("no sound")
    stereo = bytearray((tmp_path / "good.wav").read_bytes())
    stereo[22], stereo[32] = 2, 4  # channels, and bytes in a frame of them
    (tmp_path / "stereo.wav").write_bytes(stereo)

    done = run(*arguments)

    assert words in sentence_of(done)
    assert "base_url" not in done.stderr
    assert not (tmp_path / "meshrt-reply.wav").exists()


def test_json_stays_silent_where_nothing_came(run: Run) -> None:
    done = run("demo", "--json", "--pace", "fast", "--model", "openai/none")

    assert "There is no model" in sentence_of(done)
    assert done.stdout == ""


def test_an_unreachable_server_is_named(run: Run, port_of_nobody: int) -> None:
    done = run("demo", "--url", f"http://127.0.0.1:{port_of_nobody}")

    assert str(port_of_nobody) in sentence_of(done)


def test_a_server_that_is_no_gateway_is_told_from_one(run: Run, web_server: str) -> None:
    done = run("demo", "--url", web_server)

    assert "refused the session with HTTP 501" in sentence_of(done)


def test_a_bad_key_in_the_environment_is_not_repeated(run: Run, port_of_nobody: int) -> None:
    url = f"http://127.0.0.1:{port_of_nobody}"

    done = run("demo", "--url", url, MESH_API_KEY="rsk_secret with spaces")

    assert "the API key" in sentence_of(done)
    assert "rsk_secret" not in done.stderr + done.stdout


def test_a_local_demo_does_not_look_at_the_users_key(run: Run) -> None:
    done = run("demo", "--json", "--text", "hi", MESH_API_KEY="rsk_secret with spaces")

    assert (done.returncode, done.stderr) == (0, "")


def test_main_returns_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--wav", "/nowhere/at/all.wav"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("h11", ["demo", "--text", "hi"], "gateway"),
        ("h11", ["serve"], "gateway"),
        ("trio", ["demo", "--backend", "trio"], "trio"),
        ("trio", ["serve", "--backend", "trio"], "trio"),
    ],
)
def test_a_missing_extra_is_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    arguments: list[str],
    extra: str,
) -> None:
    for name in [name for name in sys.modules if name.startswith(("meshrt.gateway", "h11"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "meshrt.cli._serve", raising=False)
    monkeypatch.setitem(sys.modules, package, None)

    assert main(arguments) == 2
    complaint = capsys.readouterr().err
    assert f'pip install "meshrt[{extra}]"' in complaint
    assert complaint.count("\n") == 1
