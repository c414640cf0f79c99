"""What the gateway's sessions have really used, by the key that they came with."""

import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Final, TypeAlias, final

import attrs

from .._secret import Secret
from ..events import Usage
from ._catalogue import price_of
from ._ids import new_id

Owner: TypeAlias = bytes | None
"""Who uses something: the digest of a key, or nobody in particular."""

_KEPT_ACCOUNTS: Final = 10_000
_KEPT_SESSIONS: Final = 10_000
_KEPT_DRAWS: Final = 100_000
_SECONDS_A_DAY: Final = 86_400


def owner_of(key: Secret | None) -> Owner:
    """Return whom a key stands for; clients choose its length, and so it is not kept itself."""
    return None if key is None else sha256(key.reveal().encode()).digest()


@attrs.define(kw_only=True, eq=False)
class Tab:
    """What one session has used so far; it is billed when the session is over.

    Attributes:
        id: Of the request that opened it.
        owner: Whose it is.
        model: The model's whole name.
        opened_at: In seconds of the wall clock.
        closed_at: The same; ``None`` while it lasts.
        responses: How many there were.
        input_tokens: Read and heard.
        output_tokens: Written and spoken.
        cost: In USD.
    """

    id: str = attrs.field(factory=lambda: new_id("req"))
    owner: Owner
    model: str
    opened_at: float = attrs.field(factory=time.time)
    closed_at: float | None = None
    responses: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@attrs.frozen(kw_only=True)
class _Draw:
    """A request, or some tokens, at a moment."""

    at: float
    owner: Owner
    requests: int = 0
    tokens: int = 0


@attrs.define(kw_only=True)
class _Account:
    """What an owner has spent, holds and may still spend."""

    spent: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    sessions: int = 0


@final
class Ledger:
    """Keep the tabs of all sessions.

    Clients choose their keys, and may choose many: of those whose sessions are over, the account
    that was used the longest ago makes room, and begins anew should its key come again.

    Args:
        balance: What each owner begins with, in USD.
    """

    def __init__(self, *, balance: Decimal) -> None:
        self._start = balance
        self._accounts: OrderedDict[Owner, _Account] = OrderedDict()  # the latest is the last
        self._billed: deque[Tab] = deque(maxlen=_KEPT_SESSIONS)
        self._draws: deque[_Draw] = deque(maxlen=_KEPT_DRAWS)

    def open(self, owner: Owner, model: str) -> Tab:
        """Begin a session's tab."""
        self._used(owner).sessions += 1
        self.count_request(owner)
        return Tab(owner=owner, model=model)

    def add(self, tab: Tab, usage: Usage) -> None:
        """Note what a response used."""
        cost = price_of(tab.model).of(usage)
        before = tab.tokens
        tab.responses += 1
        tab.input_tokens += usage.input_tokens or 0
        tab.output_tokens += usage.output_tokens or 0
        tab.cost += cost
        self._used(tab.owner).reserved += cost
        self._draws.append(_Draw(at=time.time(), owner=tab.owner, tokens=tab.tokens - before))

    def bill(self, tab: Tab) -> None:
        """End a tab: the session is over, however it ended."""
        account = self._used(tab.owner)
        account.sessions -= 1
        account.reserved -= tab.cost
        account.spent += tab.cost
        tab.closed_at = time.time()
        self._billed.append(tab)

    def count_request(self, owner: Owner) -> None:
        """Note one request of an owner's, of whatever kind."""
        self._draws.append(_Draw(at=time.time(), owner=owner, requests=1))

    def sessions_of(self, owner: Owner) -> int:
        """Return how many of an owner's sessions are open."""
        return self._account(owner).sessions

    def billed_of(self, owner: Owner) -> list[Tab]:
        """Return an owner's sessions that are over, the latest first."""
        return [tab for tab in reversed(self._billed) if tab.owner == owner]

    def balance_of(self, owner: Owner) -> Decimal:
        """Return what is left of an owner's money, that of open sessions included, in USD."""
        return self._start - self._account(owner).spent

    def reserved_of(self, owner: Owner) -> Decimal:
        """Return what an owner's open sessions have used, in USD."""
        return self._account(owner).reserved

    def available_to(self, owner: Owner) -> Decimal:
        """Return what an owner may still spend, in USD."""
        return max(Decimal(0), self.balance_of(owner) - self.reserved_of(owner))

    def requests_in(self, owner: Owner, seconds: float) -> tuple[int, float]:
        """Return how many requests there were lately, and the moment of the first of them."""
        return _summed((d.at, d.requests) for d in self._since(owner, seconds))

    def tokens_in(self, owner: Owner, seconds: float) -> tuple[int, float]:
        """Return how many tokens were used lately, and the moment of the first of them."""
        return _summed((d.at, d.tokens) for d in self._since(owner, seconds))

    def _account(self, owner: Owner) -> _Account:
        """Return an account to read: who only asks gets none of its own."""
        return self._accounts.get(owner) or _Account()

    def _used(self, owner: Owner) -> _Account:
        if owner not in self._accounts:
            self._make_room()
        account = self._accounts.setdefault(owner, _Account())
        self._accounts.move_to_end(owner)
        return account

    def _make_room(self) -> None:
        if len(self._accounts) >= _KEPT_ACCOUNTS:
            idle = (owner for owner, account in self._accounts.items() if not account.sessions)
            for owner in idle:
                del self._accounts[owner]
                return

    def _since(self, owner: Owner, seconds: float) -> Iterator[_Draw]:
        now = time.time()
        while self._draws and self._draws[0].at < now - _SECONDS_A_DAY:
            self._draws.popleft()
        return (d for d in self._draws if d.owner == owner and d.at >= now - seconds)


def _summed(draws: Iterator[tuple[float, int]]) -> tuple[int, float]:
    counted = [(at, count) for at, count in draws if count]
    return sum(count for _, count in counted), min((at for at, _ in counted), default=time.time())
