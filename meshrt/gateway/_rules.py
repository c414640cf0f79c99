"""A model of rules: where a pattern is found in what was heard, it answers as it was told."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast, final, get_args

import anyio
import attrs
from anyio.lowlevel import checkpoint

from ..errors import ConfigurationError
from ..events import FunctionTool
from ._answer import Answer, Call, Interleave, Part, Refuse, Say, answer_of
from ._thinking import Heard, HonestModel, Model

When: TypeAlias = str | re.Pattern[str] | Callable[[Heard], bool]
"""When a rule applies: where this is found in the text, or where a function says so."""

Then: TypeAlias = str | Part | Answer | Callable[[Heard], str | Answer]
"""What it answers; ``{name}`` stands for the pattern's group of that name."""

_FIELD: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_PARTS: Final = get_args(Part)


def _check_when(_rule: object, _field: object, when: Any) -> None:
    if isinstance(when, str):
        problem = _problem_of(when)
        if problem is not None:
            raise ConfigurationError(f"{when!r:.100} is no regular expression: {problem}")
    elif not (isinstance(when, re.Pattern) or callable(when)):
        raise ConfigurationError(
            "a rule applies where a pattern is found or a function says so: "
            f"`when` can't be {when!r:.100}"
        )


def _problem_of(pattern: str) -> str | None:
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return None


def _check_then(_rule: object, _field: object, then: Any) -> None:
    if callable(then) or isinstance(then, _PARTS):
        return
    try:
        answer_of(then)
    except TypeError as error:
        problem = str(error)
    else:
        return
    raise ConfigurationError(problem)


@final
@attrs.frozen
class Rule:
    r"""What is answered when something was heard.

    ::

        Rule(r"weather in (?P<city>\w+)", Call("get_weather"))
        Rule(r"(?P<sky>clear|cloudy)", "It is {sky}.", of_output=True)

    A call is made only of a function that the client offers, and where it may be. Without
    arguments of its own it has the pattern's named groups.

    Attributes:
        when: A regular expression, searched for in what the user wrote, in any case of letters;
            or a function of all that was heard, speech included.
        then: What is answered: a text, a part or several, or a function that returns it.
        of_output: Whether the pattern is for what a function returned, and not for the user: in a
            turn in which one did, only such rules apply.
        after: How long the answer takes, in seconds.

    Raises:
        ConfigurationError: The pattern is none, or the answer can't be one.
    """

    when: When = attrs.field(validator=_check_when)
    then: Then = attrs.field(validator=_check_then)
    of_output: bool = attrs.field(default=False, kw_only=True)
    after: float = attrs.field(default=0.0, kw_only=True)

    def answer(self, heard: Heard) -> Answer | None:
        """Return the answer, or ``None`` where the rule does not apply."""
        if self.of_output != bool(heard.tool_outputs):
            return None
        found = self._found(heard)
        if found is None:
            return None
        then = self.then(heard) if callable(self.then) else self.then
        parts = answer_of(then) if isinstance(then, str | Sequence) else (then,)
        answer = tuple(_filled(part, found) for part in parts)
        return answer if all(_may(part, heard) for part in answer) else None

    def _found(self, heard: Heard) -> Mapping[str, str] | None:
        """Return the named groups of what was found; ``None`` if nothing was."""
        if isinstance(self.when, str | re.Pattern):
            text = heard.tool_outputs[-1].output if self.of_output else heard.text
            found = re.search(_pattern(self.when), text)
            return None if found is None else found.groupdict(default="")
        return {} if self.when(heard) else None


@final
class RuleModel:
    """Answer by the first rule that applies.

    Args:
        rules: The rules, in order.
        otherwise: What thinks where none applies; by default :class:`HonestModel`.

    Raises:
        ConfigurationError: One of them is no rule.
    """

    def __init__(self, *rules: Rule, otherwise: Model | None = None) -> None:
        for rule in rules:
            if not isinstance(rule, Rule):
                raise ConfigurationError(
                    f'a rule is a Rule("pattern", "answer"), and not {rule!r:.100}'
                )
        self._rules = rules
        self._otherwise: Model = otherwise or HonestModel()

    async def reply(self, heard: Heard) -> str | Answer:
        """Return what the first rule that applies answers, after its time.

        Cancelling is safe: nothing has happened.
        """
        for rule in self._rules:
            answer = rule.answer(heard)
            if answer is not None:
                await anyio.sleep(rule.after)
                return answer
        await checkpoint()
        return await self._otherwise.reply(heard)


def offers(heard: Heard, name: str) -> bool:
    """Tell whether the client offers a function and lets it be called."""
    choice = heard.tool_choice
    if choice == "none":
        return False
    named = getattr(choice, "name", name)
    tools = [tool for tool in heard.tools if isinstance(tool, FunctionTool)]
    return named == name and any(tool.name == name for tool in tools)


def _pattern(when: str | re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(when, re.IGNORECASE) if isinstance(when, str) else when


def _may(part: Part, heard: Heard) -> bool:
    if isinstance(part, Interleave):
        return all(_may(each, heard) for each in part.parts)
    return not isinstance(part, Call) or offers(heard, part.name)


def _filled(part: Part, found: Mapping[str, str]) -> Part:
    """Put what was found into a part."""
    match part:
        case Interleave(parts=parts):
            inner = cast("Sequence[Say | Call]", [_filled(each, found) for each in parts])
            return Interleave(inner)
        case Call(arguments=""):
            return attrs.evolve(part, arguments=dict(found))
        case Call(arguments=Mapping() as arguments):
            return attrs.evolve(part, arguments=_filled_in(arguments, found))
        case Say(text=text) | Refuse(text=text):
            return attrs.evolve(part, text=_filled_text(text, found))
    return part


def _filled_in(value: Any, found: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _filled_text(value, found)
    if isinstance(value, Mapping):
        return {key: _filled_in(each, found) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled_in(each, found) for each in value]
    return value


def _filled_text(text: str, found: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda field: found.get(field[1], field[0]), text)
