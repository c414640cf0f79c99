"""What all clients of a gateway share."""

from decimal import Decimal
from typing import Final, Literal, TypeAlias

import attrs

from .._secret import Secret
from ..events import Usage
from ._catalogue import MODELS, full_name
from ._farewells import CloseCodes, Farewell, farewell
from ._fault_plan import FaultPlan
from ._handshake import Upgrade
from ._ledger import Ledger, Owner, Tab, owner_of
from ._limits import Limits
from ._origins import AllowList
from ._pacing import Pacing
from ._rest import Rest
from ._speaking import Voice
from ._thinking import Model
from ._turnstile import Turnstile

Dialect: TypeAlias = Literal["ga", "beta"]
"""Which names and shapes a gateway speaks."""

DIALECTS: Final[tuple[Dialect, ...]] = ("ga", "beta")
LEAST_BALANCE: Final = Decimal(10)
"""What Mesh's gateway asks of an account before it opens a session, in USD."""


@attrs.frozen(kw_only=True)
class House:
    """A gateway's rules and books, and what it thinks and speaks with.

    Attributes:
        model: What thinks up the answers.
        voice: What speaks them.
        pacing: How fast their audio goes out.
        key: The one key that is accepted, or ``None``.
        limits: What clients may have.
        allowed: From where they may come.
        dialect: What is spoken.
        close_codes: Whose close codes they are refused with.
        ledger: What they used.
        rest: What answers the calls that are no sessions.
        turnstile: What counts their connections.
        faults: What goes wrong on purpose.
    """

    model: Model
    voice: Voice
    pacing: Pacing
    key: Secret | None
    limits: Limits
    allowed: AllowList
    dialect: Dialect
    close_codes: CloseCodes
    ledger: Ledger
    rest: Rest
    turnstile: Turnstile
    faults: FaultPlan

    def refusal_of(self, upgrade: Upgrade) -> Farewell | None:
        """Say why a client has no session; ``None`` if it may have one.

        OpenAI's server upgrades first and refuses then, so that is what a client has to expect.
        """
        problem = self._problem_of(upgrade)
        return None if problem is None else self.farewell(*problem)

    def farewell(self, code: str, message: str) -> Farewell:
        """Return how a client is told this here."""
        return farewell(code, message, codes=self.close_codes)

    def charge(self, tab: Tab, usage: Usage) -> Farewell | None:
        """Note what a response used, and say why its session can't go on, if it can't."""
        self.ledger.add(tab, usage)
        if not self.ledger.available_to(tab.owner):
            return self.farewell("insufficient_quota", "The balance is used up.")
        most = self.limits.session_tokens
        if most is not None and tab.tokens >= most:
            message = f"A session may use {most} tokens, and this one has."
            return self.farewell("session_token_cap_exceeded", message)
        return None

    def _problem_of(self, upgrade: Upgrade) -> tuple[str, str] | None:
        if upgrade.wants_beta and self.dialect != "beta":
            message = (
                "The beta wire is not spoken here: leave the header OpenAI-Beta out, or start the "
                "gateway with --dialect beta."
            )
            return "beta_api_shape_disabled", message
        if self.key is not None and upgrade.key != self.key:
            return "invalid_api_key", "Incorrect API key provided."
        return self._problem_of_model(upgrade) or self._problem_of_owner(owner_of(upgrade.key))

    def _problem_of_model(self, upgrade: Upgrade) -> tuple[str, str] | None:
        model = upgrade.model
        if model is None and upgrade.kind == "transcription":
            return None  # what transcribes is named in the session's configuration
        if model is None:
            return "missing_model", f"The query has no `model`. There are: {', '.join(MODELS)}."
        if full_name(model) is None:
            message = f"There is no model {model[:100]!a}. There are: {', '.join(MODELS)}."
            return "model_not_found", message
        return None

    def _problem_of_owner(self, owner: Owner) -> tuple[str, str] | None:
        if self.ledger.available_to(owner) < LEAST_BALANCE:
            message = f"A session needs a balance of {LEAST_BALANCE} USD."
            return "insufficient_quota", message
        most = self.limits.sessions_per_owner
        if most is not None and self.ledger.sessions_of(owner) >= most:
            message = f"One key may have {most} sessions at a time, and this one has."
            return "concurrent_sessions_exceeded", message
        return None
