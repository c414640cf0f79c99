"""A conversation written down: what the user has to say, and what is answered.

::

    # What comes after the mark and one space is taken to the letter.
    > What's the weather in Paris?
    < Let me look.
    ! call get_weather {"city": "Paris"}
    = /"sky": *"(clear|cloudy)"/
    < A fine day.

A line is read by its mark:

==================  =================================================================
``> words``         The user says this. ``/regex/``, ``*`` (anything, nothing too) and
                    ``(speech)`` are patterns; a backslash in front makes them words.
``= words``         A function returns this; the same patterns but ``(speech)``.
``< words``         A message of the model's.
``! call f {…}``    A call of a function, with its arguments, if any, as a JSON object.
``! refuse words``  A message that the content filter cuts.
``! fail code …``   The response fails, with a code and a sentence.
``! wait 200 ms``   The model takes its time.
``# words``         For people. Empty lines are too.
==================  =================================================================

An expectation and the answers below it are a step; each response takes one.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NoReturn, TypeAlias, final

import attrs

from ..errors import ConfigurationError
from ._answer import Call, Fail, Part, Refuse, Say

_MARKS: Final = "one of the marks > = < ! #, and one space"
_PATTERN: Final = re.compile(r"/(?P<regex>.*)/|(?P<any>\*)|(?P<speech>\(speech\))", re.DOTALL)
_DURATION: Final = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,6})?) (ms|s)")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # as the wire has the names of functions
_NOT_TEXT: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@final
@attrs.frozen
class Expect:
    """What has to be heard for the answers below to be given.

    Attributes:
        pattern: What stands in the script.
        is_output: Whether a function has to return it, or else the user to say it.
        line: Where it stands, from 1.
    """

    pattern: str
    is_output: bool = False
    line: int = 0

    @property
    def words(self) -> str | None:
        """What it expects to the letter; ``None`` if it is a pattern."""
        if _PATTERN.fullmatch(self.pattern):
            return None
        return self.pattern.removeprefix("\\")

    @property
    def is_speech(self) -> bool:
        """Whether it expects that somebody speaks."""
        return self.pattern == "(speech)" and not self.is_output

    @property
    def is_anything(self) -> bool:
        """Whether it expects nothing in particular."""
        return self.pattern == "*"

    def fits(self, text: str) -> bool:
        """Tell whether a text is what is expected; white space counts once."""
        found = _PATTERN.fullmatch(self.pattern)
        if found is None:
            return " ".join(text.split()) == " ".join(str(self.words).split())
        if found["regex"] is not None:
            return re.search(found["regex"], text) is not None
        return found["any"] is not None


@final
@attrs.frozen
class Wait:
    """A pause before what comes next.

    Attributes:
        duration: What stands in the script, such as ``200 ms``.
    """

    duration: str

    @property
    def seconds(self) -> float:
        """How long."""
        number, _, unit = self.duration.partition(" ")
        return float(number) / (1000 if unit == "ms" else 1)


@final
@attrs.frozen
class Note:
    """A line for people: a comment with its mark, or an empty one."""

    text: str


Line: TypeAlias = Expect | Wait | Note | Say | Call | Refuse | Fail


@final
@attrs.frozen
class Step:
    """An expectation and what answers it, in order."""

    expect: Expect
    answers: tuple[Part | Wait, ...]


@final
@attrs.frozen
class Script:
    """A conversation written down; its ``str`` is the text that was parsed.

    Attributes:
        lines: What each line says.
    """

    lines: tuple[Line, ...]

    @classmethod
    def parse(cls, text: str) -> "Script":
        """Read a script.

        Raises:
            ConfigurationError: It is none; the message says where, and what may stand there.
        """
        lines = tuple(_Reader(line, count).line() for line, count in _numbered(text))
        script = cls(lines)
        script._check()
        return script

    @property
    def steps(self) -> tuple[Step, ...]:
        """The expectations, each with its answers."""
        steps: list[Step] = []
        for line in self.lines:
            if isinstance(line, Expect):
                steps.append(Step(line, ()))
            elif not isinstance(line, Note):
                last = steps.pop()
                steps.append(attrs.evolve(last, answers=(*last.answers, line)))
        return tuple(steps)

    def __str__(self) -> str:
        return "\n".join(map(_text_of, self.lines))

    def _check(self) -> None:
        expected = False
        for count, line in enumerate(self.lines, 1):
            if not isinstance(line, Expect | Note) and not expected:
                _fail(count, 1, "an expectation before any answer; `> *` expects anything")
            expected = expected or isinstance(line, Expect)
        if not expected:
            _fail(max(1, len(self.lines)), 1, "an expectation such as `> Hello.`")
        for step in self.steps:
            if not any(not isinstance(answer, Wait) for answer in step.answers):
                _fail(step.expect.line, 1, "an answer below it such as `< Hello.`")


def _numbered(text: object) -> Iterable[tuple[str, int]]:
    if not isinstance(text, str):
        raise ConfigurationError(f"a script is a text, not {text!r:.100}")
    return [(line, count) for count, line in enumerate(text.split("\n"), 1)]


def _text_of(line: Line) -> str:
    match line:
        case Expect(pattern=pattern, is_output=is_output):
            text = f"{'=' if is_output else '>'} {pattern}"
        case Say(text=words):
            text = f"< {words}"
        case Call(name=name, arguments=arguments):
            text = f"! call {name} {arguments}".removesuffix(" ")
        case Refuse(text=words):
            text = f"! refuse {words}"
        case Fail(code=code, message=message):
            text = f"! fail {code} {message}"
        case Wait(duration=duration):
            text = f"! wait {duration}"
        case Note(text=words):
            text = words
    return text


@final
class _Reader:
    """One line of a script, read from the left."""

    def __init__(self, text: str, count: int) -> None:
        self._text = text
        self._count = count
        self._at = 0

    def line(self) -> Line:
        """Return what the line says."""
        if not self._text:
            return Note("")
        if bad := _NOT_TEXT.search(self._text):
            self._fail(f"no control character such as {bad[0]!r}", at=bad.start())
        if self._text.startswith("#"):
            return Note(self._text)
        read = _READERS.get(self._text[:2])
        if read is None:
            self._fail(_MARKS)
        if self._text.endswith(" ") and len(self._text) > len(self._text[:2]):
            self._fail("no space at the end", at=len(self._text.rstrip(" ")))
        self._at = 2
        return read(self)

    def expect(self) -> Expect:
        """Read what the user has to say."""
        return self._expected(is_output=False)

    def expect_output(self) -> Expect:
        """Read what a function has to return."""
        return self._expected(is_output=True)

    def say(self) -> Say:
        """Read a message."""
        return Say(self._rest("words"))

    def act(self) -> Line:
        """Read what a line with ``!`` says."""
        verb = self._word("call, refuse, fail or wait")
        act = _ACTS.get(verb)
        if act is None:
            self._fail("call, refuse, fail or wait", at=2)
        return act(self)

    def call(self) -> Call:
        """Read a call."""
        name = self._word("the name of a function")
        if not _NAME.fullmatch(name):
            self._fail("a name of letters, digits, _ and -", at=self._at - len(name) - 1)
        begin, arguments = self._at, self._text[self._at :]
        if arguments:
            self._check_arguments(arguments, begin)
        return Call(name, arguments)

    def refuse(self) -> Refuse:
        """Read a refusal."""
        return Refuse(self._rest("words"))

    def fail(self) -> Fail:
        """Read a failure."""
        code = self._word("a code such as rate_limit_exceeded")
        return Fail(code, self._rest("a sentence"))

    def wait(self) -> Wait:
        """Read a pause."""
        duration = self._rest("a duration such as 200 ms or 3 s")
        if not _DURATION.fullmatch(duration):
            self._fail("a duration such as 200 ms or 3 s", at=self._at)
        return Wait(duration)

    def _expected(self, *, is_output: bool) -> Expect:
        pattern = self._rest("words, /regex/ or *")
        found = _PATTERN.fullmatch(pattern)
        if found is not None and found["regex"] is not None:
            try:
                re.compile(found["regex"])
            except re.error as error:
                self._fail(f"a regular expression ({error.msg})", at=3 + (error.pos or 0))
        return Expect(pattern, is_output, self._count)

    def _check_arguments(self, text: str, begin: int) -> None:
        try:
            arguments = json.loads(text)
        except json.JSONDecodeError as error:
            self._fail(f"a JSON object ({error.msg})", at=begin + error.pos)
        except (ValueError, RecursionError):
            self._fail("a JSON object", at=begin)
        if not isinstance(arguments, dict):
            self._fail("a JSON object", at=begin)

    def _word(self, what: str) -> str:
        word, space, _ = self._text[self._at :].partition(" ")
        if not word:
            self._fail(what)
        self._at += len(word) + len(space)
        return word

    def _rest(self, what: str) -> str:
        rest = self._text[self._at :]
        if not rest or rest.startswith(" "):
            self._fail(what)
        return rest

    def _fail(self, what: str, *, at: int | None = None) -> NoReturn:
        column = (self._at if at is None else at) + 1
        shown = f": {self._text[:100]!r}" if self._text else ""
        _fail(self._count, column, what, shown)


def _fail(line: int, column: int, what: str, shown: str = "") -> NoReturn:
    raise ConfigurationError(f"the script, line {line}, column {column}: expected {what}{shown}")


_READERS: Final[Mapping[str, Callable[[_Reader], Line]]] = {
    "> ": _Reader.expect,
    "= ": _Reader.expect_output,
    "< ": _Reader.say,
    "! ": _Reader.act,
}
_ACTS: Final[Mapping[str, Callable[[_Reader], Line]]] = {
    "call": _Reader.call,
    "refuse": _Reader.refuse,
    "fail": _Reader.fail,
    "wait": _Reader.wait,
}
