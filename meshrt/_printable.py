"""A stranger's words, fit for a log: on one line, and no orders to a terminal."""

from typing import Final

LIMIT: Final = 200
"""How many characters are shown: enough to recognise the words, too few to flood a log."""


def printable(text: str) -> str:
    r"""Return a text with all escaped that a terminal or a reader of logs would obey.

    Control characters and so ANSI sequences and line ends, what turns the direction of writing
    around, lone surrogates and invisible signs become escapes such as ``\n`` and ``\u202e``, and a
    backslash becomes two. What is longer than 200 characters is cut, and ends with ``…``.
    """
    head = text[: LIMIT + 1]
    if not head.isprintable() or "\\" in head:
        head = "".join(map(_escaped, head))
    return head if len(head) <= LIMIT else f"{head[: LIMIT - 1]}…"


def _escaped(char: str) -> str:
    # Python counts as printable no control, format, surrogate or separator but the space.
    return char if char.isprintable() and char != "\\" else ascii(char)[1:-1]
