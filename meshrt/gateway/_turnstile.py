"""How many connections there are, in all and of one address, and who makes room."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import anyio


class Full(Exception):  # noqa: N818  it is an answer, and never leaves the gateway
    """There is no place for one more connection.

    Attributes:
        status: The HTTP status that says so.
        code: The stable word.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@final
class Place:
    """One connection's place, until its request is answered within ``scope``.

    Attributes:
        scope: In which the request is read: cancelled to make room for somebody else.
    """

    def __init__(self, waiting: dict["Place", None], seconds: float) -> None:
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + seconds)
        self._waiting = waiting
        waiting[self] = None

    def settle(self) -> None:
        """Keep the place: nobody else is given it any more."""
        self._waiting.pop(self, None)
        self.scope.deadline = float("inf")

    def give_up(self) -> None:
        """Leave it to somebody else."""
        self._waiting.pop(self, None)
        self.scope.cancel("another client needs the place")


@final
class Turnstile:
    """Count connections.

    Args:
        connections: At a time, in all.
        per_address: Of one address, or ``None`` for as many.
        seconds: How long a connection may take over its request.
    """

    def __init__(self, *, connections: int, per_address: int | None, seconds: float) -> None:
        self._connections = connections
        self._per_address = per_address
        self._seconds = seconds
        self._taken: Counter[str] = Counter()
        self._given_up: set[Place] = set()
        self._waiting: dict[Place, None] = {}  # in the order in which they came

    @contextmanager
    def place(self, address: str) -> Iterator[Place]:
        """Hold a place for as long as the block lasts.

        Raises:
            Full: There is none.
        """
        if self._per_address is not None and self._taken[address] >= self._per_address:
            raise Full(429, "rate_limit_exceeded", "Too many connections of this address.")
        if self._taken.total() - len(self._given_up) >= self._connections:
            self._make_room()
        place = Place(self._waiting, self._seconds)
        self._taken[address] += 1
        try:
            yield place
        finally:
            place.settle()
            self._given_up.discard(place)
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]

    def _make_room(self) -> None:
        """Let the oldest connection go that has asked for nothing yet: it is most likely idle."""
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            raise Full(503, "service_unavailable", "The gateway has no room for more connections.")
        oldest.give_up()
        self._given_up.add(oldest)
