"""What tests of your own programs need: gateways and servers, with and without sockets.

Nothing here needs pytest; :mod:`meshrt.testing.plugin` has fixtures for it. The gateways need the
extra ``gateway``.
"""

from .._public import publish
from ._memory import MemoryGateway as MemoryGateway, gateway_in_memory as gateway_in_memory
from ._options import SessionSettings as SessionSettings
from ._scripted import scripted_session as scripted_session
from ._server_end import (
    ServerEnd as ServerEnd,
    session_and_server as session_and_server,
)

__all__ = (
    "MemoryGateway",
    "ServerEnd",
    "SessionSettings",
    "gateway_in_memory",
    "scripted_session",
    "session_and_server",
)

publish(globals(), __all__)
