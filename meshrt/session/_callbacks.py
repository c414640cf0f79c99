"""Handlers in place of a loop: one task calls them, in order, one at a time."""

import inspect
import logging
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, final

import anyio
import attrs

from .._journal import Journal
from ..errors import LocalProtocolError
from ..events import UNSET, Error, UnsetType
from ..protocol import AnyEvent
from ._buffer import Buffer
from ._end import End, realtime_error
from ._message import RealtimeMessage
from ._selection import Pattern, Selection

_journal: Final = Journal("meshrt.session")

Handler: TypeAlias = Callable[..., Any]
"""A function, or a coroutine function; its result is awaited if it can be."""
HandlerErrors: TypeAlias = Literal["raise", "report"]
"""What becomes of an exception that a handler raises."""
HANDLER_ERRORS: Final[tuple[HandlerErrors, ...]] = ("raise", "report")

_ABNORMAL_CLOSURE: Final = 1006  # RFC 6455, 7.4.1: for applications to say that no CLOSE came
_ALL: Final = Selection(())


@attrs.frozen(eq=False)
class _Registration:
    """A handler, what it is for, and whether it is called once only."""

    key: Pattern
    handler: Handler
    once: bool
    selection: Selection | None

    def wants(self, event: AnyEvent) -> bool:
        if isinstance(event, Error) and self.key in ("message", "error"):
            return self.key == "error"
        return self.selection is not None and self.selection.wants(event)


def registration(key: Pattern, handler: Handler, *, once: bool) -> _Registration:
    """Check a handler and what it is to be called for.

    Raises:
        LocalProtocolError: Nothing can be called so, or the handler is no function.
    """
    if not callable(handler) or inspect.isasyncgenfunction(handler):
        raise LocalProtocolError(f"a handler is a function, and not {type(handler).__name__}")
    return _Registration(key, handler, once, _selection_of(key))


def _selection_of(key: Pattern) -> Selection | None:
    if key in ("error", "close"):
        return None
    try:
        return _ALL if key == "message" else Selection([key])
    except LocalProtocolError as error:
        problem = f"{error}; handlers have 'message', 'error' and 'close' as well"
    raise LocalProtocolError(problem)


@final
class Callbacks:
    """The handlers of a session and the task that calls them.

    Attributes:
        done: Set when no handler will be called any more.
    """

    def __init__(self, budget_bytes: int, handler_errors: HandlerErrors) -> None:
        self._buffer = Buffer(budget_bytes)
        self._reports = handler_errors == "report"
        self._registered: list[_Registration] = []
        self._over = anyio.Event()
        self._end: End | None = None
        self._overflow: End | None = None
        self._task: int | None = None
        self.done = anyio.Event()

    @property
    def waiting(self) -> int:
        """How many messages wait to be handled."""
        return self._buffer.count

    @property
    def has_ended(self) -> bool:
        """Whether no more messages will be handled."""
        return self._buffer.has_ended

    def add(self, registered: _Registration) -> None:
        """Call a handler from now on."""
        self._registered.append(registered)

    def remove(self, key: Pattern, handler: Handler | UnsetType) -> None:
        """Call a handler no more, or none of those for this."""
        self._registered = [
            r for r in self._registered if r.key != key or handler not in (UNSET, r.handler)
        ]

    def handles(self, key: Pattern) -> bool:
        """Whether anybody handles this."""
        return any(registered.key == key for registered in self._registered)

    def wants(self, event: AnyEvent) -> bool:
        """Whether anybody handles this event."""
        return any(registered.wants(event) for registered in self._registered)

    def offer(self, message: RealtimeMessage, cost: int) -> bool:
        """Add a message, if anybody handles it; ``False`` if they have not kept up."""
        return not self.wants(message.event) or self._buffer.offer(message, cost)

    def end(self, end: End, *, discard: bool) -> None:
        """Stop calling handlers of messages, after what is buffered or at once."""
        self._buffer.end(end, discard=discard)

    def overflow(self, end: End) -> None:
        """Stop calling handlers of messages, after what is buffered: they did not keep up."""
        self._overflow = end
        self._buffer.end(end, discard=False)

    def check_not_inside(self, deed: str) -> None:
        """Refuse what a handler can't do, because it would wait for itself.

        Raises:
            LocalProtocolError: A handler does.
        """
        if anyio.get_current_task().id == self._task:
            raise LocalProtocolError(f"a handler can't {deed}: that waits for this handler")

    def over(self, end: End) -> None:
        """Let the handlers of the close be called."""
        self._end = end
        self._over.set()

    def close(self) -> None:
        """Give up the memory."""
        self._buffer.close()

    async def run(self) -> None:
        """Call the handlers until the session is over; what they raise comes out."""
        self._task = anyio.get_current_task().id
        try:
            await self._messages()
            if self._overflow is not None:
                await self._too_slow(self._overflow.to_reader())
            await self._over.wait()
            await self._call_close()
        finally:
            self.done.set()

    async def _too_slow(self, error: Exception) -> None:
        """Say that no more messages will be handled; where nobody handles that, fail."""
        if not self.handles("error"):
            raise error
        await self._call_all("error", error)

    async def _messages(self) -> None:
        while not isinstance(message := await self._buffer.receive(), End):
            for registered in tuple(self._registered):
                if registered in self._registered and registered.wants(message.event):
                    await self._call(registered, _argument_of(registered, message))

    async def _call_close(self) -> None:  # noqa: ASYNC910  the dispatcher waits elsewhere
        if self._end is not None:
            code, reason = self._end.closed.code, self._end.closed.reason
            await self._call_all("close", _ABNORMAL_CLOSURE if code is None else code, reason)

    async def _call_all(self, key: str, *arguments: object) -> None:  # noqa: ASYNC910  the dispatcher waits elsewhere
        for registered in tuple(self._registered):
            if registered.key == key and registered in self._registered:
                await self._call(registered, *arguments)

    async def _call(self, registered: _Registration, *arguments: object) -> None:  # noqa: ASYNC910  the dispatcher waits elsewhere
        if registered.once:
            self._registered.remove(registered)
        try:
            result = registered.handler(*arguments)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            if self._is_the_end(error):
                return  # it was using the session when that ended: nothing is wrong with it
            if not self._reports:
                raise
            _journal.write(
                logging.ERROR,
                "handler.failed",
                "a handler of %(key)s failed; the session goes on",
                error,
                key=str(registered.key),
            )

    def _is_the_end(self, error: Exception) -> bool:
        if self._end is None:
            return False
        seen = (self._end.to_sender(), self._end.to_reader())
        return any(type(error) is type(end) and str(error) == str(end) for end in seen)


def _argument_of(registered: _Registration, message: RealtimeMessage) -> object:
    if registered.key == "error" and isinstance(message.event, Error):
        return realtime_error(message.event)
    return message
