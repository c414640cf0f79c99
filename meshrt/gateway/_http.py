"""The little HTTP that a gateway needs: one request, read by h11, and one reply to it.

websockets' own server reads no request but an upgrade by GET, so h11 reads them all. Each
connection is for one request: nothing of a second one is ever read, so nothing can be smuggled.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import parse_qs

import anyio
import attrs
from anyio.abc import ByteStream

from .._extras import needs
from ._ids import new_id
from ._limits import Limits

with needs("gateway"):
    import h11

_READ_BYTES: Final = 16 * 1024
_MAX_BODY_BYTES: Final = 64 * 1024
_UNREAD_BYTES: Final = 16 * 2**20
_UNREAD_SECONDS: Final = 1.0
_GONE: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
_NO_UPGRADE: Final = frozenset({"content-length", "transfer-encoding"})


@attrs.frozen(kw_only=True)
class Request:
    """A request, read.

    Attributes:
        method: In capitals, if the client wrote it so.
        target: As the request line has it.
        headers: Names in lower case.
        version: Of HTTP, such as ``"1.1"``.
        body: What came with it.
        rest: What was read after it.
    """

    method: str
    # The key may be in either.
    target: str = attrs.field(repr=False)
    headers: Sequence[tuple[str, str]] = attrs.field(repr=False)
    version: str = "1.1"
    body: bytes = attrs.field(default=b"", repr=False)
    rest: bytes = attrs.field(default=b"", repr=False)

    @property
    def path(self) -> str:
        """The target up to the query; neither decoded nor tidied, so that it is what it says."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """The query, decoded."""
        return parse_qs(self.target.partition("?")[2])

    def header(self, name: str) -> str:
        """Return all values of a header, or an empty string."""
        return ", ".join(value for known, value in self.headers if known == name)

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.method == "GET" and self.header("upgrade").lower() == "websocket"


@attrs.frozen(kw_only=True)
class Reply:
    """What a request is answered with."""

    status: int
    content: Any
    headers: Mapping[str, str] = attrs.field(factory=dict)

    async def send(self, stream: ByteStream, *, method: str = "") -> None:
        """Write it.

        Args:
            stream: To the client.
            method: Of the request: ``HEAD`` is answered without a body (RFC 9110, 9.3.2).

        Raises:
            anyio.BrokenResourceError: The client has gone.
        """
        body = json.dumps(self.content).encode()
        fields = {
            "Date": formatdate(usegmt=True),
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **SAFE_HEADERS,
            **self.headers,
        }
        response = h11.Response(
            status_code=self.status,
            headers=list(fields.items()),
            reason=HTTPStatus(self.status).phrase,
        )
        head = h11.Connection(h11.SERVER).send(response) or b""
        await stream.send(head if method == "HEAD" else head + body)


SAFE_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Nothing of a gateway's is kept by a browser or taken for something else than it is."""


class Refused(Exception):  # noqa: N818  it is an answer, and never leaves the gateway
    """A request that is answered with an error.

    Attributes:
        reply: The answer, with the envelope that Mesh's REST interface has.
        code: The stable word in it.
    """

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        request_id = new_id("req")
        self.reply = Reply(
            status=status,
            content={"error": {"code": code, "message": message}, "request_id": request_id},
            headers={"x-request-id": request_id, **(headers or {})},
        )


async def read_request(stream: ByteStream, limits: Limits) -> Request:
    """Read one request; that of an upgrade without a body, and any other with one.

    Raises:
        Refused: It is none, is too large, or has a body where none may be.
        anyio.EndOfStream: The client went.
        anyio.BrokenResourceError: The client went without a word.
    """
    reading = _Reading(stream, limits)
    try:
        request = await reading.head()
        return request if request.is_upgrade else await reading.body_of(request)
    except h11.RemoteProtocolError as error:
        status = error.error_status_hint
    raise Refused(status, "bad_request", "This is not a request of HTTP/1.1.")


async def hang_up(stream: ByteStream) -> None:
    """Say that nothing more is said, and drop what still comes, for a moment.

    A connection that is closed with bytes unread is reset, and the answer may be lost with it
    (RFC 9112, 9.6). The stream stays the caller's to close.
    """
    with anyio.move_on_after(_UNREAD_SECONDS), suppress(*_GONE):  # noqa: ASYNC912  it receives
        # AnyIO's TLS ends both directions or none; on Trio who has reset his end is an OSError.
        with suppress(NotImplementedError, OSError):
            await stream.send_eof()
        dropped = 0
        while dropped < _UNREAD_BYTES:
            dropped += len(await stream.receive())


class _Reading:
    """Read from a stream what h11 asks for."""

    def __init__(self, stream: ByteStream, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        # A head of the most and longest lines that are allowed is longer: it is refused by this.
        self._head_bytes = 4 * limits.line_bytes
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=self._head_bytes)
        self._received = 0
        self._line = 0  # of the line that has not ended yet
        self._lines = 0

    async def head(self) -> Request:
        while (event := self._connection.next_event()) is h11.NEED_DATA:
            self._check_line()
            await self._receive()
        rest = self._connection.trailing_data[0]
        if self._received - len(rest) > self._head_bytes:
            raise Refused(431, "bad_request", "The headers are too long.")
        request = cast("h11.Request", event)  # nothing else comes first
        return self._checked(
            Request(
                method=request.method.decode("ascii"),
                target=request.target.decode("ascii"),
                headers=[(n.decode("ascii"), v.decode("latin-1")) for n, v in request.headers],
                version=request.http_version.decode("ascii"),
                rest=rest,
            )
        )

    async def body_of(self, request: Request) -> Request:
        _check_body(int(request.header("content-length") or 0))
        body = b""
        while not isinstance(event := self._connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                body += event.data
            else:
                await self._encourage()
                await self._receive()
            _check_body(len(body))
        return attrs.evolve(request, body=body, rest=b"")

    async def _encourage(self) -> None:
        """Let a client go on that waits to hear whether its body is wanted (RFC 9110, 10.1.1)."""
        if self._connection.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
            await self._stream.send(self._connection.send(go_on) or b"")

    async def _receive(self) -> None:
        data = await self._stream.receive(_READ_BYTES)
        self._received += len(data)
        _, newline, last = data.rpartition(b"\n")
        self._line = len(last) + (0 if newline else self._line)
        self._lines += bool(newline)
        self._connection.receive_data(data)

    def _check_line(self) -> None:
        """Refuse a line that is too long already, before it has come to its end."""
        if self._line > self._limits.line_bytes:
            status = 431 if self._lines else 414
            raise Refused(status, "bad_request", "A line of the request is too long.")

    def _checked(self, request: Request) -> Request:
        """Refuse what is too much, or may mean something else to others that read it."""
        if len(request.target) > self._limits.line_bytes:
            raise Refused(414, "bad_request", "The request line is too long.")
        longest = max((len(n) + len(v) for n, v in request.headers), default=0)
        if longest > self._limits.line_bytes or len(request.headers) > self._limits.headers:
            raise Refused(431, "bad_request", "The headers are too long, or too many.")
        if not request.target.startswith("/"):
            raise Refused(400, "bad_request", "The request's target is not a path.")
        framing = {name for name, _ in request.headers} & _NO_UPGRADE
        # RFC 9112, 6.1: whoever reads the other of the two reads another request.
        if framing == _NO_UPGRADE or (framing and request.is_upgrade):
            raise Refused(400, "bad_request", "The request's length is not clear.")
        if request.is_upgrade and request.version != "1.1":  # RFC 6455, 4.1
            raise Refused(400, "bad_request", "An upgrade needs HTTP/1.1.")
        return request


def _check_body(length: int) -> None:
    if length > _MAX_BODY_BYTES:
        raise Refused(413, "invalid_request", "The body is too long.")
