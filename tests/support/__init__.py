"""What the tests of several rooms share: a server that obeys, and a check that nothing is left."""

from ._cancels import (
    CANCELLERS as CANCELLERS,
    Canceller as Canceller,
    works_on as works_on,
)
from ._leaks import nothing_left as nothing_left
from ._logs import warnings_of as warnings_of
from ._secrets import places_of as places_of
from ._server import ScriptedServer as ScriptedServer
from ._transport import Wrapped as Wrapped
from ._websockets import Script as Script, websockets_server as websockets_server
from ._wire import (
    PCM as PCM,
    audio_delta as audio_delta,
    created as created,
    error as error,
    response_created as response_created,
    response_done as response_done,
    text_delta as text_delta,
    texts_of as texts_of,
    updated as updated,
)

__all__ = (
    "CANCELLERS",
    "PCM",
    "Canceller",
    "Script",
    "ScriptedServer",
    "Wrapped",
    "audio_delta",
    "created",
    "error",
    "nothing_left",
    "places_of",
    "response_created",
    "response_done",
    "text_delta",
    "texts_of",
    "updated",
    "warnings_of",
    "websockets_server",
    "works_on",
)
