"""A session that is answered by a script, for code that takes a session."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Unpack

from ..events import Session
from ..gateway import Script, ScriptModel
from ..session import RealtimeSession
from ._memory import gateway_in_memory
from ._options import SessionSettings


@asynccontextmanager
async def scripted_session(
    script: Script | str,
    *,
    session: Session | None = None,
    **settings: Unpack[SessionSettings],
) -> AsyncGenerator[RealtimeSession]:
    r"""Open a session, in memory, that is answered as a script says.

    ::

        async with scripted_session("> Hello.\n< Hi!") as session:
            await code_of_yours(session)

    It is a real session, not an imitation of one. At the end of the block, unless that raises, the
    script must have been followed to its end.

    Args:
        script: A script, or its text; see :class:`meshrt.gateway.Script`.
        session: What to configure before the block begins.
        **settings: Those of the client's ``connect``.

    Raises:
        AssertionError: The script was not followed; it says what was expected and what came.
        ConfigurationError: It is no script.
        LocalProtocolError: ``session`` can't be sent.
    """
    model = ScriptModel(script)
    connecting = gateway_in_memory(model=model)
    async with connecting as gateway, gateway.connect(session=session, **settings) as opened:
        yield opened
    model.check()
