"""A program that is interrupted, or forgets: ``python -m reliability.program WHAT LOOP PORT``.

It says ``ready`` on its standard output, and at last a line of JSON on how it ended.
"""

import json
import logging
import sys
import time
from functools import partial

from support import PCM, connecting

from benchmarks.loops import run

from .tools import CLEAR


async def converse(port: int) -> None:
    """Open sessions and talk, again and again."""
    while True:
        async with connecting(port) as session:
            for _ in range(5):
                await session.send_audio(PCM)
                await session.send(CLEAR)
                await session.receive()


async def forget(port: int) -> None:
    """Enter a session's block by hand, and never leave it."""
    connection = connecting(port)
    session = await connection.__aenter__()
    await session.receive()


def main(what: str, loop: str, port: str) -> None:
    """Run it, and say how it ended."""
    function = {"converse": converse, "forget": forget}[what]
    raised = "nothing"
    # That events were queued and not sent is told by a warning, as it should.
    logging.getLogger("meshrt").addHandler(logging.NullHandler())
    try:
        print("ready", flush=True)
        run(loop, partial(function, int(port)))
    except BaseException as error:  # noqa: BLE001  it is what is to be told
        raised = type(error).__name__
    print(json.dumps({"raised": raised, "at": time.monotonic()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
