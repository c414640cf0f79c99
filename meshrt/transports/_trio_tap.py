"""What stands between a trio-websocket connection and its stream, so that one task writes.

trio-websocket parses what comes and frames what goes; when bytes are written is for a session's
writer to say. So frames wait here for it, those of trio-websocket's own reader among them.
"""

from typing import TYPE_CHECKING, Final, final

import anyio
import trio
from anyio.abc import ByteStream
from websockets.frames import Opcode

from ._control import ControlFrames
from ._reader import SLICE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

# As much as is parsed in one step of the loop: of frames that hold nothing, 8192.
_READ_BYTES: Final = SLICE_BYTES
_OPCODE_BITS: Final = 0x0F  # RFC 6455, 5.2: the low half of the first byte
_CONTROL_BIT: Final = 0x08  # RFC 6455, 5.5: set in the opcodes of control frames


@final
class Tap(trio.abc.Stream):
    """Pass everything on, until a transport takes over: then let its frames wait.

    What trio-websocket writes in one call is one frame.

    Args:
        stream: Where the bytes come from and go to.

    Attributes:
        heard: Called when bytes came.
        due: Called when a control frame begins to wait. Set, it lets frames wait; ``None`` passes
            them on.
        control: The control frames that wait to be written.
        has_read: Whether trio-websocket has come here for bytes; a read that it began before it
            had a tap passes by.
        has_closed: Whether trio-websocket has made a CLOSE, as it does to answer the peer's.
        is_shut: Whether the transport has made one; nothing may follow it.
        gone: Set when the stream is closed.
        lost: How the stream broke or ended, or ``None``.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._messages: list[bytes] = []
        self.heard: Callable[[], None] = _nobody
        self.due: Callable[[], None] | None = None
        self.control = ControlFrames()
        self.has_read = False
        self.has_closed = False
        self.is_shut = False
        self.gone = trio.Event()
        self._writing = trio.Lock()  # passing on may not be done yet when a transport takes over
        self.lost: BaseException | None = None

    def take(self) -> bytes:
        """Hand out what waits, in the order in which it is to be written."""
        messages, self._messages = self._messages, []
        # A CLOSE that fell due while the messages were framed is the last word (RFC 6455, 5.5.1).
        is_last = self.control.has_close
        control = self.control.take()
        frames = [*messages, control] if is_last else [control, *messages]
        return b"".join(filter(None, frames))  # one alone is not copied

    def drop_messages(self) -> None:
        """Forget the messages that wait."""
        self._messages.clear()

    async def write(self, data: bytes) -> None:
        """Write to the stream; only the transport does.

        Raises:
            anyio.BrokenResourceError: It is broken; another error of AnyIO's or of the system
                means the same.
        """
        async with self._writing:
            await self._stream.send(data)

    async def cut(self) -> None:
        """Close the stream at once."""
        self.gone.set()
        await anyio.aclose_forcefully(self._stream)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Read for trio-websocket: nothing means the end."""
        self.has_read = True
        try:
            data = await self._stream.receive(max_bytes or _READ_BYTES)
        except anyio.EndOfStream as end:
            self.lost = end.with_traceback(None)
            await trio.lowlevel.checkpoint()
            return b""
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError) as error:
            self.lost = error.with_traceback(None)
            raise trio.BrokenResourceError from None
        self.heard()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:  # noqa: ASYNC910, ASYNC911  to give way in the middle would reorder; trio-websocket's lock has
        """Let a frame of trio-websocket's wait for the transport's writer."""
        if self.gone.is_set():
            raise trio.ClosedResourceError
        frame = bytes(data)
        opcode = frame[0] & _OPCODE_BITS
        self.has_closed = self.has_closed or opcode == Opcode.CLOSE
        if self.due is None:
            await self._pass_on(frame)
        elif not opcode & _CONTROL_BIT:
            self._messages.append(frame)
        elif not self.is_shut:
            self.control.add([frame])
            self.due()

    async def wait_send_all_might_not_block(self) -> None:
        """Give way: there is always room."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close the stream, unless a transport has taken over and has yet to write its goodbye."""
        if self.due is None:
            await self._stream.aclose()
        else:
            await trio.lowlevel.checkpoint()

    async def _pass_on(self, data: bytes) -> None:
        try:
            await self.write(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            raise trio.BrokenResourceError from None


@final
class TrioStream(ByteStream):
    """A stream of Trio's as one of AnyIO's."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def receive(self, max_bytes: int = _READ_BYTES) -> bytes:
        """Read; see AnyIO."""
        try:
            data = await self._stream.receive_some(max_bytes)
        except trio.ClosedResourceError:
            raise anyio.ClosedResourceError from None
        except trio.BrokenResourceError as error:
            raise anyio.BrokenResourceError from error
        if not data:
            raise anyio.EndOfStream
        return bytes(data)

    async def send(self, item: bytes) -> None:
        """Write; see AnyIO."""
        try:
            await self._stream.send_all(item)
        except trio.ClosedResourceError:
            raise anyio.ClosedResourceError from None
        except trio.BrokenResourceError as error:
            raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """Refuse: a WebSocket's stream has no half."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close; see AnyIO."""
        await self._stream.aclose()


def _nobody() -> None:
    """Stand in for a transport that has not taken over yet."""
