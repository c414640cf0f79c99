"""Whole programs: interrupted at any moment, and with a session that nobody closes."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any, cast

import anyio.to_thread
from support import RawConnection, raw_server, text_delta

from .promises import Found, Setting
from .tools import ROOT, Tally

_PATIENCE_S = 10.0
_AT_ONCE = 2  # programs
_SOME_S = 0.5  # within which they are interrupted
_PIPE = subprocess.PIPE
_WARNING = re.compile(r"ResourceWarning: (?!Enable tracemalloc)(.*)")


def _program(*words: object, dev: bool = False) -> "subprocess.Popen[str]":
    options = ["-X", "dev", "-W", "default"] if dev else []
    command = [sys.executable, *options, "-m", "reliability.program", *map(str, words)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=_PIPE, stderr=_PIPE, text=True
    )


def _answering(connection: RawConnection) -> None:
    """Answer each event, and the CLOSE."""
    connection.greet()
    answered = 0
    while connection.read():
        heard = connection.so_far()
        for _ in heard.messages[answered:]:
            connection.say(text_delta(answered))
            answered += 1
        if heard.close is not None:
            connection.say_close()
            return


async def interrupted(setting: Setting) -> Found:
    """Interrupt a program at random moments: it ends soon, by ``KeyboardInterrupt`` alone."""
    tally = Tally()
    chance = random.Random(2)
    moments = [chance.random() * _SOME_S for _ in range(setting.sizes["times"])]
    with raw_server(_forgiving) as server:

        def interrupt(moment: float) -> tuple[float, str]:
            return _interrupt(setting.loop, server.port, moment)

        def interrupt_all() -> list[tuple[float, str]]:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                return list(pool.map(interrupt, moments))

        for took, problem in await anyio.to_thread.run_sync(interrupt_all):
            tally.took(took)
            tally.expect(not problem, problem)
    return {"wrong": tally.found(), "worst": tally.worst()}


def _forgiving(connection: RawConnection) -> None:
    with suppress(OSError):  # a program that is interrupted is rude
        _answering(connection)


def _interrupt(loop: str, port: int, moment: float) -> tuple[float, str]:
    """Return how long it took to end, and what was wrong."""
    with _program("converse", loop, port) as process:
        try:
            _line(process)
            time.sleep(moment)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            try:
                out, err = process.communicate(timeout=_PATIENCE_S)
            except subprocess.TimeoutExpired:
                return _PATIENCE_S, "it did not end"
            took = time.monotonic() - began
        finally:
            process.kill()
    raised = json.loads(out or '{"raised": "nothing"}')["raised"]
    if raised != "KeyboardInterrupt":
        return took, f"it raised {raised}"
    return took, f"it said {err.strip()[-60:]}" if err.strip() else ""


async def forgotten(setting: Setting) -> Found:
    """Let a program end with a session that nobody closed: what does it say, and how soon?"""
    tally = Tally()
    also: set[str] = set()
    with raw_server(_forgiving) as server:
        for _ in range(setting.sizes["times"]):
            took, err, raised = await anyio.to_thread.run_sync(_forget, setting.loop, server.port)
            tally.took(took)
            warnings = _WARNING.findall(err)
            names_place = len(warnings) == 1 and "_local.py" in warnings[0]
            tally.expect(names_place, f"{len(warnings)} warnings")
            if raised != "nothing":
                also.add(f"; also {raised}")  # the loop's own word about what is left open
    wrong, remark = tally.found()
    return {"wrong": (wrong, remark + "".join(sorted(also))), "worst": tally.worst()}


def _forget(loop: str, port: int) -> tuple[float, str, str]:
    with _program("forget", loop, port, dev=True) as process:
        try:
            out, err = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return _PATIENCE_S, "", "nothing, for it did not end"
        ended = time.monotonic()
    report: dict[str, Any] = json.loads(out.splitlines()[-1])
    return ended - report["at"], err, report["raised"]


def _line(process: "subprocess.Popen[str]") -> str:
    return cast("IO[str]", process.stdout).readline()
