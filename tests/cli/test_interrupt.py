"""Ctrl-C, whenever it comes: exit status 130 and not a word."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from meshrt.cli._loop import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])

# Presses Ctrl-C at the first call of a function; if there is none, the gateway runs on and on.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
moment, *arguments = sys.argv[1:]

def press(frame, event, _):
    name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
    if event == "call" and name == moment:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGINT)

from meshrt.cli import main
sys.setprofile(press)
sys.exit(main(arguments))
"""
ANYWHERE = [
    "meshrt.cli._explained",
    "meshrt.cli._outcome.<module>",
    "meshrt.cli._arguments.parse",
    "meshrt.gateway._server.<module>",
    "meshrt.cli._loop.run",
    "meshrt.cli._loop._cancel",
    "meshrt.gateway._options.check_host",
    "meshrt.cli._serve._say_how",
]
MOMENTS = [
    *(("trio", moment) for moment in ANYWHERE),
    ("trio", "trio._core._run.setup_runner"),
    ("trio", "trio._core._run.Runner.spawn_impl"),
    *(("asyncio", moment) for moment in ANYWHERE),
    ("asyncio", "asyncio.base_events.BaseEventLoop.create_task"),
    ("asyncio", "asyncio.base_events.BaseEventLoop.run_until_complete"),
    ("asyncio", "asyncio.base_events.BaseEventLoop.run_forever"),
]


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let SIGINT raise, as it does unless a shell has put us into the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("backend", "moment"), MOMENTS)
def test_a_gateway_is_interrupted_at_any_moment(
    tmp_path: Path, environment: dict[str, str], backend: str, moment: str
) -> None:
    arguments = ["serve", "--port", "0", "--backend", backend]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, moment, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stderr) == (130, "")


@BACKENDS
@pytest.mark.usefixtures("ctrl_c")
def test_what_runs_is_cancelled_and_python_has_its_way_again(backend: str) -> None:
    ended = []

    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(backend)

    with pytest.raises(KeyboardInterrupt):
        run(main, backend=backend)

    assert ended == [backend]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@BACKENDS
@pytest.mark.usefixtures("ctrl_c")
def test_the_second_press_does_not_wait(backend: str) -> None:
    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        run(main, backend=backend)


@pytest.mark.usefixtures("ctrl_c")
def test_what_goes_wrong_by_itself_is_told_all_the_same() -> None:
    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        run(main, backend="asyncio")


@BACKENDS
@pytest.mark.usefixtures("ctrl_c")
def test_who_ignores_it_is_not_interrupted(backend: str) -> None:
    async def main() -> str:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep(0.01)
        return "done"

    signal.signal(signal.SIGINT, signal.SIG_IGN)

    assert run(main, backend=backend) == "done"
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@BACKENDS
def test_a_thread_runs_it_as_well(backend: str) -> None:
    results: list[str] = []

    async def main() -> str:
        await checkpoint()
        return "done"

    thread = threading.Thread(target=lambda: results.append(run(main, backend=backend)))
    thread.start()
    thread.join()

    assert results == ["done"]
