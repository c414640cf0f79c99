"""Handlers in place of a loop that reads: how they come to a session, and what becomes of it."""

from collections.abc import Callable
from functools import partial
from typing import Literal, Self, TypeAlias, TypeVar, overload

import anyio

from ..events import UNSET, UnsetType
from ._callbacks import Callbacks, Handler, registration
from ._cancellation import is_cancellation
from ._connection import Connection
from ._dispatch import Dispatch
from ._end import Closed, EndKind
from ._options import SessionOptions
from ._selection import Pattern, warn_of_strangers
from ._tasks import Tasks

_H = TypeVar("_H", bound=Handler)
Key: TypeAlias = Literal["message", "error", "close"] | Pattern
"""What a handler is called for."""


class Handlers:
    """The handlers of a session."""

    _connection: Connection
    _dispatch: Dispatch
    _options: SessionOptions
    _tasks: Tasks | None
    _failure: BaseException | None

    @overload
    def on(self, key: Key, handler: Handler) -> Self: ...
    @overload
    def on(self, key: Key) -> Callable[[_H], _H]: ...
    def on(self, key: Key, handler: Handler | UnsetType = UNSET) -> Self | Callable[[_H], _H]:
        """Call a handler for what comes from now on.

        With a handler it returns the session, for the next ``on``; without one it is a decorator.
        Handlers are called in order, one at a time, by a task of the session; they may be
        coroutine functions. What one raises ends the session at once, handlers of the close are
        not called, and it leaves the ``async with``; unless the session was opened with
        ``handler_errors="report"``. That the session ends while it uses it is no failure.

        Args:
            key: ``"message"`` calls ``handler(message)``, for all but errors; ``"error"`` calls
                ``handler(error)`` with a :class:`~meshrt.errors.RealtimeError`; ``"close"`` calls
                ``handler(code, reason)``, with 1006 where no CLOSE came. The class of an event,
                its wire name, or a name with ``*``, calls ``handler(message)`` for those.
            handler: What to call.

        Raises:
            LocalProtocolError: There is no such event, or the handler is no function.
            meshrt.transports.SessionClosed: The block was left; or, in its place, what had ended
                the session before.
        """
        return self._handle(key, handler, once=False)

    @overload
    def once(self, key: Key, handler: Handler) -> Self: ...
    @overload
    def once(self, key: Key) -> Callable[[_H], _H]: ...
    def once(self, key: Key, handler: Handler | UnsetType = UNSET) -> Self | Callable[[_H], _H]:
        """Call a handler the next time only; otherwise as :meth:`on`.

        Raises:
            LocalProtocolError: There is no such event, or the handler is no function.
            meshrt.transports.SessionClosed: The block was left; or, in its place, what had ended
                the session before.
        """
        return self._handle(key, handler, once=True)

    def off(self, key: Key, handler: Handler | UnsetType = UNSET) -> Self:
        """Call a handler no more; without one, none of those for this key.

        One that was never registered is none that is called: that is no error.
        """
        if self._dispatch.callbacks is not None:
            self._dispatch.callbacks.remove(key, handler)
        return self

    async def run(self) -> Closed:
        """Wait for the end, and for the handlers of what came before it.

        For a program that has handlers and nothing else to do. Handlers that are not done within
        ``close_timeout`` of the end are not waited for. Cancelling is safe.

        Returns:
            How the session ended, which was by our close, or by the server's with code 1000 and
            no turn running.

        Raises:
            SessionExpired: The server closed because the session had lasted as long as it may.
            ConnectionLost: The session ended in any other way.
            RemoteProtocolError: The server sent something that is not of this wire.
            SlowConsumerError: The iteration did not keep up.
            LocalProtocolError: A handler calls this: the end would wait for it, and it for the
                end.
        """
        if self._dispatch.callbacks is not None:
            self._dispatch.callbacks.check_not_inside("wait for the end of the session")
        await self._connection.ending.wait()
        if self._dispatch.callbacks is not None:
            with anyio.move_on_after(self._options.close_timeout):
                await self._dispatch.callbacks.done.wait()
        end = self._connection.end
        if end is not None and end.kind not in (EndKind.OURS, EndKind.CLEAN):
            raise end.to_reader()
        return end.closed  # type: ignore[union-attr]

    def _handle(
        self, key: Key, handler: Handler | UnsetType, *, once: bool
    ) -> Self | Callable[[_H], _H]:
        if handler is UNSET:
            return partial(self._decorate, key, once)
        registered = registration(key, handler, once=once)
        warn_of_strangers(registered.selection, depth=3)
        if self._tasks is None:
            # It is not: the block was left, and nobody calls handlers any more.
            self._connection.check_open()
        callbacks = self._dispatch.callbacks
        if callbacks is None or callbacks.done.is_set():  # all of the others have been called
            if callbacks is not None:
                callbacks.close()
            callbacks = Callbacks(self._options.buffer_bytes, self._options.handler_errors)
            self._start_callbacks(callbacks)
        callbacks.add(registered)
        return self

    def _decorate(self, key: Key, once: bool, handler: _H) -> _H:  # noqa: FBT001  of partial's
        self._handle(key, handler, once=once)
        return handler

    def _start_callbacks(self, callbacks: Callbacks) -> None:
        self._dispatch.callbacks = callbacks
        end = self._connection.end
        if end is not None:
            callbacks.end(end, discard=True)
            callbacks.over(end)
        if self._tasks is not None:
            self._tasks.start_soon(self._call_back, callbacks, name="meshrt callbacks")

    async def _call_back(self, callbacks: Callbacks) -> None:  # noqa: ASYNC910  a task of its own
        try:
            await callbacks.run()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # it is the user's, and is raised outside
            if is_cancellation(error):
                raise
            self._failure = error
            if self._tasks is not None:
                self._tasks.cancel("a handler failed")
