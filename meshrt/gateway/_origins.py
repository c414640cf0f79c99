"""From where the gateway is spoken to: pages of others are kept out, whoever opened them.

A browser lets any page connect to a server on its user's machine, and only tells whose page it is
(``Origin``). And a page whose name resolves to this machine gets there under its own name
(``Host``: DNS rebinding). So both are held against lists, before a request is answered otherwise.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import attrs

from ..errors import ConfigurationError
from ._http import Refused, Request

_DEFAULT_PORT: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:(?P<port>[0-9]{1,5}))?")


@attrs.frozen(kw_only=True)
class AllowList:
    """Which pages may connect, and under which names.

    Attributes:
        origins: As browsers write them: scheme, host, and port where it is not the scheme's own.
        hosts: Names, for any port, or with one.
    """

    origins: frozenset[str]
    hosts: frozenset[str]

    @classmethod
    def of(cls, *, origins: Iterable[str], hosts: Iterable[str]) -> "AllowList":
        """Make one of what a user wrote.

        Raises:
            ConfigurationError: It is no origin, or no host.
        """
        _check_many("origins", origins)
        _check_many("hosts", hosts)
        return cls(
            origins=frozenset(map(_as_origin, origins)), hosts=frozenset(map(_as_host, hosts))
        )

    def and_name(self, host: str) -> "AllowList":
        """Return the same with a gateway's own name on it, if its host is one and no address."""
        name = host.lower()
        is_name = _HOST.fullmatch(name) and not _is_address(name)
        return attrs.evolve(self, hosts=self.hosts | {name}) if is_name else self

    @property
    def names(self) -> frozenset[str]:
        """The hosts without their ports, and IPv6 addresses without brackets."""
        found = (_HOST.fullmatch(host) for host in self.hosts)
        return frozenset(parts["name"].strip("[]") for parts in found if parts is not None)

    def check(self, request: Request, address: str) -> None:
        """Let a request in that comes from where it may.

        Args:
            request: What came.
            address: The address of ours that it came to.

        Raises:
            Refused: With 403: it is from a page that is not listed, or under a name that is not.
        """
        host = request.header("host").lower()
        if not self._knows_host(host, address):
            raise Forbidden("host", host, "--allow-host")
        origins = [value for name, value in request.headers if name == "origin"]
        if not origins and request.header("sec-fetch-site"):
            raise Forbidden("origin", "", "--origin")  # only browsers say the one or the other
        if origins and not (len(origins) == 1 and origins[0] in self.origins):
            raise Forbidden("origin", ", ".join(origins), "--origin")

    def _knows_host(self, host: str, address: str) -> bool:
        parts = _HOST.fullmatch(host)
        if parts is None:
            return False
        names = {parts["name"], host} & self.hosts
        return bool(names) or parts["name"] in names_of(address)


class Forbidden(Refused):
    """A request from somewhere that is not on the list.

    Attributes:
        what: The header, in lower case.
        value: What it says.
    """

    def __init__(self, what: str, value: str, option: str) -> None:
        super().__init__(
            403,
            "forbidden",
            f"The {what} of this request is not allowed: the gateway's option {option} would "
            "allow it.",
        )
        self.what = what
        self.value = value


def names_of(address: str) -> frozenset[str]:
    """Return how a client may name an address of ours without more ado: no page can have those."""
    host = f"[{address}]" if ":" in address else address
    loopback = _is_loopback(address)
    return frozenset({host, "localhost"} if loopback else {host})


def _is_loopback(address: str) -> bool:
    return _is_address(address) and ip_address(address).is_loopback


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _check_many(name: str, values: object) -> None:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConfigurationError(f"{name} is a list of strings: write [{values!r:.100}]")


def _as_origin(text: object) -> str:
    if text == "null":  # what a page without an origin says, of a file or a sandbox
        return "null"
    parts = urlsplit(text) if isinstance(text, str) and text.isascii() else urlsplit("")
    try:
        port = parts.port
    except ValueError:
        port = -1
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    shown = f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
    if not host or "*" in host or parts.scheme == "" or str(text).lower() != shown:
        raise ConfigurationError(
            "an origin is a scheme, a host and maybe a port, such as http://localhost:3000, with "
            f"nothing behind it, not even a slash, and no star in it: not {text!r:.100}"
        )
    own = _DEFAULT_PORT.get(parts.scheme) == port
    return shown.removesuffix(f":{port}") if own else shown


def _as_host(text: object) -> str:
    if not isinstance(text, str) or not _HOST.fullmatch(text.lower()):
        raise ConfigurationError(
            "a host is a name or an address, IPv6 in brackets, with a port or for any, such as "
            f"dev.example or dev.example:8765: not {text!r:.100}"
        )
    return text.lower()
