"""An HTTP answer that is not 101, read as far as it helps and told as one error."""

import json
import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse, IncompleteRead
from io import BytesIO
from typing import Any, Final

import anyio
import anyio.lowlevel
import attrs
from anyio.abc import ByteStream

from ._errors import HandshakeRejected

MAX_BODY_BYTES: Final = 64 * 1024

# The status says all that matters and the body explains it. A server that never ends its body
# must not turn a clear refusal into a timeout.
BODY_GRACE_S: Final = 2.0

_MAX_SENTENCE: Final = 500  # characters; the rest of an error page is of no use
_SECONDS: Final = re.compile(r"\d{1,9}(\.\d{1,9})?")
_REDIRECTS: Final = range(300, 400)

_ADVICE: Final = {
    200: "this is a web page and not a realtime endpoint: check base_url and the path",
    400: "the request was not understood: check the model's name",
    401: "check the API key",
    402: "the account's balance does not allow a session",
    403: "this key may not open a session",
    404: "check base_url, the path and the model's name",
    426: "something between here and the server took the request's Upgrade header away",
    429: "too many sessions or requests: wait, then try again",
}


class _Wire:
    """What http.client takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_mode: object) -> BytesIO:
        return BytesIO(self._data)


@attrs.frozen(kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def _parse(head: bytes) -> HTTPResponse | None:
    response = HTTPResponse(_Wire(head))  # type: ignore[arg-type]  # it only calls makefile()
    try:
        response.begin()
    except (HTTPException, ValueError):
        return None
    return response


def _is_whole(response: HTTPResponse, body: bytes) -> bool:
    if len(body) >= MAX_BODY_BYTES:
        return True
    if response.chunked:
        return body.endswith(b"0\r\n\r\n")
    return response.length is not None and len(body) >= response.length


async def _read_body(stream: ByteStream, response: HTTPResponse, body: bytes) -> bytes:
    with anyio.move_on_after(BODY_GRACE_S):
        await anyio.lowlevel.checkpoint()
        while not _is_whole(response, body):
            try:
                body += await stream.receive(MAX_BODY_BYTES)
            except (anyio.EndOfStream, anyio.BrokenResourceError, OSError):
                break
    return body[:MAX_BODY_BYTES]


def _decoded_body(head: bytes, body: bytes) -> bytes:
    response = _parse(head + body)
    if response is None:
        return b""
    try:
        return response.read()
    except IncompleteRead as error:
        return error.partial
    except (HTTPException, ValueError):
        return b""


async def read_refusal(
    stream: ByteStream, head: bytes, rest: bytes, redact: Callable[[str], str]
) -> HandshakeRejected | None:
    """Read the rest of an answer other than 101 and say what it means.

    Args:
        stream: Where the body comes from; at most 64 KiB of it is kept.
        head: The status line and the headers, with the blank line.
        rest: What was read after them.
        redact: Removes the key from a text.

    Returns:
        The error to raise, or ``None`` if this is not HTTP.
    """
    await anyio.lowlevel.checkpoint()
    response = _parse(head)
    if response is None:
        return None
    body = await _read_body(stream, response, rest)
    return _rejection(_answer(response, head, body), redact)


def refusal_in(answer: bytes) -> HandshakeRejected:
    """Say what a whole answer means that came over no connection and holds no key."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    head += blank
    response = _parse(head)
    assert response is not None  # noqa: S101  it is ours
    return _rejection(_answer(response, head, body), str)


def _answer(response: HTTPResponse, head: bytes, body: bytes) -> _Answer:
    return _Answer(
        status=response.status,
        headers={name.lower(): value for name, value in response.getheaders()},
        body=_decoded_body(head, body),
    )


def _rejection(answer: _Answer, redact: Callable[[str], str]) -> HandshakeRejected:
    said = {name: _clean(value, redact) for name, value in _envelope(answer.body).items()}
    return HandshakeRejected(
        said.get("message") or _sentence(answer.status),
        status=answer.status,
        code=said.get("code"),
        param=said.get("param"),
        type=said.get("type"),
        request_id=said.get("request_id") or _clean(answer.headers.get("x-request-id"), redact),
        retry_after=_retry_after(answer.headers),
    )


def _sentence(status: int) -> str:
    if status in _REDIRECTS:
        return (
            f"the server answered with a redirect (HTTP {status}), which is not followed, since "
            "the key would go with it: set base_url to the final address"
        )
    advice = _ADVICE.get(status, "try again later" if status >= 500 else "check base_url")  # noqa: PLR2004
    return f"the server refused the session with HTTP {status}: {advice}"


def _envelope(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    inner = data.get("error", data.get("detail"))
    fields = inner if isinstance(inner, dict) else {"message": _joined(inner)}
    return {"request_id": data.get("request_id"), **fields}


def _joined(detail: object) -> object:
    """Read FastAPI's list of complaints as one sentence."""
    if not isinstance(detail, list):
        return detail
    return "; ".join(str(item.get("msg")) for item in detail if isinstance(item, dict))


def _clean(value: object, redact: Callable[[str], str]) -> str | None:
    if not isinstance(value, str):
        return None
    printable = "".join(char if char.isprintable() else " " for char in redact(value))
    return printable.strip()[:_MAX_SENTENCE] or None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read seconds, or a date relative to the server's own clock (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        then, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (then - now).total_seconds())
    except (ValueError, TypeError):
        return None
