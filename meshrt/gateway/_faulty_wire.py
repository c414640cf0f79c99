"""What each kind of fault does to the wire; only a session's writer asks for it."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, final

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from ..errors import LocalProtocolError
from ..events import Error, ErrorDetails
from ..protocol import encode
from ..transports import ConnectionLost, Transport
from ._faulty_stream import FaultyStream
from ._ids import new_event_id, new_id
from .faults import (
    Close,
    Drop,
    End,
    Expire,
    Fault,
    IgnoreClose,
    Insert,
    Malformed,
    Oversized,
    Slow,
    Stall,
    Tear,
    Unknown,
)

_HANG_UP_SECONDS: Final = 1.0  # how long a client may take to answer a CLOSE
_CLOSE_FRAME: Final = 0x88  # RFC 6455, 5.2: final, opcode 8; and a server masks nothing
_EXPIRED: Final = "Your session hit the maximum duration of 30 minutes."
_NOT_JSON: Final = '{"type":"response.output_text.delta","delta":"Hel'
_NO_MEANING: Final = '{"type":"meshrt.torn","padding":"................................"}'


@final
class FaultyWire:
    """Write to a transport, and do to it what a fault says.

    Args:
        inner: The transport.
        tasks: Where what happens later waits.
        line: The bytes below it, where there are any.

    Attributes:
        ignores_close: Whether the client's CLOSE is not to be answered.
        closed: Whether a fault has closed or cut the connection.
        cut: Whether it has been cut.
    """

    def __init__(
        self, inner: Transport, tasks: anyio.abc.TaskGroup, line: FaultyStream | None
    ) -> None:
        self._inner = inner
        self._tasks = tasks
        self._line = line
        self._bytes_per_second: int | None = None  # where there is no line
        self.ignores_close = False
        self.closed = False
        self.cut = False

    @property
    def is_mute(self) -> bool:
        """Whether nothing is written any more, since the client has closed."""
        return self.ignores_close and self._inner.close_code is not None

    @property
    def is_worse(self) -> bool:
        """Whether what is written can't just be passed on."""
        return self.ignores_close or self.closed or self._bytes_per_second is not None

    async def write(self, messages: Sequence[str | bytes]) -> None:
        """Write messages, if there are any, and what control frames wait.

        Raises:
            ConnectionLost: The connection is gone.
            anyio.ClosedResourceError: A fault has closed it.
        """
        if self.closed:
            raise anyio.ClosedResourceError
        if self._bytes_per_second is not None:
            await anyio.sleep(sum(map(len, messages)) / self._bytes_per_second)
        await self._inner.send(messages)

    async def do(self, fault: Fault) -> None:
        """Let a fault happen.

        Raises:
            ConnectionLost: It cut the connection.
            anyio.ClosedResourceError: An earlier one has closed it.
        """
        await _DEEDS[type(fault)](self, fault)

    async def tear(self, message: str | bytes) -> NoReturn:
        """Write half a frame and cut the connection.

        Raises:
            ConnectionLost: Always.
        """
        if self._line is not None:
            data = message.encode() if isinstance(message, str) else message
            self._line.tear(max(1, len(data) // 2))
            await self.write((message,))  # which raises
        await self.cut_off()

    async def cut_off(self) -> NoReturn:
        """Cut the connection.

        Raises:
            ConnectionLost: Always.
        """
        self.closed = self.cut = True
        await self._inner.abort()
        raise lost_by_fault()

    async def until_gone(self) -> None:
        """Wait until the client has cut the connection."""
        if self._line is None:
            await anyio.sleep_forever()
        else:
            await self._line.gone()

    async def _close(self, fault: Close) -> None:
        try:
            await self._inner.aclose(fault.code, fault.reason)
        except LocalProtocolError:
            await self._close_as_nobody_may(fault)
        self.closed = True
        self._tasks.start_soon(self._hang_up)

    async def _close_as_nobody_may(self, fault: Close) -> None:
        if self._line is None:  # a code such as 1006 says that there was no CLOSE
            await self.cut_off()
        payload = fault.code.to_bytes(2, "big") + fault.reason.encode()
        await self._line.send(bytes([_CLOSE_FRAME, len(payload)]) + payload)

    async def _hang_up(self) -> None:
        await anyio.sleep(_HANG_UP_SECONDS)
        self.cut = True
        await self._inner.abort()

    async def _end(self, fault: End) -> None:
        await self.write((error_text(fault.code, f"The session ends: {fault.code}."),))
        await self._close(Close(fault.close_code, fault.code))

    async def _expire(self, fault: Expire) -> None:
        if fault.by == "drop":
            await self.cut_off()
        if fault.by == "error":
            await self.write((error_text("session_expired", _EXPIRED),))
        await self._close(Close(1001, _EXPIRED))

    async def _drop(self, _: Drop) -> None:
        await self.cut_off()

    async def _tear(self, _: Tear) -> None:
        await self.tear(_NO_MEANING)

    async def _stall(self, fault: Stall) -> None:
        await anyio.sleep(fault.seconds)

    async def _slow(self, fault: Slow) -> None:
        await checkpoint()
        if self._line is None:
            self._bytes_per_second = fault.bytes_per_second
        else:
            self._line.bytes_per_second = fault.bytes_per_second

    async def _ignore_close(self, _: IgnoreClose) -> None:
        await checkpoint()
        self.ignores_close = True

    async def _insert(self, fault: Insert) -> None:
        await self.write((fault.text,))

    async def _unknown(self, _: Unknown) -> None:
        await self.write((json.dumps({"type": "meshrt.unknown", "event_id": new_event_id()}),))

    async def _malformed(self, _: Malformed) -> None:
        await self.write((_NOT_JSON,))

    async def _oversized(self, fault: Oversized) -> None:
        head, tail = '{"type":"meshrt.oversized","padding":"', '"}'
        await self.write((head + "." * (fault.size - len(head) - len(tail)) + tail,))


# Duplicate, Lose and Delay are not here: they happen to an event before it is written.
_DEEDS: Final[Mapping[type[Fault], Callable[[FaultyWire, Any], Awaitable[None]]]] = {
    Close: FaultyWire._close,
    Drop: FaultyWire._drop,
    End: FaultyWire._end,
    Expire: FaultyWire._expire,
    IgnoreClose: FaultyWire._ignore_close,
    Insert: FaultyWire._insert,
    Malformed: FaultyWire._malformed,
    Oversized: FaultyWire._oversized,
    Slow: FaultyWire._slow,
    Stall: FaultyWire._stall,
    Tear: FaultyWire._tear,
    Unknown: FaultyWire._unknown,
}


def lost_by_fault() -> ConnectionLost:
    """Make what the server's own session is told, for which it is as if the client had gone."""
    return ConnectionLost("a fault cut the connection")


def error_text(code: str, message: str, *, event_id: str | None = None) -> str:
    """Return an ``error`` event as text."""
    details = ErrorDetails(
        type="server_error", code=code, message=message, param=None, event_id=event_id
    )
    return encode(Error(event_id=new_event_id(), error=details, request_id=new_id("req")))
