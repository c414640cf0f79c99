"""The little language of faults: ``close 1011 "gone" at 2nd response.created after 200 ms``.

::

    fault    = kind [ "at" [ nth ] event ] [ "after" duration ] [ "once" | count "times" ]
    nth      = "every" | "1st" | "2nd" | …
    duration = number ( "ms" | "s" )

The kinds are in ``_KINDS``; a text is a JSON string.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, final

from ..errors import ConfigurationError
from .faults import (
    Close,
    Delay,
    Drop,
    Duplicate,
    End,
    Expire,
    Fault,
    IgnoreClose,
    Insert,
    Lose,
    Malformed,
    Oversized,
    RefuseHandshake,
    Slow,
    Stall,
    Tear,
    Unknown,
)

_TOKEN: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^\s"]+|")')
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,30})?(?:e-[0-9]{1,3})?)(ms|s)?")
_NTH: Final = re.compile(r"([0-9]{1,10})(?:st|nd|rd|th)")


@final
class _Words:
    """The words of a fault, taken one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        found = list(_TOKEN.finditer(text))
        self._words = [match[1] for match in found]
        self._columns = [match.start(1) + 1 for match in found]
        self._at = 0

    @property
    def next(self) -> str:
        """The next word, in small letters where it is no text; empty at the end."""
        return self._words[self._at] if self._at < len(self._words) else ""

    def take(self, *expected: str) -> str | None:
        """Take the next word if it is one of these."""
        if self.next not in expected:
            return None
        self._at += 1
        return self._words[self._at - 1]

    def match(self, pattern: "re.Pattern[str]") -> "re.Match[str] | None":
        """Take the next word if it is of this form."""
        found = pattern.fullmatch(self.next)
        self._at += found is not None
        return found

    def any(self, what: str) -> str:
        """Take the next word, whatever it is."""
        if not self.next:
            self.fail(what)
        self._at += 1
        return self._words[self._at - 1]

    @property
    def has_number(self) -> bool:
        """Whether a number comes next that is not how often."""
        after = self._words[self._at + 1 : self._at + 2]
        return self.next.isdecimal() and after != ["times"]

    def number(self, what: str) -> int:
        """Take a whole number."""
        found = self.match(_NUMBER)
        return int(found[0]) if found else self.fail(what)

    def duration(self) -> float:
        """Take a duration; return it in seconds."""
        found = self.match(_DURATION)
        if found is None:
            self.fail("a duration such as 200 ms or 3 s")
        unit = found[2] or self.take("ms", "s") or self.fail("ms or s")
        return float(found[1]) / (1000 if unit == "ms" else 1)

    def text(self) -> str | None:
        """Take a JSON string, if there is one."""
        if not self.next.startswith('"'):
            return None
        try:
            text = json.loads(self.next)
        except ValueError:
            self.fail("a text in double quotes, with JSON's escapes")
        self._at += 1
        return str(text)

    def fail(self, what: str) -> NoReturn:
        """Say what was expected, and where."""
        at_end = self._at >= len(self._words)
        column = len(self._text) + 1 if at_end else self._columns[self._at]
        found = "the end" if at_end else repr(self.next[:40])
        raise ConfigurationError(
            f"{self._text[:200]!r} is no fault: column {column}: expected {what}, found {found}"
        )


def parse_fault(text: str) -> Fault:
    """Read a fault, such as ``close 1011 at response.created``.

    Args:
        text: A kind (``close 1011 "reason"``, ``end insufficient_quota``, ``drain``,
            ``expire by error``, ``drop``, ``tear``, ``stall 3 s``, ``slow 1000``,
            ``ignore close``, ``insert "…"``, ``unknown``, ``malformed``, ``oversized 20000000``,
            ``duplicate``, ``lose``, ``delay 2 s``, ``refuse 503 retry 2 "body"``), then where it
            happens (``at response.created``, ``at 2nd response.done``, ``at every error``,
            ``after 200 ms``), then how often in all (``once``, ``3 times``).

    Raises:
        ConfigurationError: It is none; the message says at which column, and what may stand there.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"a fault is a Fault or a text, not {text!r:.100}")
    words = _Words(text)
    kind = _KINDS.get(words.next)
    if kind is None:
        words.fail(f"one of {', '.join(_KINDS)}")
    words.any("a kind")
    values = kind[1](words)
    fault = kind[0](**values, **_placed(words))
    if words.next:
        words.fail("`at`, `after`, `once` or the end")
    return fault


def _placed(words: _Words) -> dict[str, Any]:
    placed: dict[str, Any] = {}
    if words.take("at"):
        if words.take("every"):
            placed["nth"] = None
        elif found := words.match(_NTH):
            placed["nth"] = int(found[1])
        placed["at"] = words.any("an event such as response.created")
    if words.take("after"):
        placed["after"] = words.duration()
    if words.take("once"):
        placed["times"] = 1
    elif words.next.isdecimal():
        placed["times"] = words.number("a number")
        if not words.take("times"):
            words.fail("times")
    return placed


def _nothing(_: _Words) -> dict[str, Any]:
    return {}


def _close(words: _Words) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if words.has_number:
        values["code"] = words.number("a close code")
    return values | _text(words, "reason")


def _end(words: _Words) -> dict[str, Any]:
    values: dict[str, Any] = {"code": words.any("an error's code such as insufficient_quota")}
    if words.has_number:
        values["close_code"] = words.number("a close code")
    return values


def _expire(words: _Words) -> dict[str, Any]:
    if not words.take("by"):
        return {}
    return {"by": words.take("close", "error", "drop") or words.fail("close, error or drop")}


def _seconds(words: _Words) -> dict[str, Any]:
    return {"seconds": words.duration()}


def _rate(words: _Words) -> dict[str, Any]:
    return {"bytes_per_second": words.number("a number of bytes per second")}


def _ignore(words: _Words) -> dict[str, Any]:
    if not words.take("close"):
        words.fail("close")
    return {}


def _insert(words: _Words) -> dict[str, Any]:
    return _text(words, "text") or words.fail("the message, in double quotes")


def _size(words: _Words) -> dict[str, Any]:
    return {"size": words.number("a size in bytes")} if words.has_number else {}


def _refuse(words: _Words) -> dict[str, Any]:
    values: dict[str, Any] = {"status": words.number("an HTTP status")}
    if words.take("retry"):
        values["retry_after"] = words.number("a number of seconds")
    return values | _text(words, "body")


def _text(words: _Words, name: str) -> dict[str, Any]:
    text = words.text()
    return {} if text is None else {name: text}


_KINDS: Final[Mapping[str, tuple[Callable[..., Fault], Callable[[_Words], dict[str, Any]]]]] = {
    "close": (Close, _close),
    "end": (End, _end),
    "drain": (End, _nothing),
    "expire": (Expire, _expire),
    "drop": (Drop, _nothing),
    "tear": (Tear, _nothing),
    "stall": (Stall, _seconds),
    "slow": (Slow, _rate),
    "ignore": (IgnoreClose, _ignore),
    "insert": (Insert, _insert),
    "unknown": (Unknown, _nothing),
    "malformed": (Malformed, _nothing),
    "oversized": (Oversized, _size),
    "duplicate": (Duplicate, _nothing),
    "lose": (Lose, _nothing),
    "delay": (Delay, _seconds),
    "refuse": (RefuseHandshake, _refuse),
}
