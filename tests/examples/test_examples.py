"""Every example does what it says, as a program of its own, against a gateway of our own."""

import ast
import os
import re
import subprocess
import sys
import wave
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

import meshrt
from meshrt.audio import duration_ms, read_wav
from meshrt.gateway import EchoVoice, Gateway, serve

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
JOURNEY = ROOT / "tests" / "data" / "audio" / "journey_question_24k.wav"
STEREO = ROOT / "tests" / "data" / "audio" / "train_question_48k_stereo.wav"

# Elsewhere: their tests are those of the tutorial, and of the application.
NOT_HERE = {"first_conversation.py", "starlette_app.py"}
KEY = "rsk_example"
SLOW = re.compile(r"Executing <.*> took \d+\.\d+ seconds")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with start_blocking_portal("asyncio") as portal:
        with portal.wrap_async_context_manager(serve(voice=EchoVoice(), key=KEY)) as gateway:
            yield gateway


def run(
    name: str, *arguments: str, cwd: Path, key: str = KEY, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-X", "dev", str(EXAMPLES / name), *arguments]
    inherited = {name: value for name, value in os.environ.items() if "MESH" not in name}
    # The meshrt that is under test, installed or not.
    home = str(Path(meshrt.__file__).parents[1])
    path = os.pathsep.join(filter(None, [home, inherited.pop("PYTHONPATH", "")]))
    env = {**inherited, "PYTHONPATH": path, "MESH_API_KEY": key, **environment}
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=50, check=False
    )


def output(name: str, *arguments: str, cwd: Path, **environment: str) -> str:
    """Return what it prints; it must end well and complain of nothing."""
    done = run(name, *arguments, cwd=cwd, **environment)
    # In its debug mode asyncio says so when the machine is busy; that is no fault of ours.
    complaints = [line for line in done.stderr.splitlines() if not SLOW.fullmatch(line)]
    assert (done.returncode, complaints) == (0, []), done.stderr
    return done.stdout


def test_every_example_has_a_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert path.name in NOT_HERE or f'"{path.name}"' in text


def test_voice_agent_says_the_question_and_keeps_the_answer(
    gateway: Gateway, tmp_path: Path
) -> None:
    printed = output("voice_agent.py", "--url", gateway.url, cwd=tmp_path)

    reply = tmp_path / "voice-agent-reply.wav"
    assert re.fullmatch(
        r"I heard 3\.\d seconds of speech\.\n"
        r"The response is completed\.\n"
        r"voice-agent-reply\.wav has 4\.\d seconds\.\n",
        printed,
    ), printed
    with wave.open(str(reply)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
    # An echo: nothing was lost on the way there, nothing on the way back.
    speech = files("meshrt") / "cli" / "speech" / "train_question_24k.wav"
    assert read_wav(reply) == read_wav(str(speech))


def test_voice_agent_takes_a_question_of_your_own(gateway: Gateway, tmp_path: Path) -> None:
    arguments = ("--wav", str(JOURNEY), "--out", str(tmp_path / "mine.wav"))
    printed = output("voice_agent.py", *arguments, cwd=tmp_path, MESH_BASE_URL=gateway.url)

    assert "The response is completed." in printed
    assert read_wav(tmp_path / "mine.wav") == read_wav(JOURNEY)


def test_trio_app_is_heard_and_answered(gateway: Gateway, tmp_path: Path) -> None:
    printed = output("trio_app.py", "--url", gateway.url, cwd=tmp_path)

    found = re.fullmatch(
        r"The server hears speech from (\d+) ms on\.\n"
        r"It heard the end of it at (\d+) ms\.\n"
        r"It says: I heard 3\.\d seconds of speech\.\n"
        r"It spoke for (\d\.\d) seconds\.\n",
        printed,
    )
    assert found, printed
    assert float(found[3]) == pytest.approx((int(found[2]) - int(found[1])) / 1000, abs=0.06)


def test_asyncio_app_has_three_conversations_at_once(gateway: Gateway, tmp_path: Path) -> None:
    printed = output("asyncio_app.py", "--url", gateway.url, cwd=tmp_path)

    # Whoever writes is done before the one that speaks; the two of them in any order.
    assert sorted(re.sub(r"\d\.\d", "0.0", printed).splitlines()) == [
        "spoken: I heard 0.0 seconds of speech. (0.0 s)",
        'written: You wrote: "How long does the journey take?". (0.0 s)',
        'written: You wrote: "When does the next train leave?". (0.0 s)',
    ]
    assert "(0.0 s)" not in printed


def test_bring_your_own_transport_speaks_and_hears(gateway: Gateway, tmp_path: Path) -> None:
    printed = output("bring_your_own_transport.py", "--wav", str(JOURNEY), "--url", gateway.url,
                     cwd=tmp_path)  # fmt: skip

    seconds = duration_ms(read_wav(JOURNEY)) / 1000
    assert re.fullmatch(r"I heard \d\.\d seconds of speech\.\n.*\n", printed), printed
    assert printed.endswith(f"It spoke for {seconds:.1f} seconds.\n")


def test_bring_your_own_transport_takes_the_address_of_a_websocket(
    gateway: Gateway, tmp_path: Path
) -> None:
    url = gateway.url.replace("http://", "ws://")
    assert "It spoke for" in output("bring_your_own_transport.py", "--url", url, cwd=tmp_path)


@pytest.mark.parametrize(
    "name", ["voice_agent.py", "trio_app.py", "asyncio_app.py", "bring_your_own_transport.py"]
)
def test_a_file_of_another_format_is_not_sent(gateway: Gateway, tmp_path: Path, name: str) -> None:
    done = run(name, "--wav", str(STEREO), "--url", gateway.url, cwd=tmp_path)

    assert done.returncode == 1
    assert STEREO.name in done.stderr
    assert "mono" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_no_example_reads_or_writes_a_file_in_an_event_loop(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    coroutines = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    called = {
        ast.unparse(node.func)
        for coroutine in coroutines
        for node in ast.walk(coroutine)
        if isinstance(node, ast.Call)
    }
    assert not called & {"read_wav", "write_wav", "open", "wave.open"}


def test_bring_your_own_transport_needs_nothing_of_meshrt_that_does_io() -> None:
    tree = ast.parse((EXAMPLES / "bring_your_own_transport.py").read_text(encoding="utf-8"))
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert {name for name in imported if name and name.startswith("meshrt")} == {
        "meshrt.events", "meshrt.protocol",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "voice_agent.py",
        "trio_app.py",
        "asyncio_app.py",
        "bring_your_own_transport.py",
        "between_hooks.py",
    ],
)
def test_a_wrong_key_ends_it_with_a_sentence_that_does_not_show_it(
    gateway: Gateway, tmp_path: Path, name: str
) -> None:
    done = run(name, "--url", gateway.url, cwd=tmp_path, key="rsk_wrong")

    assert done.returncode == 1
    assert "Incorrect API key" in done.stderr
    assert "rsk_wrong" not in done.stdout + done.stderr


def test_over_trio_websocket_shows_what_is_written_back(gateway: Gateway, tmp_path: Path) -> None:
    shown = output(
        "over_trio_websocket.py", "--url", gateway.url, "--text", "Is it on?", cwd=tmp_path
    )
    assert shown == 'You wrote: "Is it on?".\n'


def test_over_nothing_shows_both_sides_of_a_turn(tmp_path: Path) -> None:
    *types, summary = output("over_nothing.py", cwd=tmp_path).splitlines()
    assert types == [
        "session.created",
        "response.created",
        "response.output_text.delta",
        "response.done",
    ]
    assert summary == "sess_1 False Hello."


def test_between_hooks_opens_in_one_task_and_closes_in_another(
    gateway: Gateway, tmp_path: Path
) -> None:
    printed = output("between_hooks.py", "--url", gateway.url, cwd=tmp_path)
    assert printed == "It is open.\nIt was closed by the client.\n"


def passed(*names: str, in_folder: Path) -> str:
    """Run a suite of tests where it is copied to, and return what pytest says at the end."""
    for name in names:
        (in_folder / name).write_bytes((EXAMPLES / name).read_bytes())
    home = str(Path(meshrt.__file__).parents[1])
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-X", "dev", "-m", "pytest", "-W", "error", "-q", "-c", os.devnull]
    done = subprocess.run(
        [*command, f"--rootdir={in_folder}", "-p", "no:cacheprovider", str(in_folder)],
        cwd=in_folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()[-1]


def test_with_a_session_is_a_test_that_passes_on_every_loop(tmp_path: Path) -> None:
    said = passed("test_with_a_session.py", in_folder=tmp_path)
    assert said.startswith("4 passed")  # two tests, on asyncio and on Trio


def test_weather_agent_asks_and_shows_the_answer(gateway: Gateway, tmp_path: Path) -> None:
    shown = output("weather_agent.py", "--url", gateway.url, cwd=tmp_path)
    assert shown == 'You wrote: "What\'s the weather in Paris?".\n'


def test_the_suite_of_the_weather_agent_passes(tmp_path: Path) -> None:
    # Its whole name, for the page that shows it: examples/test_weather_agent.py
    said = passed("weather_agent.py", "test_weather_agent.py", in_folder=tmp_path)
    assert said.startswith("11 passed")
