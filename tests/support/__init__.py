"""What the tests of several rooms share: a server that obeys, and a check that nothing is left."""

from ._cancel_at import (
    WAYS as WAYS,
    CancelAt as CancelAt,
    Outcome as Outcome,
    Way as Way,
    at_each as at_each,
    by_both_at as by_both_at,
    by_scope_at as by_scope_at,
    by_task_at as by_task_at,
    by_tick_at as by_tick_at,
    has_way as has_way,
)
from ._cancels import (
    CANCELLERS as CANCELLERS,
    Canceller as Canceller,
    works_on as works_on,
)
from ._chaos import Chaos as Chaos, ChaosProxy as ChaosProxy, chaos_proxy as chaos_proxy
from ._frames import (
    FrameParser as FrameParser,
    Heard as Heard,
    client_frame as client_frame,
    parse_frames as parse_frames,
    server_frame as server_frame,
)
from ._leaks import complaints as complaints, nothing_left as nothing_left
from ._local import connecting as connecting
from ._logs import ours as ours, warnings_of as warnings_of
from ._ordeal import (
    Ordeal as Ordeal,
    Outcome as OrdealOutcome,
    go_through as go_through,
    ordeal as ordeal,
)
from ._proxies import (
    ForwardProxy as ForwardProxy,
    ProxyConnection as ProxyConnection,
    ProxyScript as ProxyScript,
    forward_proxy as forward_proxy,
    front as front,
    http_proxy as http_proxy,
    socks_proxy as socks_proxy,
)
from ._raw_server import (
    RawConnection as RawConnection,
    RawScript as RawScript,
    RawServer as RawServer,
    close_frame as close_frame,
    raw_server as raw_server,
    text_frame as text_frame,
)
from ._secrets import (
    forms_of as forms_of,
    places_of as places_of,
    places_within as places_within,
)
from ._server import ScriptedServer as ScriptedServer
from ._streams import (
    Pieces as Pieces,
    corrupt as corrupt,
    cuts as cuts,
    some_bytes as some_bytes,
)
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
    "WAYS",
    "CancelAt",
    "Canceller",
    "Chaos",
    "ChaosProxy",
    "ForwardProxy",
    "FrameParser",
    "Heard",
    "Ordeal",
    "OrdealOutcome",
    "Outcome",
    "Pieces",
    "ProxyConnection",
    "ProxyScript",
    "RawConnection",
    "RawScript",
    "RawServer",
    "Script",
    "ScriptedServer",
    "Way",
    "Wrapped",
    "at_each",
    "audio_delta",
    "by_both_at",
    "by_scope_at",
    "by_task_at",
    "by_tick_at",
    "chaos_proxy",
    "client_frame",
    "close_frame",
    "complaints",
    "connecting",
    "corrupt",
    "created",
    "cuts",
    "error",
    "forms_of",
    "forward_proxy",
    "front",
    "go_through",
    "has_way",
    "http_proxy",
    "nothing_left",
    "ordeal",
    "parse_frames",
    "places_of",
    "places_within",
    "raw_server",
    "response_created",
    "response_done",
    "server_frame",
    "socks_proxy",
    "some_bytes",
    "text_delta",
    "text_frame",
    "texts_of",
    "updated",
    "warnings_of",
    "websockets_server",
    "works_on",
)
