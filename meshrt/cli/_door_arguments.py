"""What may stand after ``meshrt serve`` about who gets in, and how much they may have.

What is not given is left out, so that the gateway's own defaults hold.
"""

import argparse
from typing import Final

_DIGITS: Final = 18  # more is no number of anything here, and Python may refuse to read it


def add_doors(serve: argparse.ArgumentParser) -> None:
    """Add the options on who is let in, and how they are spoken to."""
    doors = serve.add_argument_group("who gets in", argument_default=argparse.SUPPRESS)
    doors.add_argument(
        "--tls",
        action="store_true",
        help="speak https and wss, with a certificate made on the spot; prints where its CA is",
    )
    doors.add_argument(
        "--origin",
        dest="origins",
        metavar="ORIGIN",
        action="append",
        help="a page that may connect from a browser, such as http://localhost:3000; may be "
        "repeated (default: none may)",
    )
    doors.add_argument(
        "--allow-host",
        dest="hosts",
        metavar="HOST",
        action="append",
        help="one more name under which the gateway may be spoken to; may be repeated (default: "
        "its address and localhost)",
    )
    doors.add_argument(
        "--dialect",
        choices=("ga", "beta"),
        help="beta speaks the old names and shapes of OpenAI's wire (default: ga)",
    )
    doors.add_argument(
        "--close-codes",
        choices=("recorded", "documented"),
        help="refuse with OpenAI's close codes, as recorded (3000, 4000), or with Mesh's, as "
        "documented (1008, 4402) (default: recorded)",
    )
    doors.add_argument(
        "--balance",
        metavar="USD",
        type=_usd,
        help="what each key has to spend; below 10 no session opens (default: 1000.00)",
    )


def add_limits(serve: argparse.ArgumentParser) -> None:
    """Add the options on how much clients may have."""
    limits = serve.add_argument_group("limits", argument_default=argparse.SUPPRESS)
    _add(limits, "--max-connections", "connections", "connections at a time (default: 256)")
    _add(
        limits,
        "--max-connections-per-address",
        "connections_per_address",
        "the same for one address (default: 16, and no limit on loopback)",
    )
    _add(
        limits,
        "--max-sessions-per-owner",
        "sessions_per_owner",
        "sessions at a time with one key (default: no limit)",
    )
    _add(
        limits, "--max-session-tokens", "session_tokens", "tokens of a session (default: no limit)"
    )
    _add(limits, "--max-message-bytes", "message_bytes", "bytes of a message (default: 22020096)")
    _add(limits, "--max-header-lines", "headers", "header lines of a request (default: 64)")
    _add(limits, "--max-line-bytes", "line_bytes", "bytes of a request's line (default: 8192)")
    limits.add_argument(
        "--header-timeout",
        dest="header_seconds",
        metavar="SECONDS",
        type=_seconds,
        help="how long a request may take in all (default: 5)",
    )
    limits.add_argument(
        "--idle-timeout",
        dest="idle_seconds",
        metavar="SECONDS",
        type=_seconds_or_none,
        help="how long a session's client may be silent; 0 for ever (default: 60)",
    )


def _add(group: argparse._ArgumentGroup, flag: str, name: str, words: str) -> None:
    group.add_argument(flag, dest=name, metavar="N", type=_count, help=words)


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"a whole number above 0, not {text!r:.100}")


def _seconds(text: str) -> float:
    seconds = _number(text)
    if 0 < seconds < float("inf"):
        return seconds
    raise argparse.ArgumentTypeError(f"a number of seconds above 0, not {text!r:.100}")


def _seconds_or_none(text: str) -> float | None:
    seconds = _number(text)
    if 0 <= seconds < float("inf"):
        return seconds or None
    raise argparse.ArgumentTypeError(f"a number of seconds, or 0 for ever, not {text!r:.100}")


def _number(text: str) -> float:
    """Return what a text says, which may be no number, such as infinity."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _usd(text: str) -> str:
    """Return the text: what it says in binary would be another amount."""
    if 0 <= _number(text) < float("inf"):
        return text
    raise argparse.ArgumentTypeError(f"an amount in USD such as 25.00, not {text!r:.100}")
