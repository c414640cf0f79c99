"""Ctrl-C where it must not come in the middle. It is loaded first, and so needs little."""

import signal
import socket
import threading
from contextlib import AbstractContextManager, suppress
from types import FrameType, TracebackType
from typing import Final, Self, final

_BYTE: Final = b"\0"


@final
class Interrupt(AbstractContextManager["Interrupt"]):
    """A block in which Ctrl-C is only noted, and after which it raises KeyboardInterrupt.

    Python raises it between any two instructions: between the making of a coroutine and its first
    step, of a socket and what closes it, or in a callback, where it is lost. While they start and
    stop, neither Trio nor asyncio nor an import is safe from that. Whoever presses twice does not
    want to wait, and gets Python's way.

    Attributes:
        pressed: Whether it was pressed.
        heard: What can be read once it was.
    """

    def __init__(self) -> None:
        self.pressed = False
        self.heard, self._told = socket.socketpair()
        self._is_ours = _would_raise()

    def __enter__(self) -> Self:
        """Take the signal over."""
        if self._is_ours:
            signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the signal back.

        Raises:
            KeyboardInterrupt: It was pressed, and the block has come to its end.
        """
        self.heard.close()
        self._told.close()
        if self._is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.pressed and error is None:
            raise KeyboardInterrupt

    def _press(self, signum: int, frame: FrameType | None) -> None:
        if self.pressed:
            signal.default_int_handler(signum, frame)
        self.pressed = True
        with suppress(OSError):  # it is closed: the block is at its end
            self._told.send(_BYTE)


def _would_raise() -> bool:
    """Tell whether Ctrl-C raises here: not in a thread, nor where somebody else has it."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
