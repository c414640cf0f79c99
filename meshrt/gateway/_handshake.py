"""From a TCP connection to a WebSocket: the request, read by h11, and what we answer to it.

websockets' own server reads no request but an upgrade by GET, and answers a subprotocol such as
``Bearer <key>``, which Mesh documents and no token may be, with 400. So h11 reads the request, and
the upgrade alone goes on, without such subprotocols.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

import attrs
from anyio.abc import ByteStream

from .._extras import needs
from .._secret import Secret
from ..transports import WebSocketTransport, accept_websocket, offered_subprotocols
from ._ids import new_id
from ._journal import note_refused

with needs("gateway"):
    import h11

_PATHS: Final = ("/v1/realtime", "/realtime")
_KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."
_MAX_HEADER_BYTES: Final = 16 * 1024  # more than any client sends, keys and cookies included
_READ_BYTES: Final = 16 * 1024


@attrs.frozen(kw_only=True)
class Upgrade:
    """A client that has been let in.

    Attributes:
        transport: The WebSocket.
        model: The model that it asks for, or ``None``.
        key: The key that it brought, or ``None``; whether it is right is not judged here.
    """

    transport: WebSocketTransport
    model: str | None
    key: Secret | None


@attrs.frozen(kw_only=True)
class _Call:
    """A request, read."""

    method: str
    # The key may be in either.
    target: str = attrs.field(repr=False)
    headers: Sequence[tuple[str, str]] = attrs.field(repr=False)
    rest: bytes

    def header(self, name: str) -> str:
        return ", ".join(value for known, value in self.headers if known == name)


async def accept(stream: ByteStream) -> Upgrade | None:
    """Read a request and answer it: with a WebSocket, or with a status and ``None``.

    Cancelling is safe; the stream stays the caller's to close unless there is an ``Upgrade``.

    Raises:
        anyio.EndOfStream: The client went.
        anyio.BrokenResourceError: The client went without a word.
    """
    try:
        call = await _read(stream)
        target = urlsplit(call.target)
    except h11.RemoteProtocolError as error:
        await _answer(stream, error.error_status_hint, "bad_request", "This is not HTTP/1.1.")
        return None
    except ValueError:
        await _answer(stream, 400, "bad_request", "The request's target is not a URL.")
        return None
    if target.path not in _PATHS:
        await _answer(stream, 404, "not_found", f"There is only {_PATHS[0]} here.")
    elif call.method != "GET" or call.header("upgrade").lower() != "websocket":
        await _answer(
            stream,
            426,
            "upgrade_required",
            "This address speaks WebSocket only.",
            headers={"Upgrade": "websocket"},
        )
    else:
        return await _upgrade(stream, call)
    return None


async def _read(stream: ByteStream) -> _Call:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEADER_BYTES)
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return _Call(  # noqa: ASYNC910  it received before
                method=event.method.decode("ascii"),
                target=event.target.decode("ascii"),
                headers=[(n.decode("ascii"), v.decode("latin-1")) for n, v in event.headers],
                rest=connection.trailing_data[0],
            )
        connection.receive_data(await stream.receive(_READ_BYTES))


async def _upgrade(stream: ByteStream, call: _Call) -> Upgrade | None:
    transport = await accept_websocket(
        stream, target=call.target, headers=call.headers, received=call.rest
    )
    if transport is None:
        return None
    query = parse_qs(urlsplit(call.target).query)
    return Upgrade(
        transport=transport, model=query.get("model", [None])[0], key=_key_of(call, query)
    )


def _key_of(call: _Call, query: Mapping[str, Sequence[str]]) -> Secret | None:
    """Return the key, from wherever a client may put it; a subprotocol wins, as documented."""
    for name in offered_subprotocols(call.headers):
        if name.startswith(_KEY_SUBPROTOCOL):
            return Secret(name.removeprefix(_KEY_SUBPROTOCOL))
        if name.startswith("Bearer "):
            return Secret(name.removeprefix("Bearer "))
    scheme, _, bearer = call.header("authorization").partition(" ")
    key = bearer if scheme.lower() == "bearer" else query.get("api_key", [""])[0]
    return Secret(key or call.header("api-key")) if key or call.header("api-key") else None


async def _answer(
    stream: ByteStream,
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with a status and the envelope that Mesh's REST interface has."""
    note_refused(status, code)
    body = json.dumps({"error": {"code": code, "message": message}, "request_id": new_id("req")})
    fields = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **(headers or {}),
    }
    connection = h11.Connection(h11.SERVER)
    head = connection.send(h11.Response(status_code=status, headers=list(fields.items())))
    await stream.send((head or b"") + body.encode())
