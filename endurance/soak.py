"""Many sessions, and a long one: what they leave behind, and whether all came, in order."""

import base64
from contextlib import suppress

import anyio
from support import connecting, texts_of

from meshrt import MeshError
from meshrt.session import RealtimeMessage, RealtimeSession
from reliability.promises import Found, Setting
from reliability.tools import Tally, peer, unheard, until

from .left import Baseline, Memory

_PAUSE_S = 0.1  # between two events of one session
_AUDIO = base64.b64encode(bytes(2)).decode()  # the server keeps what it hears
_HASTE = 10  # the sessions of the warm-up say as much, in a tenth of the time
_SAMPLES = 40  # of a long session
_WARM_SAMPLES = _SAMPLES // 10


async def many(setting: Setting) -> Found:
    """Hold waves of sessions, and look at what is left after each."""
    sizes, tally, memory = setting.sizes, Tally(), Memory()
    with unheard(tally), peer("answers") as server:
        for _ in range(sizes["warm_up"]):
            await _wave(server.port, sizes["at_once"], sizes["seconds"], tally, haste=_HASTE)
        baseline = Baseline()
        memory.sample()
        for _ in range(sizes["waves"]):
            await _wave(server.port, sizes["at_once"], sizes["seconds"], tally)
            memory.sample()
        left = baseline.left()
    total = sizes["waves"] * sizes["at_once"]
    return {
        "order": (len(tally.wrong), f"{tally.remark()}, {total:,} sessions"),
        "session": (max(memory.growth(0), 0) / total / 1000, ""),
        "drift": memory.drift(0),
        "left": left,
    }


async def long(setting: Setting) -> Found:
    """Hold one session, and look at the memory all along."""
    seconds, tally, memory = setting.sizes["seconds"], Tally(), Memory()
    with unheard(tally), peer("answers") as server:
        await _hold(server.port, 0, tally)
        baseline = Baseline()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hold, server.port, seconds, tally)
            for _ in range(_SAMPLES):
                await anyio.sleep(seconds / _SAMPLES)
                memory.sample()
        left = baseline.left()
    return {
        "order": (len(tally.wrong), tally.remark()),
        "drift": memory.drift(_WARM_SAMPLES),
        "left": left,
    }


async def _wave(
    port: int, at_once: int, seconds: float, tally: Tally, *, haste: float = 1
) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(at_once):
            tasks.start_soon(_hold, port, seconds, tally, haste)


async def _hold(port: int, seconds: float, tally: Tally, haste: float = 1) -> None:
    """Say a number every now and then; each is answered by the same number."""
    try:
        async with connecting(port) as session, anyio.create_task_group() as tasks:
            heard = _Heard(session)
            tasks.start_soon(heard.read)
            said = await _say_numbers(session, seconds / _PAUSE_S, _PAUSE_S / haste)
            with suppress(TimeoutError):
                await until(lambda: heard.count >= said)
            tasks.cancel_scope.cancel("all is said")
    except MeshError as error:
        tally.expect(False, f"{error!r}")  # noqa: FBT003
        return
    tally.tried += said - 1
    tally.expect(heard.count == said and not heard.wrong, f"{heard.count} of {said}{heard.wrong}")


async def _say_numbers(session: RealtimeSession, count: float, pause_s: float) -> int:
    said = 0
    while said < max(count, 1):
        await session.send(
            {"type": "input_audio_buffer.append", "audio": _AUDIO, "event_id": str(said)}
        )
        said += 1
        await anyio.sleep(pause_s)
    return said


class _Heard:
    """Count what comes, and see that it is in order."""

    def __init__(self, session: RealtimeSession) -> None:
        self._session = session
        self.count = 0
        self.wrong = ""

    async def read(self) -> None:
        async for message in self._session:
            self._take(message)

    def _take(self, message: RealtimeMessage) -> None:
        for text in texts_of([message]):
            if text != str(self.count):
                self.wrong = self.wrong or f", and {text} after {self.count - 1}"
            self.count += 1
