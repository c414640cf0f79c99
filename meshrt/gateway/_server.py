"""The local gateway: a WebSocket server on loopback that speaks the realtime wire."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import anyio
import anyio.abc
import attrs
from anyio.abc import SocketAttribute

from .._secret import Secret, problem_of_key
from ..errors import ConfigurationError, RemoteProtocolError
from ..events import Error, ErrorDetails
from ..protocol import RealtimeProtocol
from ..transports import ConnectionLost, Endpoint, WebSocketTransport
from ._handshake import Upgrade, accept
from ._ids import new_event_id, new_id
from ._journal import note_bug, note_lost, note_refused, note_violation
from ._session import GatewaySession
from ._speaking import Voice, default_voice
from ._thinking import HonestModel, Model

MODELS: Final = (
    "openai/gpt-realtime-mini",
    "openai/gpt-realtime",
    "openai/gpt-realtime-2",
)
"""The models that the gateway answers to; the provider's name may be left out."""

_HANDSHAKE_SECONDS: Final = 5.0  # for a whole request: a slow one must not hold a connection
_CLOSE_SECONDS: Final = 1.0  # how long a client may take to read why it was refused
_MAX_PORT: Final = 2**16 - 1


@attrs.frozen(kw_only=True)
class Gateway:
    """A gateway that is running.

    Attributes:
        url: Its address, such as ``http://127.0.0.1:8765``: the ``base_url`` of a client.
    """

    url: str


@attrs.frozen(kw_only=True)
class _House:
    """What all clients of a gateway share."""

    model: Model
    voice: Voice
    key: Secret | None


@asynccontextmanager
async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    key: str | None = None,
    model: Model | None = None,
    voice: Voice | None = None,
) -> AsyncGenerator[Gateway]:
    """Run a local gateway for as long as the block lasts.

    It speaks ``/v1/realtime`` as Mesh's gateway does. Its model needs no weights: by default it
    says what it heard. Leaving the block cuts all its clients off.

    Args:
        host: A loopback address.
        port: The TCP port; 0 takes a free one.
        key: The only key that is accepted; by default any is, and none too. Keys are not logged.
        model: What thinks up the answers; by default :class:`HonestModel`.
        voice: What speaks them; by default espeak-ng where it is installed, or else an echo.

    Raises:
        ConfigurationError: The host is not a loopback address, or the port, the key, the model or
            the voice can't be one.
        OSError: The port can't be had.
    """
    _check_host(host)
    _check_port(port)
    house = _House(model=_model(model), voice=_voice(voice), key=_secret(key))
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    held: BaseException | None = None
    try:
        async with listener, anyio.create_task_group() as tasks:
            taken = listener.extra(SocketAttribute.local_port)
            tasks.start_soon(listener.serve, partial(_serve_client, house))
            try:
                yield Gateway(url=f"http://{f'[{host}]' if ':' in host else host}:{taken}")
            except BaseException as error:  # noqa: ASYNC103  held, and raised below
                if tasks.cancel_scope.cancel_called:
                    raise  # a task of ours failed, and this is only how the block was told
                # A cancellation of somebody else's too: AnyIO's group takes it for its own where
                # asyncio's and that of another scope have met in one exception.
                held = error
            tasks.cancel_scope.cancel("the gateway's block is left")
    finally:
        try:
            if held is not None:
                raise held  # out here no group wraps it
        finally:
            del held


async def _serve_client(house: _House, stream: anyio.abc.SocketStream) -> None:
    """Serve one client; whatever goes wrong with it is logged, and the others go on."""
    async with stream:
        try:
            upgrade = None
            with anyio.move_on_after(_HANDSHAKE_SECONDS):
                upgrade = await accept(stream)
            if upgrade is not None:
                await _converse(house, upgrade)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return
        except Exception as error:  # noqa: BLE001  it ends this client and no other
            note_bug("a client was cut off because of a bug", error)


async def _converse(house: _House, upgrade: Upgrade) -> None:  # noqa: ASYNC910  it converses
    refusal = _refusal(house, upgrade)
    try:
        if refusal is not None:
            await _refuse(upgrade.transport, *refusal)
        else:
            await _hold_session(house, upgrade)
    except RemoteProtocolError as error:
        note_violation(error)
    except ConnectionLost:
        note_lost()


async def _hold_session(house: _House, upgrade: Upgrade) -> None:
    async with anyio.create_task_group() as tasks:
        session = GatewaySession(
            upgrade.transport,
            tasks,
            model_name=upgrade.model or "",
            model=house.model,
            voice=house.voice,
        )
        try:
            await session.run()
        finally:
            tasks.cancel_scope.cancel("the client has gone")
            session.release()


def _refusal(house: _House, upgrade: Upgrade) -> tuple[ErrorDetails, int, str] | None:
    """Return the error, and the close code and reason, for a client that is not let in.

    The codes are those recorded from the real server, which upgrades and then refuses.
    """
    if house.key is not None and upgrade.key != house.key:
        return (
            _details("invalid_api_key", "Incorrect API key provided."),
            3000,
            "invalid_request_error.invalid_api_key",
        )
    if upgrade.model is None:
        message = f"The query has no `model`. There are: {', '.join(MODELS)}."
        return _details("missing_model", message), 4000, "invalid_request_error.missing_model"
    if not any(upgrade.model in (name, name.partition("/")[2]) for name in MODELS):
        message = f"There is no model {upgrade.model[:100]!a}. There are: {', '.join(MODELS)}."
        return _details("model_not_found", message), 4000, "invalid_request_error.invalid_model"
    return None


def _details(code: str, message: str) -> ErrorDetails:
    return ErrorDetails(type="invalid_request_error", code=code, message=message, param=None)


async def _refuse(
    transport: WebSocketTransport, details: ErrorDetails, code: int, reason: str
) -> None:
    protocol = RealtimeProtocol("server", make_id=new_event_id)
    text = protocol.send(Error(error=details, request_id=new_id("req")))
    note_refused(101, details.code or None)
    with anyio.move_on_after(_CLOSE_SECONDS):
        await transport.send([text])
        await transport.aclose(code, reason)
        try:
            while True:
                await transport.receive()
        except anyio.EndOfStream:
            return


def _check_host(host: str) -> None:
    # An endpoint without TLS is one on a loopback address: the rule is there already.
    try:
        Endpoint(host=host, port=1, path="/", secure=False)
    except ConfigurationError:
        problem = True
    else:
        problem = False
    if problem:
        raise ConfigurationError(
            "the gateway listens on a loopback address only, such as 127.0.0.1: it lets anybody in"
        )


def _check_port(port: object) -> None:
    if type(port) is not int or not 0 <= port <= _MAX_PORT:
        raise ConfigurationError(
            f"a port is a number from 0 to {_MAX_PORT}, and 0 takes a free one: not {port!r:.100}"
        )


def _model(model: Model | None) -> Model:
    if model is None:
        return HonestModel()
    _check_has(model, "reply", "model", "HonestModel()")
    return model


def _voice(voice: Voice | None) -> Voice:
    if voice is None:
        return default_voice()
    _check_has(voice, "speak", "voice", "EchoVoice()")
    return voice


def _check_has(given: object, method: str, name: str, example: str) -> None:
    """Refuse what would fail only in the first turn, such as a model's name, or a class."""
    if isinstance(given, type) or not callable(getattr(given, method, None)):
        raise ConfigurationError(
            f"{name} is an object with an async method `{method}`, such as {example}: "
            f"not {given!r:.100}"
        )


def _secret(key: str | None) -> Secret | None:
    problem = None if key is None else problem_of_key(key)
    secret = Secret(key) if key is not None and problem is None else None
    key = None
    if problem is not None:
        raise ConfigurationError(f"the gateway's key {problem}")
    return secret
