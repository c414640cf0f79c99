"""Handlers in place of a loop: one task calls them, in order, one at a time."""

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeAlias, final

import anyio

from ..errors import LocalProtocolError
from ..events import Error
from ._end import Closed, End, realtime_error
from ._listener import Listener
from ._message import RealtimeMessage

Handler: TypeAlias = Callable[..., Any]
"""A function, or a coroutine function; its result is awaited if it can be."""

_NAMES: Final = ("message", "error", "close")
_ABNORMAL_CLOSURE: Final = 1006  # RFC 6455, 7.4.1: for applications to say that no CLOSE came


def check_handler(name: str, handler: object) -> None:
    """Refuse what can't be a handler.

    Raises:
        LocalProtocolError: Nothing of this name is called, or the handler is no function.
    """
    if name not in _NAMES:
        raise LocalProtocolError(f"there is no {name!r} to handle; there are {_NAMES}")
    if not callable(handler):
        raise LocalProtocolError(f"a handler is a function, and not {type(handler).__name__}")


@final
class Callbacks:
    """The handlers of a session and the task that calls them."""

    def __init__(self, budget_bytes: int) -> None:
        self._listener = Listener(budget_bytes)
        self._handlers: dict[str, list[Handler]] = {name: [] for name in _NAMES}
        self._over = anyio.Event()
        self._closed: Closed | None = None
        self.done = anyio.Event()

    def add(self, name: str, handler: Handler) -> None:
        """Add a handler that was checked."""
        self._handlers[name].append(handler)

    def handles(self, name: str) -> bool:
        """Whether anybody handles this."""
        return bool(self._handlers[name])

    def offer(self, message: RealtimeMessage, cost: int) -> bool:
        """Add a message, if anybody handles it; ``False`` if they have not kept up."""
        name = "error" if isinstance(message.event, Error) else "message"
        return not self.handles(name) or self._listener.offer(message, cost)

    def end(self, end: End, *, discard: bool) -> None:
        """Stop calling handlers of messages, after what is buffered or at once."""
        self._listener.end(end, discard=discard)

    @property
    def has_ended(self) -> bool:
        """Whether no more messages will be handled."""
        return self._listener.has_ended

    def over(self, closed: Closed) -> None:
        """Let the handlers of the close be called."""
        self._closed = closed
        self._over.set()

    def close(self) -> None:
        """Give up the memory."""
        self._listener.close()

    async def run(self) -> None:
        """Call the handlers until the session is over; what they raise comes out."""
        try:
            end = await self._messages()
            if not self._over.is_set():
                await self._too_slow(end.to_reader())
            await self._over.wait()
            await self._call_close()
        finally:
            self.done.set()

    async def _too_slow(self, error: Exception) -> None:
        """Say that no more messages will be handled; where nobody handles that, fail."""
        if not self.handles("error"):
            raise error
        await self._call("error", error)

    async def _messages(self) -> End:
        while not isinstance(message := await self._listener.receive(), End):
            if isinstance(message.event, Error):
                await self._call("error", realtime_error(message.event))
            else:
                await self._call("message", message)
        return message

    async def _call_close(self) -> None:  # noqa: ASYNC910  the dispatcher waits elsewhere
        if self._closed is not None:
            code = self._closed.code
            await self._call(
                "close", _ABNORMAL_CLOSURE if code is None else code, self._closed.reason
            )

    async def _call(self, name: str, *arguments: object) -> None:  # noqa: ASYNC910  the dispatcher waits elsewhere
        for handler in tuple(self._handlers[name]):
            result = handler(*arguments)
            if inspect.isawaitable(result):
                await result
