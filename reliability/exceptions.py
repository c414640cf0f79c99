"""What comes out of a session's block: one cause, one bare exception, the user's own unchanged."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import anyio
from support import (
    RawConnection,
    close_frame,
    connecting,
    nothing_left,
    raw_server,
    server_frame,
)

from meshrt.errors import MeshError, RealtimeError, RemoteProtocolError, SlowConsumerError
from meshrt.session import RealtimeSession
from meshrt.transports import ConnectError, ConnectionLost, SessionExpired

from .promises import Found, Setting
from .tools import CLEAR, Tally, until

_EXPIRY = "Your session hit the maximum duration of 60 minutes."
_CANCELLED = "cancelled"


class Own(Exception):  # noqa: N818  no error of ours
    """What a user raises."""


class OwnBase(BaseException):
    """What a user raises that is no ``Exception``."""


Body: TypeAlias = Callable[[RealtimeSession], Awaitable[None]]
Expected: TypeAlias = BaseException | type[BaseException] | str
"""The same object, an instance of exactly this class, or ``"cancelled"``."""


async def shapes(setting: Setting) -> Found:
    """Let one thing go wrong, and then two at once: see what comes out."""
    single, pairs = Tally(), Tally()
    for tally, cases in ((single, _SINGLE), (pairs, _PAIRS)):
        for _ in range(setting.sizes["rounds"]):
            for case in cases:
                try:
                    async with nothing_left():
                        await _try(case, tally)
                except AssertionError as left:
                    tally.expect(holds=False, what=f"{case.__name__} left {left}")
    return {"single": single.found(), "pairs": pairs.found()}


async def _try(case: Callable[[], Awaitable[tuple[Expected, Any]]], tally: Tally) -> None:
    expected, came = await case()
    holds = (type(came) if isinstance(expected, type) else came) is expected
    # Our own errors are bare: what else went on inside is no context of theirs.
    if isinstance(came, MeshError):
        holds = holds and came.__context__ is None
    tally.expect(holds, f"{case.__name__} gave {came!r:.60}")
    if isinstance(came, BaseException):
        came.__traceback__ = None


async def _outcome(
    body: Body,
    *said: bytes,
    end: Callable[[RawConnection], None] = RawConnection.serve,
    asked: bool = False,
    **options: Any,
) -> Any:
    """Run a body with a server that says something and ends so; return what came out.

    Args:
        body: The block's.
        said: What the server says after its greeting.
        end: How it ends.
        asked: Whether it waits for a word of the client's before that.
        options: For the session.
    """

    def script(connection: RawConnection) -> None:
        connection.greet()
        if asked:
            connection.read()
        for data in said:
            connection.write(data)
        end(connection)

    with raw_server(script) as server:
        came = await _caught(lambda: _session(server.port, body, options))
        await server.settled()
    return came


async def _session(port: int, body: Body, options: dict[str, Any]) -> None:
    async with connecting(port, **options) as session:
        await body(session)


async def _caught(function: Callable[[], Awaitable[None]]) -> Any:
    try:
        with anyio.CancelScope() as scope:
            _SCOPES.append(scope)
            await function()
    except BaseException as came:  # noqa: BLE001  it is what is looked at
        return came
    finally:
        _SCOPES.pop()
    return _CANCELLED if scope.cancelled_caught else None


_SCOPES: list[anyio.CancelScope] = []


async def _iterate(session: RealtimeSession) -> None:
    async for _ in session:
        pass


def _raising(raised: BaseException) -> Body:
    async def body(session: RealtimeSession) -> None:
        await session.receive()
        raise raised

    return body


def _text(payload: bytes) -> bytes:
    return server_frame(0x1, payload)


async def _the_body_raises() -> tuple[Expected, Any]:
    raised = Own()
    return raised, await _outcome(_raising(raised))


async def _the_body_raises_no_exception() -> tuple[Expected, Any]:
    raised = OwnBase()
    return raised, await _outcome(_raising(raised))


async def _the_body_raises_a_group() -> tuple[Expected, Any]:
    raised = ExceptionGroup("two", [Own(), Own()])
    return raised, await _outcome(_raising(raised))


async def _the_server_closes() -> tuple[Expected, Any]:
    return ConnectionLost, await _outcome(_iterate, close_frame(1011, "oh no"))


async def _the_session_expires() -> tuple[Expected, Any]:
    return SessionExpired, await _outcome(_iterate, close_frame(1001, _EXPIRY))


async def _the_network_breaks() -> tuple[Expected, Any]:
    return ConnectionLost, await _outcome(_iterate, end=RawConnection.reset)


async def _the_server_sends_no_json() -> tuple[Expected, Any]:
    return RemoteProtocolError, await _outcome(_iterate, _text(b"hello"))


async def _the_server_sends_no_frame() -> tuple[Expected, Any]:
    return RemoteProtocolError, await _outcome(_iterate, b"\xff\xff\xff\xff")


async def _the_server_reports_an_error() -> tuple[Expected, Any]:
    refusal = _text(b'{"type":"error","error":{"message":"No.","type":"x","code":"y"}}')
    return RealtimeError, await _outcome(_iterate, refusal)


async def _nobody_reads_in_time() -> tuple[Expected, Any]:
    async def body(session: RealtimeSession) -> None:
        await session.receive()
        await until(lambda: session.closed)
        await _iterate(session)

    many = _text(b'{"type":"x","a":"' + b"x" * 5000 + b'"}') * 100
    return SlowConsumerError, await _outcome(body, many, buffer_bytes=100_000)


async def _nobody_listens() -> tuple[Expected, Any]:
    with raw_server(RawConnection.greet) as server:
        port = server.port
    return ConnectError, await _caught(lambda: _session(port, _iterate, {}))


async def _somebody_cancels() -> tuple[Expected, Any]:
    async def body(session: RealtimeSession) -> None:
        _SCOPES[-1].cancel()
        await _iterate(session)

    return _CANCELLED, await _outcome(body)


_SINGLE = (
    _the_body_raises,
    _the_body_raises_no_exception,
    _the_body_raises_a_group,
    _the_server_closes,
    _the_session_expires,
    _the_network_breaks,
    _the_server_sends_no_json,
    _the_server_sends_no_frame,
    _the_server_reports_an_error,
    _nobody_reads_in_time,
    _nobody_listens,
    _somebody_cancels,
)


def _after(before: Callable[[RealtimeSession], None] | None, raised: BaseException) -> Body:
    """Return a body that waits for the end, or does something, and then raises."""

    async def body(session: RealtimeSession) -> None:
        if before is not None:
            before(session)
        else:
            await until(lambda: session.closed)
        raise raised

    return body


def _handled(raised: BaseException) -> Body:
    """Return a body that has a handler which raises, and does nothing itself."""

    def fail(*_: object) -> None:
        raise raised

    async def body(session: RealtimeSession) -> None:
        session.on("message", fail).on("close", fail)
        await session.send(CLEAR)
        await anyio.sleep_forever()

    return body


async def _a_loss_and_the_body() -> tuple[Expected, Any]:
    raised = Own()
    return raised, await _outcome(_after(None, raised), end=RawConnection.reset)


async def _a_cancellation_and_the_body() -> tuple[Expected, Any]:
    raised = Own()
    return raised, await _outcome(_after(lambda _: _SCOPES[-1].cancel(), raised))


async def _a_violation_and_the_body() -> tuple[Expected, Any]:
    raised = Own()
    return raised, await _outcome(_after(None, raised), _text(b"hello"))


async def _a_handler_and_the_body() -> tuple[Expected, Any]:
    raised = Own()

    async def body(session: RealtimeSession) -> None:
        try:
            await _handled(Own("of the handler"))(session)
        finally:
            raise raised

    return raised, await _outcome(body, _text(b'{"type":"x"}'), asked=True)


async def _a_handler_and_a_loss() -> tuple[Expected, Any]:
    raised = Own()
    return raised, await _outcome(_handled(raised), end=RawConnection.reset, asked=True)


async def _a_loss_and_a_cancellation() -> tuple[Expected, Any]:
    async def body(session: RealtimeSession) -> None:
        await until(lambda: session.closed)
        _SCOPES[-1].cancel()
        await _iterate(session)

    return _CANCELLED, await _outcome(body, end=RawConnection.reset)


_PAIRS = (
    _a_loss_and_the_body,
    _a_cancellation_and_the_body,
    _a_violation_and_the_body,
    _a_handler_and_the_body,
    _a_handler_and_a_loss,
    _a_loss_and_a_cancellation,
)
