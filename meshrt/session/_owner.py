"""A task that holds a session's block for others, in a group of theirs."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeAlias, final

import anyio
import anyio.abc

from ..errors import ConfigurationError
from ..transports import ConnectError
from ._cancellation import is_cancellation
from ._connect import Connecting
from ._session import RealtimeSession

_NAME: Final = "meshrt session"


class _Nursery(Protocol):
    def start_soon(self, async_fn: Any, /, *args: Any, name: object = None) -> object: ...


class _AsyncioTaskGroup(Protocol):
    def create_task(self, coro: Coroutine[Any, Any, None], /, *, name: str) -> "_AsyncioTask": ...


class _AsyncioTask(Protocol):
    def add_done_callback(self, function: Callable[[Any], object], /) -> None: ...


AnyTaskGroup: TypeAlias = anyio.abc.TaskGroup | _Nursery | _AsyncioTaskGroup
"""An ``anyio.abc.TaskGroup``, a ``trio.Nursery`` or an ``asyncio.TaskGroup``."""


async def enter_in(task_group: AnyTaskGroup, connecting: Connecting) -> RealtimeSession:
    """Let a task of a group hold a session's block, and return the session.

    It is what the client's ``connect_in`` does, for a transport of your own. The task leaves the
    block when the session has ended; what was not read by then can be read afterwards.

    Cancelling is safe: nothing is left open.

    Args:
        task_group: A task group of AnyIO's or of asyncio's, or a nursery of Trio's.
        connecting: The block; it is entered in the new task.

    Raises:
        ConfigurationError: It is no task group.
        RuntimeError: The group is not open.
        ConnectError: The group was cancelled meanwhile.
        Exception: What entering the block raises.
    """
    return await _Owner(connecting).enter_in(task_group)


@final
class _Owner:
    """A task that enters a session's block, lends the session, and leaves when that has ended."""

    def __init__(self, connecting: Connecting) -> None:
        self._connecting = connecting
        self._scope = anyio.CancelScope()
        self._settled = anyio.Event()
        self._done = anyio.Event()
        self._session: RealtimeSession | None = None
        self._error: BaseException | None = None

    async def enter_in(self, task_group: AnyTaskGroup) -> RealtimeSession:
        self._start(task_group)
        try:
            await self._settled.wait()
        except BaseException:
            self._scope.cancel("nobody waits for this session any more")
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 2):
                await self._done.wait()
            raise
        return self._taken()

    def _start(self, task_group: object) -> None:
        start_soon = getattr(task_group, "start_soon", None)
        create_task = getattr(task_group, "create_task", None)
        if start_soon is not None:
            start_soon(self._own, name=_NAME)
        elif create_task is not None:
            own = self._own()
            try:
                task: _AsyncioTask = create_task(own, name=_NAME)
            except BaseException:
                own.close()  # Python would complain that nobody awaited it
                raise
            # Cancelled before its first step, a task of asyncio's never runs at all.
            task.add_done_callback(lambda _: self._finish())
        else:
            raise ConfigurationError(
                "task_group is a task group of AnyIO's or asyncio's, or a nursery of Trio's, and "
                f"not {task_group!r:.100}"
            )

    async def _own(self) -> None:
        try:
            with self._scope:
                await self._hold()
        finally:
            self._finish()

    async def _hold(self) -> None:
        """Keep the block open until the session has ended."""
        try:
            async with self._connecting as session:
                session._lend()
                self._session = session
                self._settled.set()
                await session._connection.ending.wait()
        except BaseException as error:  # noqa: ASYNC103  handed over
            # Until somebody has the session, what goes wrong is for whoever waits for it.
            if self._settled.is_set() or is_cancellation(error):
                raise
            self._error = error

    def _finish(self) -> None:
        self._settled.set()
        self._done.set()

    def _taken(self) -> RealtimeSession:
        session, self._session = self._session, None
        error, self._error = self._error, None
        try:
            if session is not None:
                return session
            raise error or ConnectError(
                "no session came about: its task group was cancelled while it was being opened"
            )
        finally:
            del session, error  # the exception holds this frame
