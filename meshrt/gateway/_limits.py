"""How much one gateway takes from its clients, and how long it waits for them."""

from math import isfinite
from typing import Any, Final

import attrs

from ..errors import ConfigurationError

CONNECTIONS_PER_ADDRESS: Final = 16
"""What an address may hold open where others than this machine reach the gateway."""


def _check_count(_limits: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is None and field.default is None:
        return
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{field.name} is a whole number above 0: not {value!r:.100}")


def _check_seconds(_limits: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is None and field.name == "idle_seconds":
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = True
    else:
        problem = not (isfinite(value) and value > 0)
    if problem:
        raise ConfigurationError(f"{field.name} is a time above 0, in seconds: not {value!r:.100}")


@attrs.frozen(kw_only=True)
class Limits:
    """What a gateway allows; each number is the largest that is still let through.

    Attributes:
        header_seconds: For a request as a whole, that of TLS before it and the answer included.
        line_bytes: The request line, or one header line, in bytes.
        headers: Header lines of a request.
        message_bytes: One WebSocket message: 15 MiB of audio are 20 MiB of base64, and the
            default leaves 1 MiB for what is around it.
        connections: Connections at a time. Where there is no room, the oldest that has not yet
            asked for anything makes it; if all have, the new one gets 503.
        connections_per_address: The same for one address: beyond it is 429. By default 16, and no
            limit for a gateway on loopback, where all clients have one address.
        idle_seconds: How long a session may be without a byte of its client before it is closed
            with ``idle_timeout``, as documented of Mesh's gateway; ``None`` for as long as it
            lasts.
        sessions_per_owner: Sessions at a time with one key, or with none; beyond it is
            ``concurrent_sessions_exceeded``. By default there is no limit.
        session_tokens: What a session may use before it is ended with
            ``session_token_cap_exceeded``, in tokens. By default there is no limit.

    Raises:
        ConfigurationError: A number can't be one of these.
    """

    header_seconds: float = attrs.field(default=5.0, validator=_check_seconds)
    line_bytes: int = attrs.field(default=8 * 1024, validator=_check_count)
    headers: int = attrs.field(default=64, validator=_check_count)
    message_bytes: int = attrs.field(default=21 * 2**20, validator=_check_count)
    connections: int = attrs.field(default=256, validator=_check_count)
    connections_per_address: int | None = attrs.field(default=None, validator=_check_count)
    idle_seconds: float | None = attrs.field(default=60.0, validator=_check_seconds)
    sessions_per_owner: int | None = attrs.field(default=None, validator=_check_count)
    session_tokens: int | None = attrs.field(default=None, validator=_check_count)
