"""A session over a bad network, both sides counting: whole, or ended with a typed error."""

import json
import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Literal

import anyio
import attrs

from meshrt import MeshError
from meshrt.session import RealtimeMessage, RealtimeSession

from ._chaos import Chaos, chaos_proxy
from ._local import connecting
from ._raw_server import RawConnection, RawServer, raw_server
from ._wire import text_delta, texts_of

_ENDS: Final[tuple[Literal["rst", "fin", "half"], ...]] = ("rst", "fin", "half")
_MAX_LATENCY_S: Final = 0.5
_MAX_STALL_S: Final = 2.0
_BYTES: Final = (600, 150)  # more or less what a handshake and an event take
_HANG_S: Final = 60.0


@attrs.frozen(kw_only=True)
class Ordeal:
    """What one session goes through; the same seed gives the same.

    Attributes:
        seed: For what is left to chance.
        to_server: The network on the way there.
        to_client: And back.
        said: How many events each side says.
        pause_s: At most so long the client waits between two.
    """

    seed: int
    to_server: Chaos
    to_client: Chaos
    said: int
    pause_s: float


@attrs.define
class Outcome:
    """How it ended.

    Attributes:
        end: ``"complete"``, the name of a typed error, or what should not be.
        problem: What is wrong with it, if something is.
    """

    end: str = "complete"
    problem: str = ""


def ordeal(seed: int, *, scale: float = 1.0) -> Ordeal:
    """Make up what a session goes through; ``scale`` is that of all its times."""
    chance = random.Random(seed)
    said = chance.randrange(1, 80)
    cut, stalled = chance.randrange(3), chance.randrange(4)  # each in one way, or in none
    to_server, to_client = (
        attrs.evolve(
            _way(chance, scale),
            end_at=_place(chance, said) if cut == way else None,
            stall_at=_place(chance, said) if stalled == way else None,
        )
        for way in range(2)
    )
    return Ordeal(
        seed=seed, to_server=to_server, to_client=to_client, said=said, pause_s=0.05 * scale
    )


def _place(chance: random.Random, said: int) -> int:
    """Return an offset at which something goes wrong."""
    head, event = _BYTES
    return chance.randrange(1, head + event * said)


def _way(chance: random.Random, scale: float) -> Chaos:
    return Chaos(
        latency_s=chance.uniform(0, _MAX_LATENCY_S) * scale,
        jitter_s=chance.uniform(0, _MAX_LATENCY_S / 2) * scale,
        piece_bytes=chance.choice((1, 7, 100, 65536)),
        stall_s=chance.uniform(0, _MAX_STALL_S) * scale,
        end=chance.choice(_ENDS),
    )


async def go_through(what: Ordeal) -> Outcome:
    """Hold a session over such a network, and judge what came of it."""

    def script(connection: RawConnection) -> None:
        connection.greet()
        _speak_and_hear(connection, what.said)

    outcome, messages = Outcome(), list[RealtimeMessage]()
    with raw_server(script) as server:
        ways = {"to_server": what.to_server, "to_client": what.to_client}
        with chaos_proxy(server.port, **ways, seed=what.seed) as proxy:
            try:
                with anyio.fail_after(_HANG_S):
                    await _converse(proxy.port, what, messages, outcome)
            except MeshError as error:
                outcome.end = type(error).__name__
            except TimeoutError:
                outcome.end, outcome.problem = "hang", f"it hung for {_HANG_S:g} s"
            except Exception as error:  # noqa: BLE001  it is what is looked for
                outcome.end, outcome.problem = type(error).__name__, repr(error)
        await server.settled()
        outcome.problem = outcome.problem or _problem(what, outcome, server, messages)
    return outcome


def _speak_and_hear(connection: RawConnection, said: int) -> None:
    """Say all numbers while hearing the client's, and close when both are done."""

    def speak() -> None:
        with suppress(OSError):
            for number in range(said):
                connection.say(text_delta(number))

    speaking = threading.Thread(target=speak)
    speaking.start()
    while len(connection.so_far().messages) < said and connection.read():
        pass
    speaking.join()
    if len(connection.so_far().messages) >= said:
        connection.say_close()


async def _converse(
    port: int, what: Ordeal, messages: list[RealtimeMessage], outcome: Outcome
) -> None:
    async with connecting(port) as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_send, session, what)
            try:
                async for message in session:
                    messages.append(message)  # noqa: PERF401  it may end with an error
            except MeshError as error:
                outcome.end = type(error).__name__


async def _send(session: RealtimeSession, what: Ordeal) -> None:
    chance = random.Random(what.seed)
    with suppress(MeshError):  # the reader has it as well
        for number in range(what.said):
            await session.send({"type": "input_audio_buffer.clear", "event_id": str(number)})
            await anyio.sleep(chance.uniform(0, what.pause_s))


def _problem(
    what: Ordeal, outcome: Outcome, server: RawServer, messages: Sequence[RealtimeMessage]
) -> str:
    heard: list[Any] = []
    for connection in server.connections:
        heard += map(json.loads, connection.so_far().messages)
    for side, numbers in (
        ("we heard", [int(text) for text in texts_of(messages)]),
        ("the server heard", [int(event["event_id"]) for event in heard]),
    ):
        if numbers != list(range(len(numbers))):
            return f"{side} {numbers}"
        if outcome.end == "complete" and len(numbers) != what.said:
            return f"{side} {len(numbers)} of {what.said}, and it ended well"
    return ""
