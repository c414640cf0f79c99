"""The bytes under a faulty connection: slow ones, half a frame, the wait for its end."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, final

import anyio
from anyio.abc import ByteStream

_CRUMBS_PER_SECOND: Final = 20
_GONE: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


@final
class FaultyStream(ByteStream):
    """A stream that does what another does, until it is told to be worse.

    Attributes:
        bytes_per_second: How fast it writes; ``None`` for as fast as it goes.
    """

    def __init__(self, inner: ByteStream) -> None:
        self._inner = inner
        self._left_out: int | None = None
        self.bytes_per_second: int | None = None

    def tear(self, left_out: int) -> None:
        """Let the next write end so many bytes too soon, and the connection with it."""
        self._left_out = left_out

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what came."""
        return await self._inner.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        """Write, slowly or in part if it was told to.

        Raises:
            anyio.BrokenResourceError: It was torn.
        """
        if self._left_out is not None:
            await self._send_part(item[: max(0, len(item) - self._left_out)])
        if self.bytes_per_second is None:
            await self._inner.send(item)
        else:
            await self._send_crumbs(item, self.bytes_per_second)

    async def send_eof(self) -> None:
        """Write no more."""
        await self._inner.send_eof()

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()

    async def gone(self) -> None:
        """Wait until the other side has ended the connection; what it still says is dropped."""
        try:
            while True:
                await self._inner.receive()
        except _GONE:
            return  # noqa: ASYNC910  it received

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What is known of the stream below."""
        return self._inner.extra_attributes

    async def _send_part(self, part: bytes) -> NoReturn:
        await self._inner.send(part)
        await self._inner.aclose()
        raise anyio.BrokenResourceError

    async def _send_crumbs(self, item: bytes, rate: int) -> None:
        size = max(1, rate // _CRUMBS_PER_SECOND)
        for start in range(0, len(item), size):
            crumb = item[start : start + size]
            await self._inner.send(crumb)
            await anyio.sleep(len(crumb) / rate)
