"""A server that dies, falls silent or ends the session: how soon it is known, and as what."""

import time
from collections.abc import Callable

import anyio
import attrs
from support import (
    RawConnection,
    close_frame,
    connecting,
    created,
    error,
    raw_server,
    response_created,
    text_delta,
)

from meshrt.session import Liveness, RealtimeMessage, RealtimeSession
from meshrt.transports import ConnectError, ConnectionLost, SessionExpired

from .promises import Found, Setting
from .sending import Deaf
from .tools import Peer, Tally, Watch, numbers_of, peer, until

_ALL = 100
_EXPIRY = "Your session hit the maximum duration of 60 minutes."


async def killed(setting: Setting) -> Found:
    """Kill the server's process: mid-turn, idle, mid-frame and mid-handshake."""
    tally = Tally()
    found: Found = {}
    for script in ("turn", "idle", "frame", "handshake"):
        worst = 0.0
        for _ in range(setting.sizes["rounds"]):
            with peer(script) as server:
                worst = max(worst, await _kill(script, server, tally))
        found[script] = (worst, "")
    return {**found, "wrong": tally.found()}


async def _kill(script: str, server: Peer, tally: Tally) -> float:
    watch = Watch()

    async def kill_soon() -> None:
        nonlocal watch
        if script == "handshake":
            await server.says()
        await anyio.sleep(0.1)
        watch = Watch()
        server.kill()

    expected = ConnectError if script == "handshake" else ConnectionLost
    came: Exception | None = None
    try:
        async with anyio.create_task_group() as tasks:
            if script == "handshake":
                tasks.start_soon(kill_soon)
                came = await _failure_of_connect(server.port)
            else:
                came = await _failure_in_a_session(script, server.port, kill_soon, tally)
    finally:
        took = watch.s
    tally.expect(isinstance(came, expected), f"{script} gave {came!r:.60}")
    return took


async def _failure_of_connect(port: int) -> Exception | None:
    try:
        async with connecting(port):
            return None
    except ConnectError as came:
        return came


async def _failure_in_a_session(
    script: str, port: int, kill: Callable[[], object], tally: Tally
) -> Exception | None:
    async with connecting(port) as session:
        messages: list[RealtimeMessage] = []
        if script == "turn":
            await session.send({"type": "response.create"})
            await until(lambda: session.statistics().received == 4)
        await kill()  # type: ignore[misc]
        try:
            async for message in session:
                messages.append(message)  # noqa: PERF401  it ends with an error
        except ConnectionLost as came:
            expected = [0, 1] if script == "turn" else []
            tally.expect(numbers_of(messages) == expected, f"{script}: {numbers_of(messages)}")
            tally.expect(_is_told_of_turn(script, came), f"{script}: {came}")
            return came
    return None


def _is_told_of_turn(script: str, came: Exception) -> bool:
    return ("in the middle of a response" in str(came)) is (script == "turn")


async def silent(setting: Setting) -> Found:
    """Wait for a server that says no more: in a turn, and idle."""
    found: Found = {}
    percent = setting.sizes["percent"]
    remark = "" if percent == _ALL else f"with {percent} % of the times"

    async def measure(key: str, *, turn: bool) -> None:
        found[key] = (await _until_lost(times(percent), turn=turn), remark)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: measure("turn", turn=True))
        tasks.start_soon(lambda: measure("idle", turn=False))
    return found


def times(percent: int) -> Liveness:
    """Return the times that are the default, or a part of them."""
    usual = Liveness()
    if percent == _ALL:
        return usual
    return Liveness(**{name: s * percent / 100 for name, s in attrs.asdict(usual).items()})


async def _until_lost(limits: Liveness, *, turn: bool) -> float:
    deaf = Deaf()

    def script(connection: RawConnection) -> None:
        connection.greet()
        if turn:
            connection.read()
            connection.say(response_created(), text_delta(0))
        deaf.go.wait(100)

    with raw_server(script) as server:
        async with connecting(server.port, liveness=limits) as session:
            if turn:
                await session.send({"type": "response.create"})
                await until(lambda: session.statistics().received == 3)
            watch = Watch()
            try:
                with anyio.fail_after(90):
                    await _read(session)
            except ConnectionLost:
                took = watch.s
        deaf.go.set()
        await server.settled()
    return took


async def _read(session: RealtimeSession) -> None:
    async for _ in session:
        pass


async def expired(setting: Setting) -> Found:
    """End a session that has lasted as long as it may, in the three ways of servers."""
    tally = Tally()

    def by_close(connection: RawConnection) -> None:
        connection.greet()
        connection.say(text_delta(0))
        connection.write(close_frame(1001, _EXPIRY))

    def by_error(connection: RawConnection) -> None:
        connection.greet()
        connection.say(text_delta(0), error(_EXPIRY, code="session_expired"))
        connection.say_close(1000)

    def by_silence(connection: RawConnection) -> None:
        connection.shake_hands()
        connection.say(created(expires_at=int(time.time()) + 1), text_delta(0))
        connection.close()

    for _ in range(setting.sizes["rounds"]):
        for script in (by_close, by_error, by_silence):
            with raw_server(script) as server:
                tally.expect(*await _is_expiry(server.port, script.__name__))
                await server.settled()
    return {"wrong": tally.found()}


async def _is_expiry(port: int, name: str) -> tuple[bool, str]:
    messages: list[RealtimeMessage] = []
    try:
        async with connecting(port, errors="deliver") as session:
            async for message in session:
                messages.append(message)  # noqa: PERF401  it ends with an error
    except SessionExpired:
        return numbers_of(messages) == [0], f"{name}: {numbers_of(messages)} was readable"
    except Exception as came:  # noqa: BLE001  it is what is looked for
        return False, f"{name} gave {came!r:.60}"
    return False, f"{name} just ended"
