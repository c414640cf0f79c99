"""Mesh API's door: an address and a key, from which sessions are opened."""

import inspect
import os
import ssl
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Literal,
    ParamSpec,
    TypeAlias,
    TypeVar,
    final,
    overload,
)

import attrs
from anyio.abc import TaskGroup
from anyio.lowlevel import cancel_shielded_checkpoint

from ._secret import Secret, problem_of_key
from .errors import ConfigurationError
from .events import Session
from .session import (
    DEFAULT_BUDGET_BYTES,
    AnyTaskGroup,
    Connecting,
    Liveness,
    OpenTransport,
    RealtimeSession,
    SessionOptions,
    TracerProvider,
    Tracing,
    enter_in,
)
from .transports import Endpoint, Proxy, Transport

if TYPE_CHECKING:
    from .transports import WebSocketTransport
    from .transports.trio_websocket import TrioWebSocketTransport

__all__ = ("Auth", "MeshAPI", "Realtime")

_P = ParamSpec("_P")
_T = TypeVar("_T")

Auth: TypeAlias = Literal["query", "header", "subprotocol"]
"""How the key goes to the server."""

_BASE_URL: Final = "https://api.meshapi.ai"
_PATH: Final = "/v1/realtime"
_AUTHS: Final = ("query", "header", "subprotocol")
_LIVENESS: Final = Liveness()
_MAX_MESSAGE_BYTES: Final = 16 * 2**20  # the largest event of the server, with room to spare


@final
class MeshAPI:
    """Mesh API, or any server that speaks its wire. It holds nothing open.

    Args:
        base_url: ``https://`` or ``wss://``; ``http://`` and ``ws://`` for a loopback host only,
            such as that of ``meshrt serve``. By default ``MESH_BASE_URL`` of the environment, or
            else Mesh's own address.
        token: The API key, ``rsk_…``; by default ``MESH_API_KEY`` of the environment. A server on
            a loopback host may go without.
        auth: How the key is sent. ``"query"``, the default, is the one way that Mesh's gateway is
            known to take; ``"header"`` is what OpenAI's server takes, ``"subprotocol"`` what a
            browser would do.
        ssl_context: For ``https`` and ``wss``; by default one with the system's roots and
            certifi's, made when first needed. It judges an ``https`` proxy too.
        proxy: Through whom to connect. ``"environment"``, the default, does as ``wss_proxy``,
            ``https_proxy``, ``all_proxy`` and ``no_proxy`` say when the client is made, or the
            settings of macOS or Windows, and reaches a loopback host without; see
            :meth:`~meshrt.transports.Proxy.from_environment`. ``None`` is to do without. A URL
            is for every host: ``http://`` or ``https://`` for a proxy that tunnels,
            ``socks5://`` or ``socks5h://`` for one of SOCKS, with ``user:password@`` before its
            host if need be.
        tracer_provider: OpenTelemetry's: each session then has a span, from its block's beginning
            to its end. It needs the extra ``otel``. Without one nothing of OpenTelemetry's is
            loaded, and none is looked up.

    Raises:
        ConfigurationError: The URL, the key, the proxy or the provider can't be used, or the
            extra ``otel`` is not installed. The message never repeats the key, nor the proxy.
    """

    _url = "no address"  # until it is checked: a traceback with locals shows us before
    _proxy: Proxy | None = None  # the same

    def __init__(
        self,
        *,
        base_url: str | None = None,
        token: str | None = None,
        auth: Auth = "query",
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = "environment",
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        key = token if token is not None else os.environ.get("MESH_API_KEY") or None
        problem = None if key is None else problem_of_key(key)
        secret = Secret(key) if key is not None and problem is None else None
        way, no_way = _read_proxy(proxy)
        # From here on no frame of ours holds a secret where a traceback would show it.
        key = token = proxy = None
        if problem is not None:
            raise ConfigurationError(f"the API key {problem}")
        if auth not in _AUTHS:
            raise ConfigurationError(f"auth is one of {_AUTHS}")
        if base_url is None:
            base_url = os.environ.get("MESH_BASE_URL") or _BASE_URL
        self._base_url = base_url
        del base_url  # a key may have been pasted into it
        self._secret = secret
        self._auth: Auth = auth
        self._ssl_context = ssl_context
        try:
            endpoint = self._endpoint({})
        except ConfigurationError:
            self._base_url = ""  # the error's frames hold this object
            raise
        self._url = endpoint.url
        if no_way is not None:
            raise ConfigurationError(no_way)
        self._proxy = Proxy.from_environment(endpoint) if way == "environment" else way
        if endpoint.secure and secret is None:
            raise ConfigurationError("there is no API key: pass token=, or set MESH_API_KEY")
        self._tracing = _tracing(tracer_provider, endpoint)

    @property
    def realtime(self) -> "Realtime":
        """The realtime sessions."""
        return Realtime(self)

    def __repr__(self) -> str:
        return f"<MeshAPI at {self._url}{f' through {self._proxy}' if self._proxy else ''}>"

    def _endpoint(self, query: dict[str, str]) -> Endpoint:
        return Endpoint.parse(self._base_url, path=_PATH, query=query)

    def _redact(self, text: str) -> str:
        return text if self._secret is None else self._secret.redact(text)

    def _context_for(self, endpoint: Endpoint) -> ssl.SSLContext | None:
        is_needed = endpoint.secure or (self._proxy is not None and self._proxy.secure)
        if is_needed and self._ssl_context is None:
            from .transports import default_ssl_context

            self._ssl_context = default_ssl_context()
        return self._ssl_context if is_needed else None

    async def _open(
        self, endpoint: Endpoint, max_message_bytes: int, _tasks: object
    ) -> "WebSocketTransport":
        from .transports import connect_websocket

        return await connect_websocket(
            endpoint,
            key=self._secret,
            auth=self._auth,
            ssl_context=self._context_for(endpoint),
            proxy=self._proxy,
            max_message_bytes=max_message_bytes,
        )

    async def _open_on_trio(
        self, endpoint: Endpoint, max_message_bytes: int, tasks: TaskGroup
    ) -> "TrioWebSocketTransport":
        from .transports.trio_websocket import connect_trio_websocket

        return await connect_trio_websocket(
            tasks,
            endpoint,
            key=self._secret,
            auth=self._auth,
            ssl_context=self._context_for(endpoint),
            proxy=self._proxy,
            max_message_bytes=max_message_bytes,
        )


def _with_options_of(
    original: Callable[Concatenate["Realtime", _P], object],
) -> Callable[
    [Callable[..., Coroutine[Any, Any, _T]]],
    Callable[Concatenate["Realtime", AnyTaskGroup, _P], Coroutine[Any, Any, _T]],
]:
    """Let a method show the options of another, which are so written and explained but once."""
    _, *options = inspect.signature(original).parameters.values()

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(method)
        mine = list(own.parameters.values())[:-1]
        method.__signature__ = own.replace(parameters=[*mine, *options])  # type: ignore[attr-defined]
        return method

    return decorate


@final
class Realtime:
    """The realtime sessions of a :class:`MeshAPI`."""

    def __init__(self, client: MeshAPI) -> None:
        self._client = client

    @overload
    def connect(
        self,
        *,
        model: str,
        transport: Literal["websocket", "trio-websocket"] = "websocket",
        session: Session | None = None,
        connect_timeout: float = 10.0,
        close_timeout: float = 1.0,
        buffer_bytes: int = DEFAULT_BUDGET_BYTES,
        max_message_bytes: int = _MAX_MESSAGE_BYTES,
        errors: Literal["raise", "deliver"] = "raise",
        handler_errors: Literal["raise", "report"] = "raise",
        keep_audio_text: bool = False,
        liveness: Liveness | None = _LIVENESS,
        keep_alive: float | None = 30.0,
    ) -> Connecting: ...

    @overload
    def connect(
        self,
        *,
        transport: Transport,
        session: Session | None = None,
        connect_timeout: float = 10.0,
        close_timeout: float = 1.0,
        buffer_bytes: int = DEFAULT_BUDGET_BYTES,
        errors: Literal["raise", "deliver"] = "raise",
        handler_errors: Literal["raise", "report"] = "raise",
        keep_audio_text: bool = False,
        liveness: Liveness | None = _LIVENESS,
        keep_alive: float | None = 30.0,
    ) -> Connecting: ...

    def connect(
        self,
        *,
        model: str | None = None,
        transport: Literal["websocket", "trio-websocket"] | Transport = "websocket",
        session: Session | None = None,
        connect_timeout: float = 10.0,
        close_timeout: float = 1.0,
        buffer_bytes: int = DEFAULT_BUDGET_BYTES,
        max_message_bytes: int = _MAX_MESSAGE_BYTES,
        errors: Literal["raise", "deliver"] = "raise",
        handler_errors: Literal["raise", "report"] = "raise",
        keep_audio_text: bool = False,
        liveness: Liveness | None = _LIVENESS,
        keep_alive: float | None = 30.0,
    ) -> Connecting:
        """Open a session: ``async with client.realtime.connect(model=…) as session``.

        The task that enters the block has to be the one that leaves it; where it can't be, use
        :meth:`connect_in`.

        Args:
            model: The model's id, such as ``"openai/gpt-realtime-mini"``. It is left out where
                ``transport`` is connected already: then it was named to the server before.
            transport: What carries the session. ``"websocket"`` opens meshrt's own, on every
                loop; ``"trio-websocket"`` opens one over trio-websocket, on Trio. Or a
                :class:`~meshrt.transports.Transport` that is connected: from entering the block
                on the session owns it and closes it, whatever comes.
            session: What to configure before the block begins: the body of a ``session.update``,
                as a mapping with ``"type": "realtime"`` or as a
                :class:`~meshrt.events.RealtimeSessionConfig`.
            connect_timeout: For everything up to the server's greeting and its confirmation of
                ``session``, in seconds.
            close_timeout: For all of closing, in seconds. OpenAI's server never answers a CLOSE.
            buffer_bytes: What may wait to be read, in bytes, before the session ends with
                ``SlowConsumerError``; a message counts twice its size on the wire and 512.
            max_message_bytes: The largest message to accept, in bytes.
            errors: ``"raise"`` lets the iteration raise the server's errors, each once and in its
                place; ``"deliver"`` gives them as messages.
            handler_errors: ``"raise"`` lets what a handler raises end the session;
                ``"report"`` logs it and goes on.
            keep_audio_text: Whether messages with audio keep their raw text as well.
            liveness: When to ping a silent server and when to give it up: by default it is lost
                after 15 s without any byte in a turn, and 30 s otherwise. ``None`` for never.
            keep_alive: After how many seconds without a frame of ours to send a ping: Mesh's
                gateway closes a session after 60 s without one. ``None`` for never.

        Returns:
            What ``async with`` opens. Awaiting it raises a ``LocalProtocolError`` that says so.
            Entering may raise, besides what follows: ``ConnectTimeout``, ``HandshakeRejected``
            (also a ``RealtimeError``), ``ProxyError``, or another ``ConnectError``;
            ``RealtimeError`` where the server refuses ``session``; ``RemoteProtocolError``;
            ``ConfigurationError`` where the proxy needs the extra ``socks`` and it is not
            installed. Cancelled while it is entered, it leaves nothing open.

        Raises:
            ConfigurationError: The model's id or an option can't be used; trio-websocket is not
                installed, or, from entering, the loop is not Trio's.
            LocalProtocolError: ``session`` can't be sent.
        """
        _check(connect_timeout=connect_timeout, close_timeout=close_timeout)
        _check(buffer_bytes=buffer_bytes, max_message_bytes=max_message_bytes)
        _check_whole(buffer_bytes=buffer_bytes, max_message_bytes=max_message_bytes)
        if keep_alive is not None:
            _check(keep_alive=keep_alive)
        _check_one_of(("raise", "deliver"), errors=errors)
        _check_one_of(("raise", "report"), handler_errors=handler_errors)
        if not isinstance(liveness, Liveness | None):
            raise ConfigurationError("liveness is a Liveness, or None to give up on nobody")
        opening = self._opening(transport, model, max_message_bytes)
        options = SessionOptions(
            connect_timeout=connect_timeout,
            close_timeout=close_timeout,
            buffer_bytes=buffer_bytes,
            errors=errors,
            handler_errors=handler_errors,
            keep_audio_text=keep_audio_text,
            liveness=liveness,
            keep_alive=keep_alive,
            redact=self._client._redact,
            tracing=_tracing_of(self._client._tracing, model),
        )
        return Connecting(opening, session=session, options=options, site=_site())

    @_with_options_of(connect)
    async def connect_in(self, task_group: AnyTaskGroup, **options: Any) -> RealtimeSession:
        """Open a session in a task group: ``session = await ….connect_in(tasks, model=…)``.

        For where no ``async with`` can be around all that uses the session: a framework's hooks, a
        fixture, an application's state. A task in the group holds the block, and leaves it when
        the session has ended: close it with ``await session.close()``, from any task. The group's
        own block waits for that, as it does for each of its tasks; cancelling the group cuts the
        session off at once.

        That the session ends is told to those who use it and never raised in the group, and what
        had come before stays to be read. Two things are raised there, as :meth:`connect` would
        raise them from its block: what a handler raised, unless ``handler_errors="report"``, and
        ``ConnectionLost`` where somebody cancels the tasks of the session behind its back.

        Cancelling is safe: nothing is left open.

        Args:
            task_group: A task group of AnyIO's or of asyncio's, or a nursery of Trio's: one that
                is open for longer than the session is used.
            **options: Those of :meth:`connect` that opens a transport; for one that is connected
                there is :func:`~meshrt.session.enter_in`.

        Returns:
            The session, open, and configured if ``session`` was given.

        Raises:
            ConfigurationError: An option can't be used, or it is no task group.
            LocalProtocolError: ``session`` can't be sent.
            RuntimeError: The task group is not open.
            ConnectError: No session came about: see :meth:`connect`, which says what else entering
                raises. Here it comes from this call, bare, and the group goes on. Or the group was
                cancelled meanwhile.
        """
        return await enter_in(task_group, self.connect(**options))

    def _opening(
        self, transport: str | Transport, model: str | None, max_message_bytes: int
    ) -> OpenTransport:
        """Return what opens the transport, or hands over the one that is there."""
        if not isinstance(transport, str):
            _check_ready(transport, model, max_message_bytes)
            return partial(_hand_over, transport)
        _check_one_of(("websocket", "trio-websocket"), transport=transport)
        if not isinstance(model, str) or not model:
            raise ConfigurationError('model is an id such as "openai/gpt-realtime-mini"')
        endpoint = self._client._endpoint({"model": model})
        if transport == "websocket":
            return partial(self._client._open, endpoint, max_message_bytes)
        _check_trio_websocket()
        return partial(self._client._open_on_trio, endpoint, max_message_bytes)


def _site() -> str:
    """Return where we were called from, as ``file:line``."""
    frame = sys._getframe(1)
    while frame.f_globals is globals() and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


async def _hand_over(transport: Transport, _tasks: object) -> Transport:
    await cancel_shielded_checkpoint()  # cancelled or not, the session has it now and closes it
    return transport


def _check_ready(transport: Transport, model: str | None, max_message_bytes: int) -> None:
    if not all(hasattr(transport, name) for name in ("receive", "send", "aclose", "abort")):
        raise ConfigurationError(
            'transport is "websocket", "trio-websocket", or a connected Transport; of a '
            "connection of trio-websocket's TrioWebSocketTransport(connection) makes one"
        )
    if model is not None or max_message_bytes != _MAX_MESSAGE_BYTES:
        raise ConfigurationError(
            "the model and max_message_bytes are settled when a transport is opened: leave them "
            "out where you hand over one that is connected"
        )


def _check_trio_websocket() -> None:
    """Name the extra that is missing before a block is entered."""
    from .transports import trio_websocket  # noqa: F401


def _tracing_of(tracing: Tracing | None, model: str | None) -> Tracing | None:
    if tracing is None or model is not None:
        return tracing and attrs.evolve(tracing, model=model)
    # Where a transport that was handed over leads to, only who opened it knows.
    return attrs.evolve(tracing, host=None, port=None)


def _tracing(provider: TracerProvider | None, endpoint: Endpoint) -> Tracing | None:
    if provider is None:
        return None
    return Tracing(provider=provider, host=endpoint.host, port=endpoint.port)


def _read_proxy(proxy: str | None) -> tuple[Proxy | Literal["environment"] | None, str | None]:
    """Return what was chosen and what is wrong; it raises nothing that would show a password."""
    if proxy is None or proxy == "environment":
        return (None if proxy is None else "environment"), None
    try:
        return Proxy.parse(proxy), None
    except ConfigurationError as error:
        return None, f"{error}; or say None for none, or 'environment'"


def _check(**limits: float) -> None:
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ConfigurationError(f"{name} is a number above 0")


def _check_one_of(words: tuple[str, ...], **choices: str) -> None:
    for name, choice in choices.items():
        if choice not in words:
            raise ConfigurationError(f"{name} is {' or '.join(map(repr, words))}")


def _check_whole(**limits: int) -> None:
    for name, value in limits.items():
        if not isinstance(value, int):
            raise ConfigurationError(f"{name} is a whole number of bytes")
