"""How the command ends: the exit status, and one sentence for whoever is in front of it."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, TextIO

from ..errors import ConfigurationError, MeshError, ProtocolError
from ..transports import ConnectError

FAILED: Final = 1
UNUSABLE: Final = 2
_INTERRUPTED: Final = 130  # as shells count it: 128 and SIGINT

# What the arguments, the files or the server are to blame for, and not how a session went.
_UNUSABLE_ERRORS: Final = (ConfigurationError, ConnectError, ProtocolError)
EXPLAINED: Final = (KeyboardInterrupt, BrokenPipeError, MeshError)


def explain(error: BaseException) -> int:
    """Print one sentence about an error and return the exit status.

    Raises:
        BaseException: The error itself, if nothing is known about it or a part of it.
    """
    causes = list(_causes(error))
    if not all(isinstance(cause, EXPLAINED) for cause in causes):
        raise error
    first = min(causes, key=_rank)
    if isinstance(first, KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(first, BrokenPipeError):
        return _unheard()
    _complain(f"meshrt: {one_line(str(first))}\n")
    return UNUSABLE if isinstance(first, _UNUSABLE_ERRORS) else FAILED


def say(*lines: str) -> None:
    """Print lines on stdout, at once, so that a reader of a pipe has them too.

    Raises:
        BrokenPipeError: Nobody reads any more.
        ConfigurationError: They can't be written, as where a disk is full.
    """
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _give_up(sys.stdout)
        raise ConfigurationError(f"stdout can't be written: {error.strerror or error}") from error


def one_line(text: str) -> str:
    """Return it on one line and without control characters: a server may say anything."""
    return " ".join("".join(map(_shown, text)).split())


def make_printable() -> None:
    """Let every stream take what is printed, also one that is closed or knows few characters."""
    # Python has None for a stream that was closed at its start, as with `meshrt demo >&-`.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _shown(character: str) -> str:
    return character if character.isprintable() else " "


def _causes(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for each in error.exceptions:
        yield from _causes(each)


def _rank(error: BaseException) -> int:
    return next(place for place, kind in enumerate(EXPLAINED) if isinstance(error, kind))


def _unheard() -> int:
    """Go without a word when nobody reads any more, as in ``meshrt demo | head -1``."""
    _give_up(sys.stdout)
    return FAILED


def _complain(line: str) -> None:
    """Print on stderr; where it can't be written the exit status has to do."""
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


def _give_up(stream: TextIO) -> None:
    """Send what is left in a stream nowhere: Python flushes on its way out and would complain."""
    with suppress(OSError):  # there may be no file under it, and then nothing is flushed
        os.dup2(_nowhere().fileno(), stream.fileno())


def _nowhere() -> TextIO:
    """Open what takes everything; like the streams of the process, it stays open to the end."""
    return open(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False)
