"""One question and its answer, on a stream that carries no frames yet."""

import re
from collections.abc import Callable
from typing import Final

import anyio
from anyio.abc import ByteStream

from ._errors import ConnectError

# Status line and headers together. websockets and h11 allow 8 KiB and 16 KiB for a line.
MAX_HEAD_BYTES: Final = 16 * 1024
_MAX_LINE_BYTES: Final = 8 * 1024

_LINE_END: Final = b"\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"
_HTTP: Final = b"HTTP/1."
# RFC 9110, 15.2: a client has to bear some before the final answer, and 101 is one of those.
_INTERIM: Final = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}[ \r]")

Blame = Callable[[str], ConnectError]
"""Make the error of what the other side did wrong, said in words that follow a colon."""


async def ask(stream: ByteStream, compose: Callable[[], bytes]) -> None:
    """Send what holds a secret, so that no frame of a traceback shows it.

    Args:
        stream: Where it goes.
        compose: Makes it; only the frames below this one ever hold what it returns.
    """
    try:
        await stream.send(compose())
    except BaseException as error:
        # The frames below have the bytes in their locals, and a cancellation carries them up to
        # whoever looks at it.
        error.__traceback__ = None
        raise


async def read_head(stream: ByteStream, blame: Blame) -> tuple[bytes, bytes]:
    """Read an HTTP answer up to the blank line, past those that only announce it.

    Returns:
        The head with the blank line, and what came after it.

    Raises:
        ConnectError: It is not HTTP, too long, or cut off.
    """
    head, rest = await _read_one_head(stream, b"", blame)
    while _INTERIM.match(head):
        head, rest = await _read_one_head(stream, rest, blame)
    return head, rest


async def _read_one_head(  # noqa: ASYNC910  nothing is waited for that is here already
    stream: ByteStream, data: bytes, blame: Blame
) -> tuple[bytes, bytes]:
    while True:
        head, blank, rest = data.partition(_END_OF_HEAD)
        if not _HTTP.startswith(head[: len(_HTTP)]):
            raise blame("its answer is not HTTP")
        if len(head) > MAX_HEAD_BYTES:
            raise blame(f"it sent more than {MAX_HEAD_BYTES} bytes of headers")
        if blank:
            if max(map(len, head.split(_LINE_END))) > _MAX_LINE_BYTES:
                raise blame(f"among its headers is a line of more than {_MAX_LINE_BYTES} bytes")
            return head + blank, rest
        try:
            data += await stream.receive(MAX_HEAD_BYTES)
        except anyio.EndOfStream:
            raise blame(_hung_up(data)) from None


async def read_exactly(stream: ByteStream, size: int, blame: Blame) -> bytes:
    """Read so many bytes and none after them.

    Raises:
        ConnectError: The other side ended before.
    """
    data = b""
    while len(data) < size:
        try:
            data += await stream.receive(size - len(data))
        except anyio.EndOfStream:
            raise blame(_hung_up(data)) from None
    return data


def _hung_up(data: bytes) -> str:
    when = "in the middle of its answer" if data else "without an answer"
    return f"it closed the connection {when}"
