"""What may stand as the host and the port of an address, and what they mean."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

_MAX_PORT: Final = 2**16 - 1
_LOOPBACK: Final = ip_network("127.0.0.0/8")

# RFC 1123, 2.1, and the underscore that some internal names have.
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)


def is_plain(value: object) -> bool:
    """Tell a text of printable ASCII characters from anything else."""
    return isinstance(value, str) and value.isascii() and value.isprintable()


def is_host(host: object) -> bool:
    """Tell a name or an IP address, without brackets, from anything else."""
    if not isinstance(host, str) or "%" in host:
        return False
    return isinstance(ip_of(host), IPv6Address) or bool(_NAME.fullmatch(host))


def is_port(port: object) -> bool:
    """Tell a port that can be connected to from anything else."""
    return isinstance(port, int) and 0 < port <= _MAX_PORT


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, without asking a resolver."""
    address = ip_of(host)
    if isinstance(address, IPv6Address):
        return address == IPv6Address("::1")
    return host.lower() == "localhost" or (address is not None and address in _LOOPBACK)


def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """Read a host as an IP address, or say with ``None`` that it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def bracketed(host: str) -> str:
    """Write a host as it stands before a port: IPv6 in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host
