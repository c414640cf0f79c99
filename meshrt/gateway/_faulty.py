"""A connection on which faults happen, between a session that is honest and its transport."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from ..events import BETA_NAMES
from ..transports import Transport
from ._fault_accounts import Account, Placed
from ._faulty_stream import FaultyStream
from ._faulty_wire import FaultyWire, lost_by_fault
from .faults import Delay, Duplicate, Edit, Expire, Fault, Insert, Tear

_TELLS_EXPIRY: Final = ("session.created", "session.updated")


@final
class FaultyTransport:
    """Do what another transport does, but for the faults that are placed.

    What is to be written is written by the session's writer, when it comes to send: a fault that
    falls due in between wakes it. What is not here is the other transport's.

    Args:
        inner: The transport.
        tasks: Where what happens later waits.
        line: The bytes below, where there are any.
        control: Takes what the client sent; where that places a fault, it returns the answer, or
            else ``None``.
    """

    def __init__(
        self,
        inner: Transport,
        tasks: anyio.abc.TaskGroup,
        *,
        line: FaultyStream | None = None,
        control: "Callable[[FaultyTransport, str | bytes], str | None]",
    ) -> None:
        self._inner = inner
        self._tasks = tasks
        self._control = control
        self._wire = FaultyWire(inner, tasks, line)
        self._waiting: list[Placed] = []
        self._due: list[Fault] = []
        self._after_greeting: list[Fault] = []
        self._greeted = False
        self._expires_at: int | None = None

    @property
    def wake(self) -> Callable[[], None]:
        """What calls the writer."""
        return self._inner.wake

    @wake.setter
    def wake(self, wake: Callable[[], None]) -> None:
        self._inner.wake = wake

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def place(self, account: Account) -> None:
        """Let a fault happen, now or where it says."""
        fault = account.fault
        if fault.at is not None:
            self._waiting.append(Placed(account))
            return
        if isinstance(fault, Expire):
            self._expires_at = math.ceil(time.time() + fault.after)
        self._begin(account)

    async def receive(self) -> list[str | bytes]:
        """Return messages; those that place a fault are taken out.

        Raises:
            anyio.EndOfStream: The client closed.
            ConnectionLost: It went without a word, or a fault cut it off.
            RemoteProtocolError: It broke the rules of the transport.
        """
        while True:
            received = await self._receive()
            before = len(self._due)
            messages = [m for m in received if not self._is_control(m)]
            for account in [account for m in messages for account in self._met_by(m)]:
                self._begin(account)
            if not self._greeted:  # a client may speak before it is, and counts on it all the same
                self._after_greeting += self._due[before:]
                del self._due[before:]
            if messages:
                return messages

    async def send(self, batch: Sequence[str | bytes]) -> None:
        """Write the messages, and let happen what is due.

        Raises:
            ConnectionLost: The connection is gone, by a fault or without one.
            anyio.ClosedResourceError: It was closed.
        """
        if self._wire.is_mute:
            await checkpoint()
        elif self._is_disturbed:
            await self._send_disturbed(batch)
        else:
            self._greeted = self._greeted or bool(batch)
            await self._inner.send(batch)

    def outgoing(self) -> int:
        """Return how much waits for the writer: control frames, and faults that are due."""
        return 0 if self._wire.is_mute else self._inner.outgoing() + len(self._due)

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close, unless a fault did.

        Raises:
            ConnectionLost: The connection is gone.
        """
        if self._wire.closed:
            await checkpoint()
        else:
            await self._inner.aclose(code, reason)

    @property
    def _is_disturbed(self) -> bool:
        """Whether anything is to be done with what is sent but to pass it on."""
        return bool(
            self._due
            or self._waiting
            or self._after_greeting
            or self._wire.is_worse
            or self._expires_at is not None
        )

    async def _receive(self) -> list[str | bytes]:
        try:
            return await self._inner.receive()
        except anyio.EndOfStream:
            if not self._wire.ignores_close:
                raise
        except anyio.ClosedResourceError:
            if self._wire.cut:
                raise lost_by_fault() from None
            raise
        await self._wire.until_gone()
        raise anyio.EndOfStream

    def _is_control(self, message: str | bytes) -> bool:
        before = len(self._due)
        answer = self._control(self, message)
        if answer is not None:
            self._due.insert(before, Insert(answer))  # before what it may have let happen at once
            self.wake()
        return answer is not None

    def _met_by(self, message: str | bytes) -> list[Account]:
        if not self._waiting:
            return []
        wire_name = _type_of(message)
        met = [placed.account for placed in self._waiting if placed.meets(wire_name)]
        self._waiting = [placed for placed in self._waiting if not placed.is_over]
        return met

    def _begin(self, account: Account) -> None:
        if account.fault.after:
            self._tasks.start_soon(self._later, account)
        elif account.spend():
            self._fall_due(account.fault)

    async def _later(self, account: Account) -> None:
        await anyio.sleep(account.fault.after)
        if account.spend():
            self._fall_due(account.fault)

    def _fall_due(self, fault: Fault) -> None:
        self._due.append(fault)
        self.wake()

    async def _send_disturbed(self, batch: Sequence[str | bytes]) -> None:
        while self._due:
            await self._wire.do(self._due.pop(0))
        if not batch:
            await self._wire.write(())
        for message in batch:
            self._greeted = True
            await self._send_one(message)
            while self._after_greeting:
                await self._wire.do(self._after_greeting.pop(0))

    async def _send_one(self, message: str | bytes) -> None:
        met = self._met_by(message)
        now = [it.fault for it in met if not it.fault.after and it.spend()]
        for account in met:
            if account.fault.after:
                self._begin(account)
        message = self._with_expiry(message)
        if any(isinstance(fault, Tear) for fault in now):
            await self._wire.tear(message)
        for text in self._edited(message, [fault for fault in now if isinstance(fault, Edit)]):
            await self._wire.write((text,))
        for fault in now:
            if not isinstance(fault, Edit):
                await self._wire.do(fault)

    def _edited(self, message: str | bytes, edits: Sequence[Edit]) -> list[str | bytes]:
        """Return the message as often as it goes out now."""
        copies = 1
        for edit in edits:
            copies = copies * 2 if isinstance(edit, Duplicate) else 0
            if isinstance(edit, Delay):
                self._tasks.start_soon(self._deliver_late, message, edit.seconds)
        return [message] * copies

    async def _deliver_late(self, message: str | bytes, seconds: float) -> None:
        await anyio.sleep(seconds)
        self._fall_due(Insert(str(message)))

    def _with_expiry(self, message: str | bytes) -> str | bytes:
        """Let the session say the end that a fault has in store for it."""
        if self._expires_at is None or _type_of(message) not in _TELLS_EXPIRY:
            return message
        data = json.loads(message)
        data["session"]["expires_at"] = self._expires_at
        return json.dumps(data)


def object_of(message: str | bytes) -> Mapping[str, Any]:
    """Return a message as an object; empty if it is none."""
    try:
        data = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _type_of(message: str | bytes) -> str:
    """Return the type of a message, by its GA name; empty if it has none."""
    name = object_of(message).get("type")
    return BETA_NAMES.get(name, name) if isinstance(name, str) else ""
