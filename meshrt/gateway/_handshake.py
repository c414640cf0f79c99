"""From a request to a WebSocket: what it brings, and the 101.

websockets answers a subprotocol such as ``Bearer <key>``, which Mesh documents and no token may
be, with 400. So the upgrade goes to it without such subprotocols.
"""

from typing import Final

import attrs
from anyio.abc import ByteStream

from .._secret import Secret
from ..transports import WebSocketTransport, accept_websocket, offered_subprotocols
from ._config import Kind, kind_of
from ._http import SAFE_HEADERS, Refused, Request
from ._journal import note_refused
from ._limits import Limits

PATHS: Final = (
    "/v1/realtime",
    "/realtime",
    "/v1/realtime/translations",
    "/realtime/translations",
)
_KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."


@attrs.frozen(kw_only=True)
class Upgrade:
    """A client that has its WebSocket.

    Attributes:
        transport: The WebSocket.
        model: The model that it asks for, or ``None``.
        kind: What it wants a session for.
        key: The key that it brought, or ``None``; whether it is right is not judged here.
        wants_beta: Whether it said that it speaks the beta wire.
    """

    transport: WebSocketTransport
    model: str | None
    kind: Kind
    key: Secret | None
    wants_beta: bool


async def upgrade(stream: ByteStream, request: Request, limits: Limits) -> Upgrade | None:
    """Answer a request to the realtime path: with a WebSocket, or with a 4xx and ``None``.

    Cancelling is safe; the stream stays the caller's to close unless there is an ``Upgrade``.

    Raises:
        Refused: It is no upgrade.
        anyio.BrokenResourceError: The client went.
    """
    if not request.is_upgrade:
        raise Refused(
            426,
            "upgrade_required",
            "This address speaks WebSocket only.",
            headers={"Upgrade": "websocket"},
        )
    transport = await accept_websocket(
        stream,
        target=request.path,  # not the query: nothing but us need see the key
        headers=request.headers,
        received=request.rest,
        max_message_bytes=limits.message_bytes,
        response_headers=SAFE_HEADERS,
    )
    if transport is None:
        note_refused(400, "bad_request")
        return None
    return Upgrade(
        transport=transport,
        model=request.query.get("model", [None])[0],
        kind=kind_of(request.path, request.query),
        key=_key_of(request),
        wants_beta="realtime=v1" in request.header("openai-beta").lower(),
    )


def _key_of(request: Request) -> Secret | None:
    """Return the key, from wherever a client may put it; a subprotocol wins, as documented."""
    for name in offered_subprotocols(request.headers):
        if name.startswith(_KEY_SUBPROTOCOL):
            return Secret(name.removeprefix(_KEY_SUBPROTOCOL))
        if name.startswith("Bearer "):
            return Secret(name.removeprefix("Bearer "))
    scheme, _, bearer = request.header("authorization").partition(" ")
    key = bearer if scheme.lower() == "bearer" else request.query.get("api_key", [""])[0]
    key = key or request.header("api-key")
    return Secret(key) if key else None
