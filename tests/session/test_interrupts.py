"""Control-C at any moment is a KeyboardInterrupt and nothing else."""

import subprocess
import sys
from itertools import pairwise

import anyio.from_thread
import pytest

from meshrt.gateway import serve

TIMES = 12
HANG_S = 50

# A timer in a thread interrupts: the moment is drawn, and no test has to sleep for it.
PROGRAM = """
import functools, os, random, signal, sys, threading
import anyio
from meshrt import MeshAPI

async def converse(url, delay):
    client = MeshAPI(base_url=url)
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "?"}]}
    interrupt = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.daemon = True
    interrupt.start()
    while True:
        config = {"type": "realtime", "output_modalities": ["text"]}
        opening = client.realtime.connect(model="openai/gpt-realtime-mini", session=config)
        async with opening as session:
            session.on("message", lambda message: None)
            await session.create_item(item)
            await session.send_audio(bytes(48_000))
            await session.respond()
            async for message in session:
                if message.event.type == "response.done":
                    break

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in a shell's background has none
backend, url, times = sys.argv[1:]
# Trio raises between any two instructions of its own too, a socket just made in hand, unless told.
options = {"restrict_keyboard_interrupt_to_checkpoints": True} if backend == "trio" else {}
run = functools.partial(anyio.run, converse, url, backend=backend, backend_options=options)
chance = random.Random(7)
for _ in range(int(times)):
    try:
        run(chance.uniform(0, 0.1))
    except KeyboardInterrupt as error:
        print("interrupted", error.__cause__, flush=True)
run(0.05)
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_interrupt_at_any_moment_is_a_keyboard_interrupt_and_nothing_else(backend: str) -> None:
    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        with portal.wrap_async_context_manager(serve()) as gateway:
            done = subprocess.run(
                [sys.executable, "-X", "dev", "-c", PROGRAM, backend, gateway.url, str(TIMES)],
                capture_output=True,
                text=True,
                timeout=HANG_S,
                check=False,
            )
    assert done.stdout.splitlines() == TIMES * ["interrupted None"], done.stderr
    # The last one is not caught. Above it may stand what was being handled as it came, such as
    # asyncio's own cancellation. What the loops say of slow callbacks and of coroutines that an
    # interrupt kept from starting is theirs.
    raised = [
        line
        for line in done.stderr.splitlines()
        if line and not line.startswith((" ", "Executing <")) and "RuntimeWarning: " not in line
    ]
    assert raised.pop() == "KeyboardInterrupt", done.stderr
    handled = {above for above, below in pairwise(raised) if below.startswith("During handling")}
    headings = ("Traceback (most", "During handling of the")
    rest = [line for line in raised if not line.startswith(headings) and line not in handled]
    assert not rest, done.stderr
