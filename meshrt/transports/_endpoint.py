"""Where a session connects to: an address that can be shown to anybody.

The key is never part of it. It is added by the last function before the wire, in
:mod:`meshrt.transports._opening`.
"""

import re
from collections.abc import Mapping
from typing import Final, Self
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import attrs

from ..errors import ConfigurationError
from ._host import bracketed, is_host, is_loopback, is_plain, is_port

_SECURE: Final = {"https": True, "wss": True, "http": False, "ws": False}
_DEFAULT_PORT: Final = {True: 443, False: 80}
_NOT_PLAIN: Final = (
    "base_url must be a string of printable ASCII characters without spaces, "
    "such as 'https://api.meshapi.ai'"
)
_KEY_ITEM: Final = "api_key"

# RFC 3986, 3.3: what stands in a path without being encoded, and what encodes the rest.
_PATH: Final = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")


def _is_path(path: object) -> bool:
    return isinstance(path, str) and bool(_PATH.fullmatch(path))


# No message repeats what it objects to: people paste keys into URLs.


def _check_host(_self: object, _field: object, host: str) -> None:
    if not is_host(host):
        raise ConfigurationError(
            "the host is not a name or an IP address: write letters, digits, dots and hyphens, "
            "an international name in its xn-- form, IPv6 in brackets",
        )


def _check_port(_self: object, _field: object, port: int) -> None:
    if not is_port(port):
        raise ConfigurationError("the port must be a number from 1 to 65535")


def _check_path(_self: object, _field: object, path: str) -> None:
    if not _is_path(path):
        raise ConfigurationError(
            "the path must begin with a slash and hold only what a URL may hold (RFC 3986): "
            "percent-encode everything else",
        )


def _check_query(_self: object, _field: object, query: tuple[tuple[str, str], ...]) -> None:
    if not all(is_plain(part) for item in query for part in item):
        raise ConfigurationError(
            "names and values of the query may hold only printable ASCII characters; "
            "they are percent-encoded for you",
        )
    if any(name.lower() == _KEY_ITEM for name, _ in query):
        raise ConfigurationError(
            f"{_KEY_ITEM!r} is no query item: endpoints are shown in logs; the key goes by itself",
        )


def _check_security(
    endpoint: "Endpoint",
    _field: object,
    secure: bool,  # noqa: FBT001  attrs calls it so
) -> None:
    if not secure and not is_loopback(endpoint.host):
        raise ConfigurationError(
            "http:// and ws:// would send the key and the voice in the clear: use https:// or "
            "wss://; without TLS only localhost, 127.0.0.0/8 and ::1 are reached",
        )


@attrs.frozen(kw_only=True)
class Endpoint:
    """Say where to connect; immutable, and without the key, so that it may be logged.

    Attributes:
        host: A name in ASCII or an IP address, in lower case and without brackets.
        port: From 1 to 65535.
        path: Begins with a slash; percent-encoded.
        secure: Whether TLS is used; ``False`` only for a loopback host.
        query: Names and values, not encoded, in their order.

    Raises:
        ConfigurationError: A part can't be part of a URL; the message does not repeat it.
    """

    host: str = attrs.field(validator=_check_host)
    port: int = attrs.field(validator=_check_port)
    path: str = attrs.field(validator=_check_path)
    secure: bool = attrs.field(validator=_check_security)
    query: tuple[tuple[str, str], ...] = attrs.field(default=(), validator=_check_query)

    @classmethod
    def parse(
        cls, base_url: str, *, path: str = "", query: Mapping[str, str] | None = None
    ) -> Self:
        """Join a base URL, a path under it and query items.

        Args:
            base_url: ``https://`` or ``wss://``, or for a loopback host ``http://`` or
                ``ws://``; a path in it is kept as a prefix.
            path: What comes after the prefix, such as ``/v1/realtime``.
            query: Items of the query, not encoded: a model's slash is encoded here.

        Raises:
            ConfigurationError: The URL can't be used; the message does not repeat it.
        """
        parts, port, problem = _split(base_url)
        if problem is None and not isinstance(path, str):
            problem = "the path must be a string"
        if problem is not None:
            del base_url, parts  # a key may have been pasted into it, and tracebacks show locals
            raise ConfigurationError(problem)
        secure = _SECURE[parts.scheme]
        return cls(
            host=(parts.hostname or "").lower(),
            port=_DEFAULT_PORT[secure] if port is None else port,
            path=_join(parts.path, path),
            secure=secure,
            query=tuple((query or {}).items()),
        )

    @property
    def authority(self) -> str:
        """The host, with its port where that is not the scheme's own."""
        host = bracketed(self.host)
        return host if self.port == _DEFAULT_PORT[self.secure] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """The path and the encoded query, as the request line has them, without the key."""
        # quote() writes a space as %20 and a slash as %2F, which every reader of queries
        # understands; quote_plus() would need one that also knows of the plus.
        encoded = urlencode(self.query, safe="", quote_via=quote)
        return f"{self.path}?{encoded}" if encoded else self.path

    @property
    def url(self) -> str:
        """The whole address, without the key."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.target}"

    def __str__(self) -> str:
        return self.url


def _join(prefix: str, path: str) -> str:
    if path and not path.startswith("/"):
        path = f"/{path}"
    return prefix.rstrip("/") + path or "/"


def _split(base_url: object) -> tuple[SplitResult, int | None, str | None]:
    """Return the parts, the port and what is wrong; it raises nothing that would show the URL."""
    problem, parts, port = None, SplitResult("", "", "", "", ""), None
    if not isinstance(base_url, str) or not is_plain(base_url) or " " in base_url:
        # Before urlsplit(), which drops tabs and line ends without a word.
        return parts, port, _NOT_PLAIN
    try:
        parts = urlsplit(base_url)
        port = parts.port
        problem = _problem(base_url, parts)
    except ValueError:
        # The standard library's message repeats the URL: it must not become our __context__.
        problem = "base_url has a host or a port that is none"
    return parts, port, problem


def _problem(base_url: str, parts: SplitResult) -> str | None:
    if parts.scheme not in _SECURE:
        return "base_url must begin with https:// or wss:// (http:// or ws:// for localhost)"
    if "@" in parts.netloc:
        return "base_url may hold no user name or password: pass the key by itself"
    if "#" in base_url:
        return "base_url may hold no fragment (no '#'): WebSockets have none (RFC 6455, 3)"
    if "?" in base_url:
        return "base_url may hold no query (no '?'): the model goes in by itself"
    return None if parts.hostname else "base_url names no host: write 'https://api.meshapi.ai'"
