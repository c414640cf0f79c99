"""What meshrt logs: a sentence for people and, from the same values, fields for programs."""

import logging
import traceback
from typing import Final, TypeAlias, final

from ._printable import printable

Field: TypeAlias = str | float | None
"""A value of a record; a text in it may be a stranger's."""


@final
class Journal:
    """One of meshrt's loggers, which is told nothing but records that are documented.

    meshrt adds no handler, not even a ``NullHandler``: what it says at WARNING and above is told
    nowhere else, so in a program that has set up no logging Python prints it to stderr.

    Args:
        name: The logger's.

    Attributes:
        logger: The logger itself, for those who ask before they look up what to say.
    """

    def __init__(self, name: str) -> None:
        self.logger: Final = logging.getLogger(name)

    def write(
        self,
        level: int,
        record: str,
        sentence: str,
        error: Exception | None = None,
        /,
        **fields: Field,
    ) -> None:
        """Log a record, if somebody wants its level; what their handlers raise goes no further.

        Args:
            level: The level, as :mod:`logging` has them.
            record: The record's name, which stays the same when the sentence is put better.
            sentence: What happened, with ``%(name)s`` where a field goes.
            error: What to show with its traceback.
            fields: The record's values. They become its attributes, each under its name after
                ``meshrt_``; texts are escaped and cut, whoever's they are.
        """
        if not self.logger.isEnabledFor(level):
            return
        shown = {
            name: printable(value) if isinstance(value, str) else value
            for name, value in fields.items()
        }
        extra = {f"meshrt_{name}": value for name, value in shown.items()}
        extra["meshrt_record"] = record
        arguments = (shown,) if shown else ()
        try:
            self.logger.log(level, sentence, *arguments, extra=extra, exc_info=error, stacklevel=2)
        except Exception:  # noqa: BLE001  whatever it is, it is not ours
            # We log in the middle of opening and ending a session, which nobody may cut short.
            if logging.raiseExceptions:
                traceback.print_exc()  # as logging.Handler.handleError() does
