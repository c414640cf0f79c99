"""The tasks of a session, in a group that belongs to the task which entered the block."""

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, final

import anyio
import anyio.abc

from ..errors import LocalProtocolError


@final
class Tasks(AbstractAsyncContextManager["Tasks"]):
    """A task group that only the task which entered it can leave; leaving cancels what runs yet.

    That is so of every task group: on either loop it is a part of its task. In another task this
    one is given up, and not cancelled, since that would cancel the task that entered again and
    again, wherever it is by now.
    """

    def __init__(self) -> None:
        self._group = anyio.create_task_group()
        self._handles: list[anyio.TaskHandle[object]] = []
        self._home = 0
        self._home_name: str | None = None

    @property
    def group(self) -> anyio.abc.TaskGroup:
        """The group itself, for tasks that end with the connection."""
        return self._group

    @property
    def is_elsewhere(self) -> bool:
        """Whether the running task is another than the one that entered."""
        return anyio.get_current_task().id != self._home

    def start_soon(
        self, function: Callable[..., Coroutine[Any, Any, object]], *args: object, name: str
    ) -> None:
        """Start a task."""
        self._handles.append(self._group.start_soon(function, *args, name=name))

    def cancel(self, reason: str) -> None:
        """Cancel all of them, and the block with them."""
        self._group.cancel_scope.cancel(reason)

    def judged(self, error: BaseException | None) -> BaseException | None:
        """Return what leaving raises: in another task that mistake, with the error as its context.

        A cancellation, Ctrl-C and the like go on as they are.
        """
        if not self.is_elsewhere or not isinstance(error, Exception | GeneratorExit | None):
            return error
        here = anyio.get_current_task().name
        mistake = LocalProtocolError(
            f"this session's block was entered in the task {self._home_name!r} and left in "
            f"{here!r}: only the task that enters can leave it, so the connection was cut. Where "
            "it can't be one task, as with a framework's hooks, write `session = await "
            "client.realtime.connect_in(task_group, model=...)`, and later `await session.close()`"
        )
        mistake.__context__ = error
        return mistake

    def cancel_each(self) -> None:
        """Cancel each by itself, and neither the block nor the task that entered it."""
        for handle in self._handles:
            handle.cancel()

    async def wait(self) -> None:
        """Wait until each is done."""
        for handle in self._handles:
            await handle.wait()

    async def __aenter__(self) -> Self:
        task = anyio.get_current_task()
        # The group holds the task, so that no other is given its id.
        self._home, self._home_name = task.id, task.name
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self.is_elsewhere:
            return None
        self.cancel("the session's block is left")
        try:
            return await self._group.__aexit__(kind, error, traceback)  # noqa: ASYNC102  as a group does
        finally:
            del error, traceback  # the exception holds this frame
