"""What can go wrong on purpose: a value for each kind of fault, and where it happens.

::

    async with serve(faults=[Close(1011, at="response.created")]) as gateway: ...
    gateway.inject(Stall(3.0))
"""

import json
import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, TypeAlias, final, get_args

import attrs

from ..errors import ConfigurationError
from ..events import BETA_NAMES, CLIENT_EVENTS, SERVER_EVENTS, class_of

__all__ = (
    "Close",
    "Delay",
    "Drop",
    "Duplicate",
    "Edit",
    "End",
    "Expire",
    "Fault",
    "IgnoreClose",
    "Insert",
    "Lose",
    "Malformed",
    "Oversized",
    "RefuseHandshake",
    "Slow",
    "Stall",
    "Tear",
    "Unknown",
)

_MAX_CODE: Final = 2**16 - 1  # a close code has two bytes
_MAX_REASON_BYTES: Final = 123  # RFC 6455, 5.5
_MAX_BYTES: Final = 2**28  # beyond every limit of a message, and within a machine's memory
_MAX_SECONDS: Final = 86_400.0
_STATUSES: Final = (300, 599)  # 101 is what a fault is instead of, and 2xx no refusal

_ExpiryWay: TypeAlias = Literal["close", "error", "drop"]

# The codes that Mesh documents; whatever is not there is 1011, the server's or upstream's.
_CLOSE_CODES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("insufficient_quota", "insufficient_credits"), 4402),
    **dict.fromkeys(("spend_limit_exceeded", "session_token_cap_exceeded"), 4402),
    **dict.fromkeys(("invalid_api_key", "unauthorized", "forbidden", "idle_timeout"), 1008),
    **dict.fromkeys(("rate_limit_exceeded", "concurrent_sessions_exceeded"), 1008),
}


def _check_event(_fault: object, _field: object, name: Any) -> None:
    if name is None or (isinstance(name, str) and class_of(name) is not None):
        return
    names = [*CLIENT_EVENTS, *SERVER_EVENTS, *BETA_NAMES]
    near = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigurationError(f"there is no event {name!r:.100} for a fault to happen at{hint}")


def _check_seconds(_fault: object, field: "attrs.Attribute[Any]", value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _MAX_SECONDS:  # type: ignore[operator]
        raise ConfigurationError(
            f"{field.name} is a number of seconds, up to a day's, not {value!r:.100}"
        )


def _whole(low: int, high: int) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    def check(_fault: object, field: "attrs.Attribute[Any]", value: object) -> None:
        if type(value) is not int or not low <= value <= high:
            raise ConfigurationError(
                f"{field.name} is a number from {low} to {high}, not {value!r:.100}"
            )

    return check


def _check_text(_fault: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, str):
        raise ConfigurationError(f"{field.name} is a text, not {value!r:.100}")
    if _has_surrogate(value):
        raise ConfigurationError(
            f"{field.name} holds a lone surrogate, which UTF-8 can't carry: {value!a:.100}"
        )


def _check_reason(_fault: object, _field: object, reason: object) -> None:
    if (
        not isinstance(reason, str)
        or _has_surrogate(reason)
        or len(reason.encode()) > _MAX_REASON_BYTES
    ):
        raise ConfigurationError(
            f"the reason of a CLOSE is a text of at most {_MAX_REASON_BYTES} bytes of UTF-8 "
            "(RFC 6455, 5.5)"
        )


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _check_word(_fault: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if not (isinstance(value, str) and value.isascii() and value.replace(".", "_").isidentifier()):
        raise ConfigurationError(f"{field.name} is one word of ASCII letters, not {value!r:.100}")


def _check_way(_fault: object, _field: object, by: _ExpiryWay) -> None:
    if by not in get_args(_ExpiryWay):
        raise ConfigurationError(f"by is one of {get_args(_ExpiryWay)}, not {by!r:.100}")


def _check_count(fault: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not None:
        _whole(1, 10**9)(fault, field, value)


@attrs.frozen(kw_only=True)
class Fault:
    """Something that goes wrong on purpose; the base of all kinds of it.

    Its ``str`` is what :func:`meshrt.gateway.parse_fault` and ``--fault`` read.

    Attributes:
        at: The event at which it happens, by its wire name, sent by either side; ``None`` for
            the beginning of the session.
        nth: At which of the events of that name, counted in each session; ``None`` for each one.
        after: How long after that, in seconds.
        times: How often it happens in all, over all sessions; ``None`` for no end.

    Raises:
        ConfigurationError: There is no such event, or a value can't be one.
    """

    at: str | None = attrs.field(default=None, validator=_check_event)
    nth: int | None = attrs.field(default=1, validator=_check_count)
    after: float = attrs.field(default=0.0, validator=_check_seconds)
    times: int | None = attrs.field(default=None, validator=_check_count)

    def __attrs_post_init__(self) -> None:
        if type(self) in (Fault, Edit):
            raise ConfigurationError("a fault is of a kind, such as Close(1011)")
        if self.at is None and self.nth != 1:
            raise ConfigurationError("nth counts the events of `at`: there is none")

    @property
    def event(self) -> str | None:
        """The GA name of the event at which it happens."""
        return BETA_NAMES.get(self.at, self.at) if self.at is not None else None

    def __str__(self) -> str:
        placed = "" if self.at is None else f" at {_ordinal(self.nth)}{self.at}"
        later = f" after {_duration(self.after)}" if self.after else ""
        often = {None: "", 1: " once"}.get(self.times, f" {self.times} times")
        return f"{self._words()}{placed}{later}{often}"

    def _words(self) -> str:
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Edit(Fault):
    """A fault of one event of the server's, which does not go out as the session made it."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.event not in SERVER_EVENTS:
            raise ConfigurationError(
                f"{self._words()!r} happens to an event of the server's: name it, such as "
                f"'{self._words()} at response.created'"
            )
        if self.after:
            raise ConfigurationError(f"{self._words()!r} happens to the event, not after it")


@final
@attrs.frozen
class Close(Fault):
    """The server closes.

    Attributes:
        code: The CLOSE's code, those included that RFC 6455 forbids to send.
        reason: Its reason, at most 123 bytes of UTF-8.
    """

    code: int = attrs.field(default=1011, validator=_whole(0, _MAX_CODE))
    reason: str = attrs.field(default="", validator=_check_reason)

    def _words(self) -> str:
        return f"close {self.code}{_quoted(self.reason)}"


@final
@attrs.frozen
class End(Fault):
    """The server reports an error and closes, as when it drains (``service_draining``).

    Attributes:
        code: The error's code.
        close_code: The CLOSE's; by default the documented one.
    """

    code: str = attrs.field(default="service_draining", validator=_check_word)
    close_code: int = attrs.field(
        default=attrs.Factory(lambda self: _CLOSE_CODES.get(self.code, 1011), takes_self=True),
        validator=_whole(0, _MAX_CODE),
    )

    def _words(self) -> str:
        return f"end {self.code} {self.close_code}"


@final
@attrs.frozen
class Expire(Fault):
    """The session's time is over; ``session.created`` says when that will be.

    Attributes:
        by: ``"close"`` closes with 1001 and says why in its reason, ``"error"`` sends
            ``session_expired`` before it, ``"drop"`` cuts the connection without a word.
    """

    by: _ExpiryWay = attrs.field(default="close", validator=_check_way)

    def _words(self) -> str:
        return f"expire by {self.by}"


@final
@attrs.frozen
class Drop(Fault):
    """The connection is cut between two frames, without a CLOSE."""

    def _words(self) -> str:
        return "drop"


@final
@attrs.frozen
class Tear(Fault):
    """The connection is cut within a frame: that of the event, or one of no meaning."""

    def _words(self) -> str:
        return "tear"


@final
@attrs.frozen
class Stall(Fault):
    """The server writes nothing for a while, no pongs either.

    Attributes:
        seconds: For how long.
    """

    seconds: float = attrs.field(default=5.0, validator=_check_seconds)

    def _words(self) -> str:
        return f"stall {_duration(self.seconds)}"


@final
@attrs.frozen
class Slow(Fault):
    """From then on the server writes slowly, in crumbs.

    Attributes:
        bytes_per_second: How slowly.
    """

    bytes_per_second: int = attrs.field(default=1000, validator=_whole(1, _MAX_BYTES))

    def _words(self) -> str:
        return f"slow {self.bytes_per_second}"


@final
@attrs.frozen
class IgnoreClose(Fault):
    """The client's CLOSE is not answered, as OpenAI's server does not."""

    def _words(self) -> str:
        return "ignore close"


@final
@attrs.frozen
class Insert(Fault):
    """The server sends a message of no session's.

    Attributes:
        text: The message, to the letter.
    """

    text: str = attrs.field(validator=_check_text)

    def _words(self) -> str:
        return f"insert {json.dumps(self.text)}"


@final
@attrs.frozen
class Unknown(Fault):
    """The server sends an event that nobody knows."""

    def _words(self) -> str:
        return "unknown"


@final
@attrs.frozen
class Malformed(Fault):
    """The server sends a message that is not JSON."""

    def _words(self) -> str:
        return "malformed"


@final
@attrs.frozen
class Oversized(Fault):
    """The server sends an event that is very long.

    Attributes:
        size: How long, in bytes; by default more than a client of meshrt takes.
    """

    size: int = attrs.field(default=17 * 2**20, validator=_whole(100, _MAX_BYTES))

    def _words(self) -> str:
        return f"oversized {self.size}"


@final
@attrs.frozen
class Duplicate(Edit):
    """The event goes out twice."""

    def _words(self) -> str:
        return "duplicate"


@final
@attrs.frozen
class Lose(Edit):
    """The event does not go out: an acknowledgement that never comes."""

    def _words(self) -> str:
        return "lose"


@final
@attrs.frozen
class Delay(Edit):
    """The event goes out later, and others overtake it.

    Attributes:
        seconds: How much later.
    """

    seconds: float = attrs.field(default=1.0, validator=_check_seconds)

    def _words(self) -> str:
        return f"delay {_duration(self.seconds)}"


@final
@attrs.frozen
class RefuseHandshake(Fault):
    """The request to upgrade is answered with a status; ``times`` says to how many.

    Attributes:
        status: The HTTP status, from 300 to 599.
        retry_after: The header ``Retry-After``, in seconds; ``None`` for none.
        body: The body; ``None`` for Mesh's envelope.
    """

    status: int = attrs.field(default=503, validator=_whole(*_STATUSES))
    retry_after: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_whole(0, 10**9))
    )
    body: str | None = attrs.field(default=None, validator=attrs.validators.optional(_check_text))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.at is not None or self.after:
            raise ConfigurationError("a handshake is refused before there is a session or event")

    def _words(self) -> str:
        later = "" if self.retry_after is None else f" retry {self.retry_after}"
        body = "" if self.body is None else f" {json.dumps(self.body)}"
        return f"refuse {self.status}{later}{body}"


def _quoted(text: str) -> str:
    return f" {json.dumps(text)}" if text else ""


def _duration(seconds: float) -> str:
    whole = math.floor(seconds)
    return f"{whole if whole == seconds else repr(float(seconds))} s"


def _ordinal(nth: int | None) -> str:
    if nth is None:
        return "every "
    ending = {1: "st", 2: "nd", 3: "rd"}.get(
        nth % 10 if nth % 100 not in (11, 12, 13) else 0, "th"
    )
    return "" if nth == 1 else f"{nth}{ending} "
