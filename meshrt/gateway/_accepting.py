"""Taking clients from a port, whatever hinders one of them."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

import anyio
import anyio.abc

from ._journal import note_not_taken

Handler: TypeAlias = Callable[[anyio.abc.SocketStream], Coroutine[Any, Any, None]]
"""What serves one client."""

_PAUSE_SECONDS: Final = 0.1  # as trio.serve_listeners() waits for a file descriptor


async def accept_all(
    listener: anyio.abc.SocketListener, handler: Handler, tasks: anyio.abc.TaskGroup
) -> None:
    """Serve each client in a task of its own, until this is cancelled.

    What can't be taken now waits in the listener's queue. AnyIO's ``serve()`` ends at the first
    failure, such as for want of file descriptors or by a client's reset, and with it all clients.
    """
    is_stuck = False
    while True:
        try:
            stream = await listener.accept()
        except (OSError, anyio.BrokenResourceError) as error:
            if not is_stuck:  # a flood of clients is none of records
                note_not_taken(error)
            is_stuck = True
            await anyio.sleep(_PAUSE_SECONDS)
        else:
            is_stuck = False
            tasks.start_soon(handler, stream)
