"""Servers that look dead and are not: each session must live to the server's own end."""

import json
import time
from collections.abc import Callable
from functools import partial

import anyio
from support import (
    Chaos,
    RawConnection,
    chaos_proxy,
    connecting,
    raw_server,
    response_created,
    response_done,
    text_delta,
    text_frame,
)

from meshrt import MeshError
from meshrt.session import RealtimeSession

from .liveness import times
from .promises import Found, Setting
from .tools import CLEAR, MIB, Tally, unheard

_STALL_S = 25.0
_FLOWS_S = 40.0  # longer than an idle server may be silent
_BLOCKED_S = 5.0
_STEPS = 50
_MESSAGE = 5 * MIB
_BYTES_PER_S = 8000.0  # 64 kbit/s
_PIECES_A_SECOND = 20
_ALL = 100


async def no_kills(setting: Setting) -> Found:
    """Hold sessions in each of four ways, all at a time."""
    tally, percent, each = Tally(), setting.sizes["percent"], setting.sizes["each"]
    scale = percent / _ALL
    remark = "" if percent == _ALL else f" with {percent} % of the times"
    with unheard(tally):
        for script in (_drips, _never_pongs, _talks):
            act = partial(_block, scale) if script is _talks else None
            await _hold_all(partial(script, scale), each, percent, tally, act=act)
        rate = _BYTES_PER_S / scale
        narrow = Chaos(bytes_per_s=rate, piece_bytes=int(rate / _PIECES_A_SECOND))
        await _hold_all(_says_much, each, percent, tally, to_client=narrow)
    wrong, said = tally.found()
    return {"killed": (wrong, said + remark)}


async def _hold_all(
    script: Callable[[RawConnection], None],
    count: int,
    percent: int,
    tally: Tally,
    *,
    act: Callable[[], None] | None = None,
    to_client: Chaos | None = None,
) -> None:
    with raw_server(script) as server, chaos_proxy(server.port, to_client=to_client) as proxy:
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(_hold, proxy.port, percent, tally)
            if act is not None:
                await anyio.sleep(_BLOCKED_S * percent / _ALL)
                act()


async def _hold(port: int, percent: int, tally: Tally) -> None:
    try:
        async with connecting(port, liveness=times(percent)) as session:
            await session.send(CLEAR)
            await _read(session)
    except MeshError as error:
        tally.expect(False, repr(error))  # noqa: FBT003
    else:
        tally.expect(session.closed and session.closed.code == 1000, f"{session.closed}")


async def _read(session: RealtimeSession) -> None:
    async for _ in session:
        pass


def _block(scale: float) -> None:
    time.sleep(_BLOCKED_S * scale)


def _slowly(connection: RawConnection, seconds: float, pieces: list[bytes]) -> None:
    for piece in pieces:
        connection.write(piece)
        time.sleep(seconds / len(pieces))


def _drips(scale: float, connection: RawConnection) -> None:
    """Say nothing for 25 s of a turn, but for the bytes of one event."""
    connection.greet()
    connection.say(response_created())
    event = text_frame(text_delta("x" * 1000))
    size = -(-len(event) // _STEPS)
    pieces = [event[at : at + size] for at in range(0, len(event), size)]
    _slowly(connection, _STALL_S * scale, pieces)
    connection.say(response_done())
    connection.say_close()


def _never_pongs(scale: float, connection: RawConnection) -> None:
    """Answer no ping, but talk."""
    connection.greet()
    events = [text_frame(text_delta(number)) for number in range(_STEPS // 5)]
    _slowly(connection, _FLOWS_S * scale, events)
    connection.say_close()


def _talks(scale: float, connection: RawConnection) -> None:
    """Talk in a turn, to a client that is deaf in the middle of it."""
    connection.greet()
    connection.say(response_created())
    events = [text_frame(text_delta(number)) for number in range(_STEPS)]
    _slowly(connection, 3 * _BLOCKED_S * scale, events)
    connection.say(response_done())
    connection.say_close()


def _says_much(connection: RawConnection) -> None:
    """Say 5 MiB, which take minutes on their way."""
    connection.be_patient(2 * _MESSAGE / _BYTES_PER_S)
    connection.greet()
    connection.write(text_frame(json.dumps(text_delta("x")).ljust(_MESSAGE)))
    connection.say_close()
