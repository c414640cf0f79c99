"""How a client is told that its session is over, or never begins: an error, and then a CLOSE.

The error's code is what a client goes by; the close code depends on who is asked. OpenAI's server
was recorded with 3000 and 4000, Mesh documents 1008 and 4402.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import attrs

from ..events import ErrorDetails

CloseCodes: TypeAlias = Literal["recorded", "documented"]
"""Whose close codes a client is refused with."""

CLOSE_CODES: Final[tuple[CloseCodes, ...]] = ("recorded", "documented")

_RECORDED: Final[Mapping[str, tuple[int, str]]] = {
    "invalid_api_key": (3000, "invalid_request_error.invalid_api_key"),
    "missing_model": (4000, "invalid_request_error.missing_model"),
    "model_not_found": (4000, "invalid_request_error.invalid_model"),
    "beta_api_shape_disabled": (4000, "invalid_request_error.beta_api_shape_disabled"),
}
_OUT_OF_MONEY: Final = frozenset({"insufficient_quota", "session_token_cap_exceeded"})
_POLICY: Final = 1008  # RFC 6455, 7.4.1, and what Mesh documents for policy, keys and limits
_QUOTA: Final = 4402


@attrs.frozen(kw_only=True)
class Farewell:
    """The last that a client hears.

    Attributes:
        details: The error.
        close_code: That of the CLOSE.
        close_reason: Its reason.
    """

    details: ErrorDetails
    close_code: int
    close_reason: str


def farewell(code: str, message: str, *, codes: CloseCodes) -> Farewell:
    """Return how to say goodbye.

    Args:
        code: The error's stable word.
        message: The same for people.
        codes: Whose close codes to take; where nobody was recorded, the documented ones.
    """
    documented = (_QUOTA if code in _OUT_OF_MONEY else _POLICY, code)
    close_code, reason = _RECORDED.get(code, documented) if codes == "recorded" else documented
    return Farewell(
        details=ErrorDetails(type="invalid_request_error", code=code, message=message, param=None),
        close_code=close_code,
        close_reason=reason,
    )
