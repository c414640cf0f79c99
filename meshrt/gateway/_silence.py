"""Noticing that nobody speaks after the model has."""

from collections.abc import Callable
from typing import final

import anyio
import anyio.abc


@final
class Silence:
    """One wait at a time for the user's next word.

    Args:
        tasks: Where it waits.
    """

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self._tasks = tasks
        self._scope: anyio.CancelScope | None = None

    def watch(
        self,
        playing_s: float,
        timeout_s: float,
        *,
        place: Callable[[], float],
        expired: Callable[[float], None],
    ) -> None:
        """Wait until the model's answer has played, and then for the timeout.

        Args:
            playing_s: How long the answer plays yet, in seconds.
            timeout_s: How long nobody may speak after it, in seconds.
            place: Tells how much audio the user has sent, in ms.
            expired: Is called after that, with the place at which the answer had played.
        """
        self.stop()
        self._scope = anyio.CancelScope()

        async def wait(scope: anyio.CancelScope) -> None:
            with scope:
                await anyio.sleep(playing_s)
                start_ms = place()
                await anyio.sleep(timeout_s)
                expired(start_ms)

        self._tasks.start_soon(wait, self._scope)

    def stop(self) -> None:
        """Wait no more."""
        if self._scope is not None:
            self._scope.cancel("somebody speaks")
            self._scope = None
