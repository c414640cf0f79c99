"""A gateway without doors: its sessions are held over transports that somebody brings."""

from collections.abc import Iterable
from typing import final

import anyio

from ..transports import Transport
from ._fault_plan import FaultPlan
from ._fault_refusal import answer_of
from ._options import model_of, voice_of
from ._pacing import Pacing, check_pacing
from ._script_model import fresh
from ._session import GatewaySession
from ._speaking import EchoVoice, Voice
from ._thinking import Model
from .faults import Fault


@final
class BareGateway:
    """Hold sessions, with the same model, voice and faults as :func:`serve` would.

    Its voice is an echo unless told otherwise: other programs know nothing of virtual time.

    Raises:
        ConfigurationError: An option can't be used.
    """

    def __init__(
        self,
        *,
        model: Model | None = None,
        voice: Voice | None = None,
        pacing: Pacing = "none",
        faults: Iterable[Fault | str] = (),
        control: bool = False,
    ) -> None:
        check_pacing(pacing)
        self.model: Model = model_of(model)
        self._voice = voice_of(voice or EchoVoice())
        self._pacing: Pacing = pacing
        self._faults = FaultPlan(faults, control=control)

    def inject(self, fault: Fault | str) -> None:
        """Add a fault; see :meth:`Gateway.inject`."""
        self._faults.inject(fault)

    def refusal(self) -> bytes | None:
        """Return what a client that comes now is answered over HTTP, if a fault refuses it."""
        fault = self._faults.refusal()
        return None if fault is None else answer_of(fault)

    async def hold(self, transport: Transport, *, model_name: str) -> None:
        """Hold a session until its client goes; then the transport is cut.

        Cancelling cuts it at once.
        """
        try:
            async with anyio.create_task_group() as tasks:
                with self._faults.on(transport, tasks) as faulty:
                    session = GatewaySession(
                        faulty,
                        tasks,
                        model_name=model_name,
                        model=fresh(self.model),
                        voice=self._voice,
                        pacing=self._pacing,
                    )
                    try:
                        await session.run()
                    finally:
                        tasks.cancel_scope.cancel("the client has gone")
                        session.release()
        finally:
            await transport.abort()  # noqa: ASYNC102  it works under cancellation
