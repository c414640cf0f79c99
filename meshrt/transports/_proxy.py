"""The proxy on the way to a server, and what the environment says about one."""

import os
import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Literal, Self, cast
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

from .._secret import Secret
from ..errors import ConfigurationError
from ._endpoint import Endpoint
from ._host import bracketed, ip_of, is_host, is_loopback, is_plain, is_port

Scheme = Literal["http", "https", "socks5", "socks5h"]

_DEFAULT_PORT: Final[dict[str, int]] = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_SOCKS: Final = ("socks5", "socks5h")
_MAX_SOCKS_BYTES: Final = 255  # RFC 1929, 2: a user name's and a password's length is one byte

# A realtime session is no HTTPS request, and whoever distinguishes them says wss.
_VARIABLES: Final = ("wss", "https", "all")
_LOOKS_BEYOND_THE_ENVIRONMENT: Final = ("darwin", "win32")

_EXAMPLE: Final = "'http://proxy.example:3128'"
_NO_SCHEME: Final = (
    "the proxy's URL must begin with http://, https://, socks5:// or socks5h://, "
    f"such as {_EXAMPLE}"
)


# No message repeats what it objects to: a proxy's URL holds a password.


def _check_scheme(_self: object, _field: object, scheme: str) -> None:
    if scheme not in _DEFAULT_PORT:
        raise ConfigurationError(_NO_SCHEME)


def _check_host(_self: object, _field: object, host: str) -> None:
    if not is_host(host):
        raise ConfigurationError(
            "the proxy's host is not a name or an IP address (IPv6 in brackets); in a user name "
            "or a password, percent-encode every sign that is neither a letter nor a digit",
        )


def _check_port(_self: object, _field: object, port: int) -> None:
    if not is_port(port):
        raise ConfigurationError("the proxy's port must be a number from 1 to 65535")


def _check_credentials(proxy: "Proxy", _field: object, credentials: Secret | None) -> None:
    if credentials is None:
        return
    if type(credentials) is not Secret:
        raise ConfigurationError("the proxy's credentials must be a Secret, or None")
    if not credentials.reveal().isprintable():
        raise ConfigurationError(
            "the proxy's user name and password may hold no control characters (RFC 7617, 2)",
        )
    parts = [part.encode() for part in credentials.reveal().split(":", 1)]
    if proxy.scheme in _SOCKS and max(map(len, parts)) > _MAX_SOCKS_BYTES:
        del parts  # a traceback shows our locals
        raise ConfigurationError(
            "the proxy's user name and password may have 255 bytes each at most (RFC 1929, 2)",
        )


@attrs.frozen(kw_only=True)
class Proxy:
    """Say through whom to connect; immutable, and its ``repr`` shows no user and no password.

    Attributes:
        scheme: ``"http"`` and ``"https"`` ask for a tunnel by CONNECT, the second within TLS of
            its own; ``"socks5"`` looks the server's name up here, ``"socks5h"`` has the proxy do
            it. SOCKS needs the extra ``socks``.
        host: A name in ASCII or an IP address, without brackets.
        port: From 1 to 65535.
        credentials: ``user:password``, or ``None``.

    Raises:
        ConfigurationError: A part can't be used; the message does not repeat it.
    """

    scheme: Scheme = attrs.field(validator=_check_scheme)
    host: str = attrs.field(validator=_check_host)
    port: int = attrs.field(validator=_check_port)
    credentials: Secret | None = attrs.field(default=None, validator=_check_credentials)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read ``scheme://[user:password@]host[:port]``.

        User and password are percent-encoded UTF-8. Without a port it is 80 for ``http``, 443
        for ``https`` and 1080 for SOCKS.

        Raises:
            ConfigurationError: The URL can't be used; the message does not repeat it.
        """
        parts, port, credentials, problem = _split(url)
        if problem is not None:
            # Where a URL is none, a user or a password may stand where anything else belongs.
            del url, parts, port
            raise ConfigurationError(problem)
        scheme, host = parts.scheme, parts.hostname or ""
        del url, parts  # there is a password in them, and tracebacks show locals
        return cls(
            scheme=cast("Scheme", scheme),
            host=host,
            port=_DEFAULT_PORT.get(scheme, 0) if port is None else port,
            credentials=credentials,
        )

    @classmethod
    def from_environment(cls, endpoint: Endpoint) -> Self | None:
        """Ask the environment for the proxy on the way to a server; ``None`` if it names none.

        The first of ``wss_proxy``, ``https_proxy`` and ``all_proxy`` counts, in small letters or
        in capitals; where none is set, macOS and Windows are asked for their settings. One
        without a scheme is an ``http://`` one. ``no_proxy`` lists who is reached without: host
        names with all that end in them, ``host:port``, IP addresses, networks such as
        ``10.0.0.0/8``, or ``*``. A name is not looked up to compare its addresses with those. A
        loopback host is always reached without.

        Raises:
            ConfigurationError: What is set can't be used; the message does not repeat it.
        """
        if is_loopback(endpoint.host) or not _environment_may_name_one():
            return None
        variable, url = _looked_up(endpoint)
        if url is None:
            return None
        try:
            return cls.parse(url if "://" in url else f"http://{url}")
        except ConfigurationError as error:
            problem = str(error)
        del url  # as above
        raise ConfigurationError(
            f"{variable}_proxy of the environment can't be used: {problem}; correct it, or say "
            "proxy=None to do without",
        )

    @property
    def secure(self) -> bool:
        """Whether the proxy itself is reached by TLS."""
        return self.scheme == "https"

    @property
    def url(self) -> str:
        """The whole address, without user and password."""
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"

    def __str__(self) -> str:
        return self.url


def _split(url: object) -> tuple[SplitResult, int | None, Secret | None, str | None]:
    """Return the parts and what is wrong; it raises nothing that would show the URL."""
    parts, port, credentials = SplitResult("", "", "", "", ""), None, None
    problem: str | None
    if not isinstance(url, str) or not is_plain(url) or " " in url:
        # Before urlsplit(), which drops tabs and line ends without a word.
        problem = f"the proxy must be a URL of printable ASCII characters, such as {_EXAMPLE}"
        return parts, port, credentials, problem
    try:
        parts = urlsplit(url)
        port = parts.port
        credentials = _credentials(parts)
        problem = _problem(url, parts)
    except ValueError:
        # The standard library's message repeats the URL: it must not become our __context__.
        problem = (
            "the proxy's URL has a host, a port, a user name or a password that is none: "
            "percent-encode the last two, as UTF-8"
        )
    return parts, port, credentials, problem


def _credentials(parts: SplitResult) -> Secret | None:
    if "@" not in parts.netloc:
        return None
    user, password = (
        unquote(part or "", errors="strict") for part in (parts.username, parts.password)
    )
    if ":" in user:
        raise ValueError  # RFC 7617, 2: it ends where the first colon is
    return Secret(f"{user}:{password}")


def _problem(url: str, parts: SplitResult) -> str | None:
    if parts.scheme not in _DEFAULT_PORT:
        return _NO_SCHEME
    if parts.path not in ("", "/") or "?" in url or "#" in url:
        return (
            "the proxy's URL ends with its host and port; in a user name or a password, "
            "percent-encode every sign that is neither a letter nor a digit"
        )
    return None


def _environment_may_name_one() -> bool:
    """Look before urllib.request is loaded, which takes as long as all of meshrt."""
    names = {f"{name}_proxy" for name in _VARIABLES}
    return sys.platform in _LOOKS_BEYOND_THE_ENVIRONMENT or any(
        name.lower() in names for name in os.environ
    )


def _looked_up(endpoint: Endpoint) -> tuple[str, str | None]:
    """Return which setting counts and what it says."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    name = next((name for name in _VARIABLES if proxies.get(name)), None)
    if name is None:
        return "", None
    if _is_listed(endpoint.host, proxies.get("no", "")):
        return name, None
    if proxy_bypass(f"{bracketed(endpoint.host)}:{endpoint.port}"):
        return name, None
    return name, proxies[name]


def _is_listed(host: str, no_proxy: str) -> bool:
    """Say what urllib can't: whether all are listed, or an IP address, or its network."""
    entries = [entry.strip() for entry in no_proxy.split(",")]
    address = ip_of(host)
    if "*" in entries or address is None:
        return "*" in entries
    networks = (_network(entry.strip("[]")) for entry in entries)
    return any(network is not None and address in network for network in networks)


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None
