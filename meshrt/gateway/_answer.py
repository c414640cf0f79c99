"""What a model answers: parts, each of which becomes an item of the response, in order."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs


@attrs.frozen
class Say:
    """A message: spoken where the response is in audio, or else written."""

    text: str
    """The words; where they are spoken, the transcript."""


@attrs.frozen
class Call:
    """A call of one of the client's functions."""

    name: str
    """The function's name, whether or not it is among :attr:`Heard.tools`."""
    arguments: Mapping[str, Any] | str = ""
    """Its arguments: a mapping, which is sent as JSON, or the text itself, right or wrong."""
    call_id: str | None = None
    """The id that the output has to quote; by default a new one."""


@attrs.frozen
class CallMcp:
    """A call of a tool of an MCP server, which real servers make themselves.

    Nobody is called: the answer says what comes of it. Where the session wants an approval that
    the client has not given, a request for it is all that becomes of the call.
    """

    server_label: str
    """The server, by the label of its tool."""
    name: str
    """The tool's name."""
    arguments: Mapping[str, Any] | str = ""
    """Its arguments: a mapping, which is sent as JSON, or the text itself."""
    output: str | None = None
    """What it gives."""
    error: str | None = None
    """Why it failed, in place of an output."""


@attrs.frozen
class Refuse:
    """A message that the content filter cuts: the response ends with it, ``incomplete``."""

    text: str
    """What was said until then; may be empty."""


@attrs.frozen
class Fail:
    """The response ends here, as ``failed``."""

    code: str | None
    """The code to decide by, such as ``"rate_limit_exceeded"``; ``None`` as real servers do."""
    message: str
    """The server's sentence."""


@attrs.frozen
class Interleave:
    """Parts whose items are open at the same time, and whose deltas take turns."""

    parts: Sequence[Say | Call | CallMcp]
    """The items, in the order in which they open."""


Part: TypeAlias = Say | Call | CallMcp | Refuse | Fail | Interleave
Answer: TypeAlias = Sequence[Part]

_PARTS: Final = (Say, Call, CallMcp, Refuse, Fail, Interleave)
_NAMES: Final = ", ".join(f"{kind.__name__}(…)" for kind in _PARTS)


def answer_of(reply: str | Answer) -> Answer:
    """Return what a model replied as parts; a text alone is said.

    Raises:
        TypeError: It is neither text nor a sequence of parts.
    """
    if isinstance(reply, str):
        return (Say(reply),)
    if isinstance(reply, Sequence):
        parts = [part for part in reply if isinstance(part, _PARTS)]
        if len(parts) == len(reply):
            return parts
    raise TypeError(
        f"a model replies with text or with a sequence of {_NAMES}: not {reply!r:.200}"
    )
