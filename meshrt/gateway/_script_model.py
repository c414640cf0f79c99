"""A model that follows a script, and says where a conversation leaves it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, final, runtime_checkable

import anyio
from anyio.lowlevel import checkpoint

from ..errors import ConfigurationError
from ._answer import Answer, Fail, Part
from ._script import Expect, Script, Step, Wait
from ._thinking import Heard, HeardAudio, Model

_CODE: Final = "script_not_followed"
_MAX_SHOWN: Final = 200


@runtime_checkable
class PerSession(Protocol):
    """A model that has this too is asked for one of its own by each session."""

    def for_session(self) -> Model:
        """Return the model of a session that begins."""
        ...


def fresh(model: Model) -> Model:
    """Return the model that a session takes."""
    return model.for_session() if isinstance(model, PerSession) else model


@final
class ScriptModel:
    """Answer as a script says, each session from its beginning.

    Where what is heard is not what the script expects, the response fails with the code
    ``script_not_followed``, and :attr:`problems` and :meth:`check` tell a test.

    Nobody here understands speech: an expectation in words is met by speech as well, and the
    transcript of that speech is those words. A text that is written has to be the one expected.

    Args:
        script: A script, or its text.

    Raises:
        ConfigurationError: It is no script; the message says where.
    """

    def __init__(self, script: Script | str) -> None:
        self._script = script if isinstance(script, Script) else Script.parse(script)
        self._runs: list[_Run] = []

    @classmethod
    def from_file(cls, path: str | Path) -> "ScriptModel":
        """Read a script from a file of UTF-8; it reads at once, so not in an event loop.

        Raises:
            ConfigurationError: The file can't be read, or is no script.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            problem = error.strerror or str(error)
        except ValueError:
            problem = "it is not UTF-8"
        else:
            return cls(text)
        raise ConfigurationError(f"the script {str(path)!r:.200} can't be read: {problem}")

    @property
    def problems(self) -> list[str]:
        """What was expected and did not come, in all sessions so far, a sentence each."""
        return [problem for run in self._runs for problem in run.problems]

    def for_session(self) -> Model:
        """Return a model that begins with the first step."""
        run = _Run(self._script.steps)
        self._runs.append(run)
        return run

    async def reply(self, heard: Heard) -> str | Answer:
        """Return the answer of the next step, where no session has asked for a model of its own.

        Cancelling loses no step: it is then the next one still.
        """
        if not self._runs:
            self.for_session()
        return await self._runs[0].reply(heard)

    def check(self) -> None:
        """Fail if a session has left the script, or has not come to its end.

        Raises:
            AssertionError: It says what was expected and what was heard, line by line.
        """
        problems = self.problems
        for run in self._runs:
            problems += run.left_over()
        if not self._runs:
            problems.append("no session has begun")
        if problems:
            raise AssertionError("the script was not followed:\n" + "\n".join(problems))


@final
class _Run:
    """A session's way through a script."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._at = 0
        self._spoken: dict[bytes, str] = {}
        self.problems: list[str] = []

    async def reply(self, heard: Heard) -> Answer:
        """Return the answer of the next step, or how it was missed."""
        if self._at >= len(self._steps):
            return await self._missed("the script ends before this", heard)
        step = self._steps[self._at]
        if not _meets(step.expect, heard):
            return await self._missed(f"line {step.expect.line} expects {_shown(step)}", heard)
        for audio in _speech(heard):
            self._note(audio, step.expect)
        answer: list[Part] = []
        await checkpoint()
        for part in step.answers:
            if isinstance(part, Wait):
                await anyio.sleep(part.seconds)
            else:
                answer.append(part)
        self._at += 1
        return answer

    async def transcribe(self, audio: HeardAudio) -> str | Fail:
        """Return what the script says that the user says; nothing if nobody speaks."""
        await checkpoint()
        if not audio.speech_ms:
            return ""
        if self._at < len(self._steps):
            self._note(audio, self._steps[self._at].expect)
        return self._spoken.get(_key(audio)) or Fail(_CODE, "The script does not say the words.")

    def left_over(self) -> list[str]:
        """Say what has not been reached."""
        if self._at >= len(self._steps):
            return []
        return [f"line {self._steps[self._at].expect.line} was not reached"]

    def _note(self, audio: HeardAudio, expect: Expect) -> None:
        if expect.words is not None and not expect.is_output:
            self._spoken.setdefault(_key(audio), expect.words)

    async def _missed(self, expected: str, heard: Heard) -> Answer:
        problem = f"{expected}; there came {_told(heard)}"
        self.problems.append(problem)
        await checkpoint()
        return (Fail(_CODE, f"The script was not followed: {problem}."),)


def _meets(expect: Expect, heard: Heard) -> bool:
    if expect.is_output:
        return any(expect.fits(item.output) for item in heard.tool_outputs[-1:])
    if heard.tool_outputs:
        return False
    if expect.is_anything:
        return True
    if expect.is_speech:
        return bool(heard.speech_ms)
    if heard.text:
        return expect.fits(heard.text)
    return bool(heard.speech_ms)


def _speech(heard: Heard) -> list[HeardAudio]:
    return [part for part in heard.parts if isinstance(part, HeardAudio) and part.speech_ms]


def _shown(step: Step) -> str:
    who = "a function's" if step.expect.is_output else "the user's"
    return f"{who} {step.expect.pattern!r:.{_MAX_SHOWN}}"


def _told(heard: Heard) -> str:
    if heard.tool_outputs:
        return f"a function's {heard.tool_outputs[-1].output!r:.{_MAX_SHOWN}}"
    if heard.text:
        return f"the user's {heard.text!r:.{_MAX_SHOWN}}"
    return f"{heard.speech_ms} ms of speech" if heard.speech_ms else "nothing"


def _key(audio: HeardAudio) -> bytes:
    return hashlib.sha256(audio.pcm).digest()
