"""The local gateway in memory: the same sessions and no socket, and so virtual time."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Unpack

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from .._public import NoPublicConstructor
from ..events import Session
from ..gateway import Model, Pacing, Voice
from ..gateway._bare import BareGateway
from ..gateway.faults import Fault
from ..session import Connecting, SessionOptions
from ..transports import ConnectError, Transport, memory_transports
from ..transports._refusal import refusal_in
from ._options import SessionSettings

_MODEL: Final = "openai/gpt-realtime-mini"


class MemoryGateway(metaclass=NoPublicConstructor):
    """call :func:`gateway_in_memory`: a gateway to which sessions are opened in memory."""

    def __init__(self, bare: BareGateway, tasks: anyio.abc.TaskGroup) -> None:
        self._bare = bare
        self._tasks = tasks
        self._is_over = False

    def connect(
        self,
        *,
        model: str = _MODEL,
        session: Session | None = None,
        **settings: Unpack[SessionSettings],
    ) -> Connecting:
        """Open a session to it: ``async with gateway.connect() as session``.

        Args:
            model: The model's id; the session is told it, and nobody minds which it is.
            session: What to configure before the block begins.
            **settings: Those of the client's :meth:`~meshrt.client.Realtime.connect`, unchecked.

        Returns:
            What the client's returns. A fault that refuses the handshake raises
            ``HandshakeRejected`` when it is entered.

        Raises:
            LocalProtocolError: ``session`` can't be sent.
            ConnectError: The gateway's block has been left; raised when it is entered.
        """
        options = SessionOptions(**settings)
        return Connecting(partial(self._open, model), session=session, options=options)

    def _leave(self) -> None:
        self._is_over = True

    def inject(self, fault: Fault | str) -> None:
        """Let something go wrong, as :meth:`meshrt.gateway.Gateway.inject` does.

        There are no frames in memory: a :class:`~meshrt.gateway.faults.Tear` cuts between two
        messages, and so does a close with a code that nobody may send.

        Raises:
            ConfigurationError: It is no fault.
        """
        self._bare.inject(fault)

    async def _open(self, model_name: str, _: anyio.abc.TaskGroup) -> Transport:
        await checkpoint()
        answer = self._bare.refusal()
        if answer is not None:
            raise refusal_in(answer)
        if self._is_over:
            raise ConnectError(
                "this gateway is gone: its `async with` block was left, and sessions belong in it"
            )
        ours, theirs = memory_transports(subprotocol="openai-realtime")
        self._tasks.start_soon(partial(self._bare.hold, theirs, model_name=model_name))
        return ours


@asynccontextmanager
async def gateway_in_memory(
    *,
    model: Model | None = None,
    voice: Voice | None = None,
    pacing: Pacing = "none",
    faults: Iterable[Fault | str] = (),
    control: bool = False,
) -> AsyncGenerator[MemoryGateway]:
    """Run the local gateway in memory for as long as the block lasts.

    ::

        async with gateway_in_memory() as gateway, gateway.connect() as session: ...

    It holds the same sessions as :func:`meshrt.gateway.serve` and has no doors: no socket, no key,
    no limits. So it works with virtual time, such as that of Trio's ``MockClock``: what waits for
    an hour takes none. Leaving the block cuts all its sessions off.

    Args:
        model: What thinks up the answers; by default :class:`~meshrt.gateway.HonestModel`.
        voice: What speaks them; by default an echo.
        pacing: How fast their audio goes out.
        faults: What goes wrong in every session.
        control: Whether a client may place faults in its own session, and have the next one that
            is opened refused.

    Raises:
        ConfigurationError: An option can't be used.
    """
    bare = BareGateway(model=model, voice=voice, pacing=pacing, faults=faults, control=control)
    held: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            gateway = MemoryGateway._create(bare, tasks)
            try:
                yield gateway
            except BaseException as error:  # noqa: ASYNC103  held, and raised below
                if tasks.cancel_scope.cancel_called:
                    raise  # a task of ours failed, and this is only how the block was told
                held = error
            finally:
                gateway._leave()
            tasks.cancel_scope.cancel("the gateway's block is left")
    finally:
        try:
            if held is not None:
                raise held  # out here no group wraps it
        finally:
            del held
