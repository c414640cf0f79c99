"""``meshrt serve``: the local gateway, for as long as somebody needs it."""

import errno
import shutil
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import attrs

from ..errors import ConfigurationError
from ..gateway import EchoVoice, EspeakVoice, Gateway, Limits, ScriptModel, Voice, serve
from ..transports import Endpoint
from ._loop import backend_of, run
from ._outcome import say

_ESPEAK: Final = "espeak-ng"
_OWN: Final = frozenset({"host", "port", "key", "backend", "script", "voice"})
_LIMITS: Final = frozenset(field.name for field in attrs.fields(Limits))


@attrs.frozen(kw_only=True)
class ServeOptions:
    """What ``meshrt serve`` was asked to do.

    Attributes:
        host: The address to listen on.
        port: The TCP port; 0 for any that is free.
        key: The only API key to accept, or ``None`` for any and none.
        backend: The event loop, or ``None`` for the default.
        limits: Those of :class:`~meshrt.gateway.Limits` that were given.
        script: The file of the script that answers, or ``None``.
        voice: ``"espeak"``, ``"echo"``, or ``None`` for the default.
        options: What else :func:`~meshrt.gateway.serve` is given.
    """

    host: str
    port: int
    key: str | None = attrs.field(repr=False)
    backend: str | None
    limits: Mapping[str, Any] = attrs.field(factory=dict)
    script: Path | None = None
    voice: str | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "ServeOptions":
        """Sort the arguments of a command line."""
        given = dict(arguments)
        own = {name: given.pop(name) for name in _OWN if name in given}
        limits = {name: given.pop(name) for name in list(given) if name in _LIMITS}
        return cls(**own, limits=limits, options=given)

    def for_gateway(self) -> dict[str, Any]:
        """Return what :func:`~meshrt.gateway.serve` is given, the key apart.

        Raises:
            ConfigurationError: A file can't be read, a program is not there, or a number is none.
        """
        named = {
            "model": None if self.script is None else ScriptModel.from_file(self.script),
            "voice": None if self.voice is None else _VOICES[self.voice](),
        }
        limits = Limits(**self.limits)
        return {"host": self.host, "port": self.port, "limits": limits, **named, **self.options}


def run_server(options: ServeOptions) -> int:
    """Run the gateway until Ctrl-C.

    Raises:
        ConfigurationError: The host, the port, the key, the script or something else is of no use.
        KeyboardInterrupt: Somebody pressed Ctrl-C.
    """
    given = options.for_gateway()  # before there is an event loop: it reads files
    return run(partial(_serve, options, given), backend=backend_of(options.backend))


async def _serve(options: ServeOptions, given: Mapping[str, Any]) -> int:
    async with AsyncExitStack() as house:
        gateway = await _opened(house, options, given)
        _say_how(gateway, options)
        await anyio.sleep_forever()
    return 0


async def _opened(
    house: AsyncExitStack, options: ServeOptions, given: Mapping[str, Any]
) -> Gateway:
    try:
        return await house.enter_async_context(serve(key=options.key, **given))
    except OSError as error:
        problem = _problem_of(options, error)
    raise ConfigurationError(problem)


def _problem_of(options: ServeOptions, error: OSError) -> str:
    reason = error.strerror or str(error)
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"there is no listening on {options.host}: {reason}; name another with --host"
    return (
        f"port {options.port} of {options.host} can't be had: {reason}; name another with --port, "
        "or any that is free with --port 0"
    )


def _say_how(gateway: Gateway, options: ServeOptions) -> None:
    """Print the address, first, for scripts that wait for it, and what to do with it."""
    is_secure = gateway.ca_file is not None  # over TLS a client sends a key, whatever it is
    variable, argument = "", ""
    if options.key is not None or is_secure:
        variable, argument = " MESH_API_KEY=...", ', token="..."'
    if is_secure:
        variable += f" SSL_CERT_FILE={gateway.ca_file}"
    say(
        f"listening on {gateway.url}",
        *_others(gateway, options),
        f"  MESH_BASE_URL={gateway.url}{variable}",
        f'  MeshAPI(base_url="{gateway.url}"{argument})',
        f" {variable} meshrt demo --url {gateway.url}",
        *([f"  NODE_EXTRA_CA_CERTS={gateway.ca_file}"] if is_secure else []),
        *([] if is_secure else _in_the_clear(options)),
        "Ctrl-C ends it.",
    )


def _others(gateway: Gateway, options: ServeOptions) -> list[str]:
    """Say that the address is one of many, where a host stands for every one that there is."""
    if urlsplit(gateway.url).hostname == options.host.lower():
        return []
    where = f"  and on every other address that {options.host} stands for: others reach it there,"
    return [f"{where} and by the names that --allow-host lists"]


def _in_the_clear(options: ServeOptions) -> list[str]:
    """Say what our own clients make of an address that others reach without TLS."""
    try:
        Endpoint(host=options.host, port=1, path="/", secure=False)
    except ConfigurationError:
        return ["  but from elsewhere meshrt sends no key and no voice in the clear: add --tls"]
    return []


def _espeak() -> Voice:
    """Return the voice that was asked for by name: no other is to speak in its place."""
    if shutil.which(_ESPEAK) is None:
        raise ConfigurationError(
            f"there is no program {_ESPEAK} to speak with; install it, or say --voice echo"
        )
    return EspeakVoice(program=_ESPEAK)


_VOICES: Final[Mapping[str, Callable[[], Voice]]] = {"espeak": _espeak, "echo": EchoVoice}
