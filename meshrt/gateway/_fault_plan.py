"""The faults of a gateway: which there are, in which sessions, and who adds to them."""

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast, final

import anyio.abc

from ..errors import ConfigurationError
from ..protocol._checks import json_problem
from ..transports import Transport
from ._fault_accounts import Account
from ._fault_words import parse_fault
from ._faulty import FaultyTransport, object_of
from ._faulty_stream import FaultyStream
from ._faulty_wire import error_text
from ._ids import new_event_id
from .faults import Fault, RefuseHandshake

_CONTROL: Final = "meshrt.fault"


@final
class FaultPlan:
    """What goes wrong on a gateway, in the sessions that run and in those that come.

    Args:
        faults: The faults of every session, as values or in words.
        control: Whether a client may place faults in its own session.

    Raises:
        ConfigurationError: One of them is no fault.
    """

    def __init__(self, faults: Iterable[Fault | str] = (), *, control: bool = False) -> None:
        if isinstance(faults, str | Fault):
            raise ConfigurationError('faults is a list, such as ["close 1011"]')
        given = [as_fault(fault) for fault in faults]
        self._accounts = [Account(fault, fault.times) for fault in given]
        self._control = control
        self._sessions: list[FaultyTransport] = []

    def inject(self, fault: Fault | str) -> None:
        """Add a fault, which happens once unless it says how often.

        Raises:
            ConfigurationError: It is none.
        """
        account = _injected(fault)
        self._accounts = [old for old in self._accounts if not old.is_spent]
        self._accounts.append(account)
        if not isinstance(account.fault, RefuseHandshake):
            for session in list(self._sessions):
                session.place(account)

    def refusal(self) -> RefuseHandshake | None:
        """Return how the handshake that has come is to be refused, if it is."""
        for account in self._accounts:
            if isinstance(account.fault, RefuseHandshake) and account.spend():
                return account.fault
        return None

    @contextmanager
    def on(
        self,
        transport: Transport,
        tasks: anyio.abc.TaskGroup,
        *,
        line: FaultyStream | None = None,
    ) -> Generator[Transport]:
        """Let the faults happen on a connection, for as long as the block lasts."""
        faulty = FaultyTransport(transport, tasks, line=line, control=self._take_control)
        for account in self._accounts:
            if not (account.is_spent or isinstance(account.fault, RefuseHandshake)):
                faulty.place(account)
        self._sessions.append(faulty)
        try:
            yield cast("Transport", faulty)
        finally:
            self._sessions.remove(faulty)

    def _take_control(self, session: FaultyTransport, message: str | bytes) -> str | None:
        """Place the fault that a client's message asks for; return what to answer, if it does."""
        data = _control_of(message) if self._control else None
        if data is None:
            return None
        try:
            account = _injected(data.get("fault", ""))
        except ConfigurationError as error:
            event_id = data.get("event_id")
            name = event_id if isinstance(event_id, str) else None
            return error_text("invalid_value", str(error), event_id=name)
        if isinstance(account.fault, RefuseHandshake):
            self._accounts.append(account)
        else:
            session.place(account)
        placed = {"event_id": new_event_id(), "fault": str(account.fault)}
        return json.dumps({"type": f"{_CONTROL}.placed", **placed})


def as_fault(fault: Fault | str) -> Fault:
    """Return a fault that was given as one or in words.

    Raises:
        ConfigurationError: It is none.
    """
    return fault if isinstance(fault, Fault) else parse_fault(fault)


def _injected(fault: Fault | str) -> Account:
    given = as_fault(fault)
    return Account(given, given.times or 1)


def _control_of(message: str | bytes) -> Mapping[str, Any] | None:
    if not isinstance(message, str) or _CONTROL not in message:
        return None
    data = object_of(message)
    # What is not JSON goes on to the session, which says so.
    return data if data.get("type") == _CONTROL and json_problem(data) is None else None
