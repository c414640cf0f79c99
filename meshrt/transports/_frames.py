"""The sans-IO half of the WebSocket transport: bytes to messages and back.

websockets' codec parses, checks and answers; this adds what it leaves to its caller: whole
messages, UTF-8, one place for waiting control frames, an end to floods, and an ending that is
told once, in words. Whole messages in frames with nothing wrong about them never get that far.
"""

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs
from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import Side
from websockets.server import ServerProtocol

from ..errors import LocalProtocolError, RemoteProtocolError
from ._assembly import Assembly
from ._close_codes import check_close_code, cut_reason
from ._control import ControlFrames
from ._flood import FLOOD_WINDOW_S, FloodGate
from ._reader import FrameReader
from ._writing import frames, pieces_for_writing

# websockets logs the request line and every header at DEBUG. Unregistered, nobody can turn this
# logger on by name; above CRITICAL, it says nothing.
SILENT_LOGGER: Final = logging.Logger("meshrt.silent", logging.CRITICAL + 1)  # noqa: LOG001

# What the codec's exceptions say about the peer, and the code with which it answered.
_BROKEN_RULES: Final[tuple[tuple[type[Exception], CloseCode, str], ...]] = (
    (PayloadTooBig, CloseCode.MESSAGE_TOO_BIG, "sent a message larger than the limit"),
    (UnicodeDecodeError, CloseCode.INVALID_DATA, "sent a CLOSE whose reason is not UTF-8"),
    (ProtocolError, CloseCode.PROTOCOL_ERROR, "broke the WebSocket protocol"),
    (Exception, CloseCode.INTERNAL_ERROR, "sent a frame that can't be read"),
)


@attrs.frozen
class Fault:
    """What the peer did wrong, kept so that each raise has an exception of its own."""

    message: str
    close_code: int = attrs.field(converter=int)  # websockets' own enumeration ends here

    def error(self) -> RemoteProtocolError:
        """Build the exception."""
        return RemoteProtocolError(self.message, close_code=self.close_code)


def _fault(error: Exception) -> Fault:
    code, deed = next(rule[1:] for rule in _BROKEN_RULES if isinstance(error, rule[0]))
    return Fault(f"the peer {deed} ({error}), so the connection can't go on ({code:d})", code)


class FrameCodec:
    """Turn bytes into messages and messages into bytes, with no I/O and no clock.

    Args:
        protocol: websockets' codec, past its handshake; nobody else uses it any more.

    Attributes:
        control: The control frames that wait to be written.
        close: The peer's CLOSE, once it came; code 1005 where it held none.
        fault: What the peer did wrong, once it did; nothing is parsed after it.
        close_sent: Whether :meth:`shut` has been called.
    """

    def __init__(self, protocol: ClientProtocol | ServerProtocol) -> None:
        self._protocol = protocol
        self._assembly = Assembly()
        self._gate = FloodGate()
        self._is_client = protocol.side is Side.CLIENT
        limit = _limit_of(protocol)
        self._reader = FrameReader(self._assembly, limit, is_client=self._is_client)
        self._now = 0.0
        self.control = ControlFrames()
        self.close: Close | None = None
        self.fault: Fault | None = None
        self.close_sent = False

    @property
    def is_open(self) -> bool:
        """Whether messages may still be sent."""
        return not self.close_sent and not self.has_ended

    @property
    def has_ended(self) -> bool:
        """Whether no message can come any more."""
        return self.close is not None or self.fault is not None

    @property
    def has_messages(self) -> bool:
        """Whether :meth:`take` would return something."""
        return bool(self._reader.messages)

    def take(self) -> list[str | bytes]:
        """Hand out the messages that are complete, in order."""
        messages, self._reader.messages = self._reader.messages, []
        return messages

    def feed(self, data: bytes, now: float) -> None:
        """Parse what was read at ``now`` seconds of a monotonic clock.

        The flood gate looks after each frame that is the codec's.
        """
        if self.has_ended:
            return
        self._now = now
        try:
            self._reader.feed(data, self._parse)
        except UnicodeDecodeError as error:
            self._fail_text(error)

    def _parse(self, data: bytes) -> bool:
        """Parse what the reader leaves to the codec; return whether there is more to read."""
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            if self.fault is not None or not isinstance(frame, Frame):
                break
            self._HANDLERS[frame.opcode](self, frame)
        if not self.has_ended and self._protocol.parser_exc is not None:
            self._end(self._protocol.parser_exc)
        self._judge()
        self.control.add(self._protocol.data_to_send())
        return not self.has_ended

    def encode(self, batch: Sequence[str | bytes]) -> Iterator[bytes]:
        """Return the waiting control frames and then the messages, as bytes for the wire.

        One piece, which may be empty; several, each made when its turn comes, if it is much.

        Raises:
            LocalProtocolError: A text holds a lone surrogate; nothing was taken or encoded.
        """
        payloads = [(utf8(m), True) if isinstance(m, str) else (m, False) for m in batch]
        size = sum(len(payload) for payload, _ in payloads)
        parts = frames(payloads, masked=self._is_client)
        return pieces_for_writing(itertools.chain((self.control.take(),), parts), size)

    def ping(self) -> None:
        """Queue a ping, unless the connection is ending."""
        if self.is_open:
            self._protocol.send_ping(b"")
            self.control.add(self._protocol.data_to_send())

    def shut(self, code: int, reason: str) -> None:
        """Queue a CLOSE, unless one was sent or queued; a reason over 123 bytes is cut.

        Raises:
            LocalProtocolError: The code is not one that a CLOSE frame may hold.
        """
        check_close_code(code)
        if self.is_open:
            self._protocol.send_close(code, cut_reason(reason))
            self.control.add(self._protocol.data_to_send())
        self.close_sent = True

    def _on_data(self, frame: Frame) -> None:
        try:
            message = self._assembly.add(frame)
        except UnicodeDecodeError as error:
            self._fail_text(error)
        else:
            if message is None:
                self._gate.fragment(len(frame.data))
            else:
                self._reader.messages.append(message)

    def _on_close(self, frame: Frame) -> None:
        self.close = Close.parse(frame.data)

    def _on_ping_or_pong(self, _frame: Frame) -> None:
        self._gate.idle()

    _HANDLERS: Final[dict[Opcode, Callable[["FrameCodec", Frame], None]]] = {
        Opcode.CONT: _on_data,
        Opcode.TEXT: _on_data,
        Opcode.BINARY: _on_data,
        Opcode.CLOSE: _on_close,
        Opcode.PING: _on_ping_or_pong,
        Opcode.PONG: _on_ping_or_pong,
    }

    def _judge(self) -> None:
        flood = self._gate.problem(self._now)
        if flood is not None and not self.has_ended:
            self._fail(
                CloseCode.POLICY_VIOLATION,
                f"{flood} within {FLOOD_WINDOW_S:g} s",
            )

    def _end(self, error: Exception) -> None:
        if self._protocol.close_rcvd is None:
            self.fault = _fault(error)
        else:
            self._end_in_a_message(self._protocol.close_rcvd)

    def _end_in_a_message(self, close: Close) -> None:
        """Take a CLOSE between the fragments of a message: the codec calls it a broken rule.

        RFC 6455, 5.4, lets control frames stand there, and Autobahn's 7.1.5 wants this one
        answered with its own code.
        """
        self.close = close
        self._answer(b"" if close.code == CloseCode.NO_STATUS_RCVD else close.serialize())

    def _answer(self, payload: bytes) -> None:
        """Let our CLOSE say this, unless one was sent, whatever the codec has answered."""
        self.control.add(self._protocol.data_to_send())
        if not self.close_sent:
            is_client = self._protocol.side is Side.CLIENT
            self.control.add([Frame(Opcode.CLOSE, payload).serialize(mask=is_client)])

    def _fail_text(self, error: UnicodeDecodeError) -> None:
        self._fail(CloseCode.INVALID_DATA, f"text that is not UTF-8 ({error.reason})")

    def _fail(self, code: CloseCode, deed: str) -> None:
        self._protocol.fail(code, deed)
        self._answer(Close(code, deed).serialize())
        self.fault = Fault(f"the peer sent {deed}, so the connection can't go on ({code:d})", code)


def _limit_of(protocol: ClientProtocol | ServerProtocol) -> int:
    """Return the size of the largest message in one frame; websockets has renamed where it is."""
    names = ("max_message_size", "max_fragment_size", "max_size")
    limits = (getattr(protocol, name, None) for name in names)
    return min((limit for limit in limits if limit is not None), default=2**63)


def utf8(text: str) -> bytes:
    """Encode a text as it goes into a frame.

    Raises:
        LocalProtocolError: It holds a lone surrogate.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(
            "the text holds a lone surrogate, which UTF-8 can't carry; nothing was sent",
        ) from error
