"""One measurement in a process of its own: ``python -m benchmarks.worker KIND URL JOB SIZES``."""

import argparse
import gc
import json
import math
import os
import statistics
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import anyio
import anyio.abc

from . import loops, wire
from .checks import expect
from .clients import Heard, Link, Open, opener
from .kinds import CLIENTS, KINDS
from .server import raise_file_limit

Figures = dict[str, float]
Job = Callable[..., Awaitable[Figures]]

_CHUNKS = [wire.pcm(number, wire.CHUNK_BYTES) for number in range(8)]
_WARM_SESSIONS = 10  # what is made once, for all sessions, is made by then
_GRACE_S = 1.0


async def text(connect: Open, *, count: int) -> Figures:
    """Receive text as fast as it comes."""
    async with connect() as link:
        for part in (count // 10, count):
            began = perf_counter()
            await link.ask(f"text-{part}")
            expect(await link.text(part), wire.text_size(part))
            took = perf_counter() - began
    return {"per_second": count / took}


async def audio(connect: Open, *, count: int, kib: int = wire.AUDIO_KIB) -> Figures:
    """Receive audio as fast as it comes, and decode it."""
    async with connect() as link:
        for part in (count // 10, count):
            heard = Heard()
            began = perf_counter()
            await link.ask(f"audio-{part}-{kib}")
            await link.audio(part, heard)
            took = perf_counter() - began
            expect((heard.size, heard.disordered), (part * kib * 1024, 0))
    return {"per_second": count / took, "mib": count * kib / 1024 / took}


async def appends(connect: Open, *, count: int) -> Figures:
    """Send 20 ms of audio at a time, until the server has all of it."""
    async with connect() as link:
        for part in (count // 10, count):
            await link.ask(f"count-{part}")
            began = perf_counter()
            await link.append(_CHUNKS, part)
            await link.committed()
            took = perf_counter() - began
    return {"per_second": count / took}


async def echo(connect: Open, *, count: int) -> Figures:
    """Ask and be answered, one question at a time."""
    took = []
    async with connect() as link:
        for number in range(count + count // 10):
            began = perf_counter()
            await link.ask(f"echo-{number}")
            took.append(perf_counter() - began)
    cuts = statistics.quantiles(took[count // 10 :], n=100)
    return {"p50": 1e6 * cuts[49], "p99": 1e6 * cuts[98]}


async def paced(connect: Open, *, sessions: int, count: int) -> Figures:
    """Receive 20 ms of audio every 20 ms, in many sessions at once."""
    heard = [Heard() for _ in range(sessions)]
    go = anyio.Event()

    async def listen(link: Link, ear: Heard) -> None:
        await go.wait()
        await link.ask(f"paced-{count}")
        await link.audio(count, ear)

    async with many(connect, [listen_to(listen, ear) for ear in heard]) as finished:
        gc.collect()
        cpu = process_time()
        go.set()
        with anyio.move_on_after(count * wire.PERIOD_S + _GRACE_S):
            await finished.wait()
        cpu = process_time() - cpu
    came = sum(ear.count for ear in heard)
    return {
        "cpu": 1e6 * cpu / came if came else math.nan,
        "delivered": came / (count * sessions),
        "disordered": sum(ear.disordered for ear in heard),
    }


async def memory(connect: Open, *, sessions: int, settle_ms: int) -> Figures:
    """Hold sessions in which nothing happens."""

    async def rest(_: Link) -> None:
        await anyio.sleep_forever()

    async with many(connect, [rest] * _WARM_SESSIONS):
        before = await resident(settle_ms)
        async with many(connect, [rest] * sessions):
            after = await resident(settle_ms)
    return {"kib": (after - before) / 1024 / sessions}


def listen_to(
    listen: Callable[[Link, Heard], Awaitable[None]], ear: Heard
) -> Callable[[Link], Awaitable[None]]:
    """Bind an ear."""
    return lambda link: listen(link, ear)


@asynccontextmanager
async def many(connect: Open, bodies: list[Callable[[Link], Awaitable[None]]]) -> Any:
    """Open sessions, each in a task of its own; give an event that all bodies have ended."""
    finished = anyio.Event()
    left = len(bodies)

    async def live(
        body: Callable[[Link], Awaitable[None]], *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        nonlocal left
        async with connect() as link:
            task_status.started()
            await body(link)
            left -= 1
            if not left:
                finished.set()
            await anyio.sleep_forever()  # a close would be part of what the others cost

    async with anyio.create_task_group() as tasks:
        for body in bodies:
            await tasks.start(live, body)
        yield finished
        tasks.cancel_scope.cancel()


async def resident(settle_ms: int) -> int:
    """Return how many bytes of memory this process has, when it has settled.

    Raises:
        OSError: This is not Linux.
    """
    await anyio.sleep(settle_ms / 1000)
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]  # noqa: ASYNC240
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


JOBS: dict[str, Job] = {
    "text": text,
    "audio": audio,
    "appends": appends,
    "echo": echo,
    "paced": paced,
    "memory": memory,
}


def trust(bundle: str | None) -> None:
    """Let meshapi, which asks certifi and nobody else, trust the load server too."""
    if bundle is not None:
        import certifi

        certifi.where = lambda: bundle


def main() -> None:
    """Measure, and print a line of JSON for each pair of a job and its sizes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    parser.add_argument("kind", choices=[kind.name for kind in CLIENTS])
    parser.add_argument("url")
    parser.add_argument("jobs", nargs="+", metavar="JOB SIZES")
    options = parser.parse_args()
    kind = KINDS[options.kind]
    raise_file_limit()
    trust(os.environ.get("BENCHMARKS_BUNDLE") if kind.library == "meshapi" else None)

    async def measure(job: str, sizes: dict[str, int]) -> Figures:
        return await JOBS[job](opener(kind, options.url), **sizes)

    for job, sizes in zip(options.jobs[::2], options.jobs[1::2], strict=True):
        print(json.dumps(loops.run(kind.loop, partial(measure, job, json.loads(sizes)))))


if __name__ == "__main__":
    main()
