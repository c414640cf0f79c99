"""A transport that does what another does, until a test changes a part of it."""

from collections.abc import Callable, Sequence

from meshrt.transports import Transport


class Wrapped:
    """Pass everything on; subclasses say what is different.

    It counts the aborts, since a session owes its transport at least one.
    """

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.aborts = 0

    @property
    def wake(self) -> Callable[[], None]:
        return self.inner.wake

    @wake.setter
    def wake(self, wake: Callable[[], None]) -> None:
        self.inner.wake = wake

    @property
    def last_byte_at(self) -> float:
        return self.inner.last_byte_at

    @property
    def last_write_at(self) -> float:
        return self.inner.last_write_at

    @property
    def close_code(self) -> int | None:
        return self.inner.close_code

    @property
    def close_reason(self) -> str:
        return self.inner.close_reason

    @property
    def subprotocol(self) -> str | None:
        return self.inner.subprotocol

    async def receive(self) -> list[str | bytes]:
        return await self.inner.receive()

    async def send(self, batch: Sequence[str | bytes]) -> None:
        await self.inner.send(batch)

    def outgoing(self) -> int:
        return self.inner.outgoing()

    def ping(self) -> None:
        self.inner.ping()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        await self.inner.aclose(code, reason)

    async def abort(self) -> None:
        self.aborts += 1
        await self.inner.abort()
