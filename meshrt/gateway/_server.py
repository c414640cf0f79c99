"""The local gateway: a server on loopback that speaks the realtime wire and what is around it."""

import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, cast

import anyio
import attrs
from anyio.abc import SocketAttribute, SocketListener

from ._accepting import Handler, accept_all
from ._farewells import CLOSE_CODES, CloseCodes
from ._fault_plan import FaultPlan
from ._house import DIALECTS, Dialect, House
from ._ledger import Ledger
from ._limits import Limits
from ._options import (
    balance_of,
    check_host,
    check_limits,
    check_one_of,
    check_port,
    model_of,
    name_to_dial,
    names_to_certify,
    per_address,
    secret_of,
    voice_of,
)
from ._origins import AllowList
from ._pacing import Pacing, check_pacing
from ._rest import Rest
from ._speaking import Voice
from ._thinking import Model
from ._tls import LocalTLS
from ._turnstile import Turnstile
from ._visit import Wrap, plain, visit
from .faults import Fault

_LIMITS: Final = Limits()


@attrs.frozen(kw_only=True)
class Gateway:
    """A gateway that is running.

    Attributes:
        url: Its address, such as ``http://127.0.0.1:8765``: the ``base_url`` of a client.
        ssl_context: What a client needs for it, ``MeshAPI(ssl_context=…)``: it trusts this gateway
            alone. ``None`` without TLS.
        ca_file: The same as a file, for clients that take a path, such as Node's by
            ``NODE_EXTRA_CA_CERTS``. It is there for as long as the gateway is.
    """

    url: str
    ssl_context: ssl.SSLContext | None = None
    ca_file: Path | None = None
    _inject: Callable[[Fault | str], None] = attrs.field(alias="inject", repr=False, eq=False)

    def inject(self, fault: Fault | str) -> None:
        """Let something go wrong, in the sessions that run and in those that come.

        It happens once, unless it says how often, and without ``at`` at once: for a session
        that comes, before its greeting.

        Args:
            fault: A fault such as ``Close(1011, at="response.created")``, or its words, such as
                ``"close 1011 at response.created"``.

        Raises:
            ConfigurationError: It is none.
        """
        self._inject(fault)


@asynccontextmanager
async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    key: str | None = None,
    model: Model | None = None,
    voice: Voice | None = None,
    pacing: Pacing = "none",
    tls: bool = False,
    dialect: Dialect = "ga",
    close_codes: CloseCodes = "recorded",
    origins: Sequence[str] = (),
    hosts: Sequence[str] = (),
    balance: Decimal | str = "1000.00",
    limits: Limits = _LIMITS,
    faults: Iterable[Fault | str] = (),
    control: bool = False,
) -> AsyncGenerator[Gateway]:
    """Run a local gateway for as long as the block lasts.

    It speaks ``/v1/realtime`` as Mesh's gateway does, and the REST calls around it. Its model
    needs no weights: by default it says what it heard. Leaving the block cuts all its clients off.

    Args:
        host: A loopback address, or with a key any other.
        port: The TCP port; 0 takes a free one.
        key: The only key that is accepted; by default any is, and none too. Keys are not logged.
        model: What thinks up the answers; by default :class:`HonestModel`.
        voice: What speaks them; by default espeak-ng where it is installed, or else an echo.
        pacing: How fast their audio goes out: at once, ``"faster"`` than it plays, as from the
            real server, or in ``"realtime"``.
        tls: Whether to speak ``https`` and ``wss``, with a certificate made on the spot.
        dialect: ``"beta"`` speaks the names and shapes of OpenAI's beta wire, for old clients.
        close_codes: With which codes clients are refused: ``"recorded"`` takes those of OpenAI's
            server, 3000 and 4000, ``"documented"`` those of Mesh's documents, 1008 and 4402.
        origins: From which pages browsers may connect, such as ``"http://localhost:3000"``; by
            default from none. Who sends no ``Origin`` is no browser, and is not asked.
        hosts: Under which names, in ``Host``, the gateway may be spoken to besides ``host``, its
            address and, on loopback, ``localhost``.
        balance: What each key has to spend, in USD: below 10 no session opens, as documented.
        limits: How much clients may have and for how long they are waited for.
        faults: What goes wrong in every session, as values of :mod:`meshrt.gateway.faults` or in
            the words of :func:`parse_fault`.
        control: Whether a client may place faults in its own session, by an event such as
            ``{"type": "meshrt.fault", "fault": "close 1011 at response.created"}``; the answer
            is a ``meshrt.fault.placed``. For tests only: ``"refuse 503"`` befalls whoever comes
            next, and so any client can keep all others out.

    Raises:
        ConfigurationError: An option can't be used, or what TLS needs is not installed; a host
            that others reach needs a key.
        OSError: The port can't be had.
    """
    secret = secret_of(key)
    del key  # no frame of ours shows it to a traceback
    check_host(host, has_key=secret is not None)
    check_port(port)
    check_one_of("dialect", dialect, DIALECTS)
    check_one_of("close_codes", close_codes, CLOSE_CODES)
    check_limits(limits)
    check_pacing(pacing)
    allowed = AllowList.of(origins=origins, hosts=hosts).and_name(host)
    ledger = Ledger(balance=balance_of(balance))
    house = House(
        model=model_of(model),
        voice=voice_of(voice),
        pacing=pacing,
        key=secret,
        limits=limits,
        allowed=allowed,
        dialect=dialect,
        close_codes=close_codes,
        ledger=ledger,
        rest=Rest(ledger=ledger, limits=limits, key=secret),
        turnstile=Turnstile(
            connections=limits.connections,
            per_address=per_address(limits, host),
            seconds=limits.header_seconds,
        ),
        faults=FaultPlan(faults, control=control),
    )
    local_tls = LocalTLS(names_to_certify(host, allowed)) if tls else None
    async with _running(house, host, port, local_tls) as gateway:
        yield gateway


@asynccontextmanager
async def _running(
    house: House, host: str, port: int, tls: LocalTLS | None
) -> AsyncGenerator[Gateway]:
    async with AsyncExitStack() as stack:
        ca_file = None if tls is None else stack.enter_context(tls.file())
        wrap: Wrap = plain if tls is None else tls.wrapped
        listening = _listening(host, port, partial(visit, house, wrap))
        address, taken = await stack.enter_async_context(listening)
        scheme = "http" if tls is None else "https"
        yield Gateway(
            url=f"{scheme}://{name_to_dial(host, address)}:{taken}",
            ssl_context=None if tls is None else tls.client,
            ca_file=ca_file,
            inject=house.faults.inject,
        )


@asynccontextmanager
async def _listening(host: str, port: int, handler: Handler) -> AsyncGenerator[tuple[str, int]]:
    """Serve clients on a port for as long as the block lasts, and say at which address it is."""
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    held: BaseException | None = None
    try:
        async with listener, anyio.create_task_group() as tasks:
            for one in listener.listeners:  # a name may have several addresses
                tasks.start_soon(accept_all, cast("SocketListener", one), handler, tasks)
            try:
                address = str(listener.extra(SocketAttribute.local_address)[0])
                yield address, listener.extra(SocketAttribute.local_port)
            except BaseException as error:  # noqa: ASYNC103  held, and raised below
                if tasks.cancel_scope.cancel_called:
                    raise  # a task of ours failed, and this is only how the block was told
                # A cancellation of somebody else's too: AnyIO's group takes it for its own where
                # asyncio's and that of another scope have met in one exception.
                held = error
            tasks.cancel_scope.cancel("the gateway's block is left")
    finally:
        try:
            if held is not None:
                raise held  # out here no group wraps it
        finally:
            del held
