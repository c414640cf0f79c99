"""Which close codes a CLOSE frame may hold."""

from typing import Final

from ..errors import LocalProtocolError

# RFC 6455, 7.4, and IANA's registry: 1004 is reserved, 1005, 1006 and 1015 are for reports only.
_MAX_REASON_BYTES: Final = 123  # a control frame has 125, of which the code takes two
_SENDABLE: Final = (range(1000, 1004), range(1007, 1015), range(3000, 5000))


def check_close(code: int, reason: str) -> None:
    """Refuse a close code and reason that may not be sent.

    Raises:
        LocalProtocolError: They may not.
    """
    check_close_code(code)
    if not isinstance(reason, str) or len(reason.encode(errors="replace")) > _MAX_REASON_BYTES:
        raise LocalProtocolError(
            f"the reason of a CLOSE frame is text of at most {_MAX_REASON_BYTES} bytes of UTF-8 "
            "(RFC 6455, 5.5)"
        )


def cut_reason(reason: str) -> str:
    """Shorten a reason to what a CLOSE frame holds, at the end of a character."""
    return reason.encode(errors="replace")[:_MAX_REASON_BYTES].decode(errors="ignore")


def check_close_code(code: int) -> None:
    """Refuse a close code that may not be sent.

    Raises:
        LocalProtocolError: It may not.
    """
    if isinstance(code, bool) or not isinstance(code, int):
        raise LocalProtocolError(f"a close code is a number, and not {type(code).__name__}")
    if not any(code in codes for codes in _SENDABLE):
        raise LocalProtocolError(
            f"{code} is not a close code that can be sent: use 1000 to 1003, 1007 to 1014, "
            "or 3000 to 4999 (RFC 6455, 7.4)",
        )
