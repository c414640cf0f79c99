"""``meshrt serve``: the local gateway, for as long as somebody needs it."""

from contextlib import AsyncExitStack
from functools import partial

import anyio
import attrs

from ..errors import ConfigurationError
from ..gateway import Gateway, serve
from ._loop import backend_of, run
from ._outcome import say


@attrs.frozen(kw_only=True)
class ServeOptions:
    """What ``meshrt serve`` was asked to do.

    Attributes:
        host: The loopback address to listen on.
        port: The TCP port; 0 for any that is free.
        key: The only API key to accept, or ``None`` for any and none.
        backend: The event loop, or ``None`` for the default.
    """

    host: str
    port: int
    key: str | None = attrs.field(repr=False)
    backend: str | None


def run_server(options: ServeOptions) -> int:
    """Run the gateway until Ctrl-C.

    Raises:
        ConfigurationError: The host, the port or the key can't be used.
        KeyboardInterrupt: Somebody pressed Ctrl-C.
    """
    return run(partial(_serve, options), backend=backend_of(options.backend))


async def _serve(options: ServeOptions) -> int:
    async with AsyncExitStack() as house:
        gateway = await _opened(house, options)
        _say_how(gateway, needs_key=options.key is not None)
        await anyio.sleep_forever()
    return 0


async def _opened(house: AsyncExitStack, options: ServeOptions) -> Gateway:
    gateway = serve(host=options.host, port=options.port, key=options.key)
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
    variable, argument = (" MESH_API_KEY=...", ', token="..."') if needs_key else ("", "")
    say(
        f"listening on {gateway.url}",
        f"  MESH_BASE_URL={gateway.url}{variable}",
        f'  MeshAPI(base_url="{gateway.url}"{argument})',
        f" {variable} meshrt demo --url {gateway.url}",
        "Ctrl-C ends it.",
    )
