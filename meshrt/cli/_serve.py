"""``meshrt serve``: the local gateway, for as long as somebody needs it."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import attrs

from ..errors import ConfigurationError
from ..gateway import Gateway, Limits, ScriptModel, serve
from ._loop import backend_of, run
from ._outcome import say

_LIMITS = frozenset(field.name for field in attrs.fields(Limits))


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
        options: What else :func:`~meshrt.gateway.serve` is given.
    """

    host: str
    port: int
    key: str | None = attrs.field(repr=False)
    backend: str | None
    limits: Mapping[str, Any] = attrs.field(factory=dict)
    script: Path | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "ServeOptions":
        """Sort the arguments of a command line."""
        given = dict(arguments)
        own = {name: given.pop(name) for name in ("host", "port", "key", "backend")}
        limits = {name: given.pop(name) for name in list(given) if name in _LIMITS}
        script = given.pop("script", None)
        return cls(**own, limits=limits, script=script, options=given)


def run_server(options: ServeOptions) -> int:
    """Run the gateway until Ctrl-C.

    Raises:
        ConfigurationError: The host, the port, the key, the script or something else is of no use.
        KeyboardInterrupt: Somebody pressed Ctrl-C.
    """
    if options.script is not None:  # before there is an event loop: it is a file
        scripted = {**options.options, "model": ScriptModel.from_file(options.script)}
        options = attrs.evolve(options, options=scripted)
    return run(partial(_serve, options), backend=backend_of(options.backend))


async def _serve(options: ServeOptions) -> int:
    async with AsyncExitStack() as house:
        gateway = await _opened(house, options)
        _say_how(gateway, needs_key=options.key is not None)
        await anyio.sleep_forever()
    return 0


async def _opened(house: AsyncExitStack, options: ServeOptions) -> Gateway:
    gateway = serve(
        host=options.host,
        port=options.port,
        key=options.key,
        limits=Limits(**options.limits),
        **options.options,
    )
    try:
        return await house.enter_async_context(gateway)
    except OSError as error:
        reason = error.strerror or str(error)
    raise ConfigurationError(
        f"port {options.port} of {options.host} can't be had: {reason}; name another with --port, "
        "or any that is free with --port 0"
    )


def _say_how(gateway: Gateway, *, needs_key: bool) -> None:
    """Print the address, first, for scripts that wait for it, and what to do with it."""
    is_secure = gateway.ca_file is not None  # over TLS a client sends a key, whatever it is
    variable, argument = "", ""
    if needs_key or is_secure:
        variable, argument = " MESH_API_KEY=...", ', token="..."'
    if is_secure:
        variable += f" SSL_CERT_FILE={gateway.ca_file}"
    say(
        f"listening on {gateway.url}",
        f"  MESH_BASE_URL={gateway.url}{variable}",
        f'  MeshAPI(base_url="{gateway.url}"{argument})',
        f" {variable} meshrt demo --url {gateway.url}",
        *([f"  NODE_EXTRA_CA_CERTS={gateway.ca_file}"] if is_secure else []),
        "Ctrl-C ends it.",
    )
