"""What we ask of a server, and the one function that puts the key into it."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal
from urllib.parse import quote

import attrs
from websockets.http11 import Request

from .._secret import Secret, problem_of_key
from .._version import __version__
from ..errors import ConfigurationError
from ._endpoint import Endpoint

Auth = Literal["query", "header", "subprotocol"]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."
_OURS: Final = re.compile(r"host|connection|upgrade|sec-websocket-.*", re.IGNORECASE)
PRODUCT: Final = f"python-meshrt/{__version__}"

Headers = list[tuple[str, str]]


def _check_key(_opening: object, _field: object, key: Secret | None) -> None:
    if key is None:
        return
    if type(key) is not Secret:
        raise ConfigurationError("key must be a Secret, which keeps it out of logs, or None")
    if (problem := problem_of_key(key.reveal())) is not None:
        raise ConfigurationError(f"the API key {problem}")


def _check_auth(opening: "Opening", _field: object, auth: object) -> None:
    if auth not in _CREDENTIALS:
        raise ConfigurationError(f"auth must be one of {', '.join(map(repr, _CREDENTIALS))}")
    if auth == "subprotocol" and opening.key and not _is_token(opening.key.reveal()):
        raise ConfigurationError(
            "the API key has a character that a subprotocol can't carry (RFC 6455, 4.1): "
            "use auth='query' or auth='header'",
        )


def _is_token(value: object) -> bool:
    return isinstance(value, str) and bool(_TOKEN.fullmatch(value))


def _is_header_value(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _check_subprotocols(_opening: object, _field: object, names: tuple[str, ...]) -> None:
    if not all(map(_is_token, names)):
        raise ConfigurationError(
            "a subprotocol is a word of letters, digits and some signs, without spaces "
            "(RFC 6455, 4.1)",
        )


def _check_headers(opening: "Opening", _field: object, headers: Headers) -> None:
    for name, value in headers:
        if not _is_token(name):
            raise ConfigurationError("the name of a header is not a token (RFC 9110, 5.6.2)")
        if not _is_header_value(value):
            raise ConfigurationError(f"the header {name} may hold only printable ASCII characters")
        if _OURS.fullmatch(name):
            raise ConfigurationError(f"the header {name} belongs to the handshake: leave it out")
        if name.lower() == "authorization" and opening.key and opening.auth == "header":
            raise ConfigurationError("two keys: pass it as key= or as a header, not both")


def _names(subprotocols: Sequence[str]) -> tuple[str, ...]:
    if isinstance(subprotocols, str):
        raise ConfigurationError("subprotocols must be a list of names, not one string")
    return tuple(subprotocols)


def _items(headers: Mapping[str, str] | None) -> Headers:
    return list((headers or {}).items())


@attrs.frozen(kw_only=True)
class Opening:
    """The request for a session: where to, with which key, and how the key travels.

    Raises:
        ConfigurationError: A part can't go into a request; the message shows no value.
    """

    endpoint: Endpoint
    key: Secret | None = attrs.field(default=None, validator=_check_key)
    auth: Auth = attrs.field(default="query", validator=_check_auth)
    subprotocols: tuple[str, ...] = attrs.field(
        default=(), converter=_names, validator=_check_subprotocols
    )
    # They may hold a key of somebody else's.
    headers: Headers = attrs.field(
        default=None, converter=_items, validator=_check_headers, repr=False
    )

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return f"{self.endpoint.host} port {self.endpoint.port}"

    def redact(self, text: str) -> str:
        """Remove the key from what a server says: some repeat the request."""
        return text if self.key is None else self.key.redact(text)


def _in_query(target: str, headers: Headers, key: str) -> tuple[str, Headers]:
    return f"{target}{'&' if '?' in target else '?'}api_key={quote(key, safe='')}", headers


def _in_header(target: str, headers: Headers, key: str) -> tuple[str, Headers]:
    return target, [*headers, ("Authorization", f"Bearer {key}")]


def _in_subprotocol(target: str, headers: Headers, key: str) -> tuple[str, Headers]:
    name = "Sec-WebSocket-Protocol"
    offered = [value for header, value in headers if header == name]
    others = [(header, value) for header, value in headers if header != name]
    return target, [*others, (name, ", ".join([*offered, f"{_KEY_SUBPROTOCOL}{key}"]))]


_CREDENTIALS: Final[dict[str, Callable[[str, Headers, str], tuple[str, Headers]]]] = {
    "query": _in_query,
    "header": _in_header,
    "subprotocol": _in_subprotocol,
}


def request_bytes(request: Request, opening: Opening) -> bytes:
    """Put the key into the codec's request and serialise it.

    The last function before the wire, and the only one that holds the key. All parts have been
    checked, so nothing raises here and no traceback shows this frame.
    """
    named = {name.lower() for name, _ in opening.headers}
    ours = {"X-MeshAPI-SDK": PRODUCT, "User-Agent": PRODUCT}
    headers = [
        *request.headers.raw_items(),
        *((name, value) for name, value in ours.items() if name.lower() not in named),
        *opening.headers,
    ]
    target = request.path
    if opening.key is not None:
        target, headers = _CREDENTIALS[opening.auth](target, headers, opening.key.reveal())
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("ascii")
