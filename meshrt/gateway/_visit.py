"""One client, from its request to its last byte."""

import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from functools import partial
from typing import Any, Final, TypeAlias

import anyio
import anyio.abc
from anyio.abc import ByteStream, SocketAttribute

from ..errors import RemoteProtocolError
from ..events import Error
from ..protocol import RealtimeProtocol
from ..transports import ConnectionLost, Transport
from ._beta import in_beta
from ._catalogue import full_name
from ._farewells import Farewell
from ._fault_refusal import answer_of
from ._faulty_stream import FaultyStream
from ._handshake import PATHS, Upgrade, upgrade
from ._house import House
from ._http import Refused, hang_up, read_request
from ._ids import new_event_id, new_id
from ._journal import note_bug, note_forbidden, note_lost, note_refused, note_violation
from ._ledger import owner_of
from ._origins import Forbidden
from ._script_model import fresh
from ._session import GatewaySession
from ._turnstile import Full, Place

Wrap: TypeAlias = Callable[[ByteStream], AbstractAsyncContextManager[ByteStream]]
"""What is put over a connection, such as TLS."""

_CLOSE_SECONDS: Final = 1.0  # how long a client may take to read why it was refused
_GONE: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


async def visit(house: House, wrap: Wrap, stream: anyio.abc.SocketStream) -> None:
    """Serve one client; whatever goes wrong with it is logged, and the others go on."""
    async with stream:
        try:
            with house.turnstile.place(_address(stream, SocketAttribute.remote_address)) as place:
                await _attend(house, wrap, stream, place)
        except Full as full:
            note_refused(full.status, full.code)
            if wrap is plain:  # over TLS a word would cost more than the place that there isn't
                await _turn_away(stream, full)
        except (*_GONE, ssl.SSLError):
            note_lost()
        except Exception as error:  # noqa: BLE001  it ends this client and no other
            note_bug("a client was cut off because of a bug", error)


def plain(stream: ByteStream) -> AbstractAsyncContextManager[ByteStream]:
    """Put nothing over a connection."""
    return nullcontext(stream)


async def _turn_away(stream: ByteStream, full: Full) -> None:
    """Say that there is no room, without having read anything."""
    refused = Refused(full.status, full.code, str(full), headers={"Retry-After": "1"})
    try:
        with anyio.move_on_after(_CLOSE_SECONDS):
            await refused.reply.send(stream)
    except _GONE:
        note_lost()


async def _attend(  # noqa: ASYNC910  it reads
    house: House, wrap: Wrap, stream: anyio.abc.SocketStream, place: Place
) -> None:
    """Read a request and answer it, within the place's time; then serve its session, if any."""
    ours = _address(stream, SocketAttribute.local_address)
    async with AsyncExitStack() as stack:
        upgraded = line = None
        with place.scope:  # noqa: ASYNC912  reading is one
            spoken = await stack.enter_async_context(wrap(stream))
            line = FaultyStream(spoken)
            upgraded = await _receive(house, line, ours)
            if upgraded is None:
                await hang_up(line)
            place.settle()
        if upgraded is not None and line is not None:
            await _converse(house, upgraded, line)


async def _receive(house: House, stream: ByteStream, ours: str) -> Upgrade | None:
    """Read a request; answer it, or return its WebSocket."""
    method = ""
    try:
        request = await read_request(stream, house.limits)
        method = request.method
        house.allowed.check(request, ours)
        if request.path in PATHS:
            if request.is_upgrade and (fault := house.faults.refusal()) is not None:
                await stream.send(answer_of(fault))
                return None
            return await upgrade(stream, request, house.limits)
        reply = house.rest.answer(request)
    except Forbidden as forbidden:
        note_forbidden(forbidden.what, forbidden.value)
        reply = forbidden.reply
    except Refused as refused:
        note_refused(refused.reply.status, refused.code)
        reply = refused.reply
    await reply.send(stream, method=method)
    return None


async def _converse(  # noqa: ASYNC910  it converses
    house: House, upgraded: Upgrade, line: FaultyStream
) -> None:
    """Tell a client that has a WebSocket why it has no session, or serve it."""
    refusal = house.refusal_of(upgraded)
    try:
        if refusal is not None:
            await _refuse(_in_dialect(house, upgraded.transport), refusal)
        else:
            await _hold_session(house, upgraded, line)
    except RemoteProtocolError as error:
        note_violation(error)
    except ConnectionLost:
        note_lost()


def _in_dialect(house: House, transport: Transport) -> Transport:
    return in_beta(transport) if house.dialect == "beta" else transport


async def _hold_session(house: House, upgraded: Upgrade, line: FaultyStream) -> None:
    name = upgraded.model or ""
    tab = house.ledger.open(owner_of(upgraded.key), full_name(name) or name)
    try:
        async with anyio.create_task_group() as tasks, AsyncExitStack() as stack:
            faults = house.faults.on(upgraded.transport, tasks, line=line)
            transport = _in_dialect(house, stack.enter_context(faults))
            session = GatewaySession(
                transport,
                tasks,
                model_name=name,
                model=fresh(house.model),
                voice=house.voice,
                pacing=house.pacing,
                kind=upgraded.kind,
                charge=partial(house.charge, tab),
            )
            if house.limits.idle_seconds is not None:
                tasks.start_soon(_watch, house, session, transport, house.limits.idle_seconds)
            try:
                await session.run()
            finally:
                tasks.cancel_scope.cancel("the client has gone")
                session.release()
    finally:
        house.ledger.bill(tab)


async def _watch(  # noqa: ASYNC910  a task of its own
    house: House, session: GatewaySession, transport: Transport, seconds: float
) -> None:
    """End a session whose client says nothing, not even a ping, for too long."""
    while (left := transport.last_byte_at + seconds - anyio.current_time()) > 0:  # noqa: ASYNC110  it tells nobody
        await anyio.sleep(left)
    session.end(house.farewell("idle_timeout", f"Nothing came for {seconds:g} seconds."))


async def _refuse(transport: Transport, refusal: Farewell) -> None:
    protocol = RealtimeProtocol("server", make_id=new_event_id)
    text = protocol.send(Error(error=refusal.details, request_id=new_id("req")))
    note_refused(101, refusal.details.code or None)
    with anyio.move_on_after(_CLOSE_SECONDS):
        await transport.send([text])
        await transport.aclose(refusal.close_code, refusal.close_reason)
        try:
            while True:
                await transport.receive()
        except anyio.EndOfStream:
            return


def _address(stream: anyio.abc.SocketStream, which: Any) -> str:
    """Return an address of a connection, or nothing where the client has gone already."""
    try:
        return str(stream.extra(which)[0])
    except (OSError, anyio.TypedAttributeLookupError, AttributeError):  # the last with uvloop
        return ""
