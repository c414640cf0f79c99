"""``meshrt demo``: something is said, a reply comes and is written down."""

import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import anyio
import attrs

from .._extras import needs
from ..audio import duration_ms, read_wav, write_wav
from ..client import MeshAPI
from ..errors import ConfigurationError
from ._conversation import NoReplyError, Question, Report, Speech, Writing, converse
from ._loop import backend_of, run
from ._outcome import one_line
from ._plain import Display, Json, Lines, is_for_lines
from ._turn import CHUNK_MS, Turn

if TYPE_CHECKING:
    from ..gateway import Gateway

_SPEECH: Final = "train_question_24k.wav"
_INTERVALS_S: Final = {"realtime": CHUNK_MS / 1000, "fast": 0.0}
_PATIENCE_S: Final = 30.0  # for everything that is not speaking
_ANY_KEY: Final = "rsk_demo"  # a local gateway takes any; the user's own is not for it
# What a client's sentences say, and what it is on the command line.
_OPTION_OF: Final = {"base_url": "--url", "pass token=, or set": "set"}

_Server: TypeAlias = AbstractAsyncContextManager[MeshAPI]


@attrs.frozen(kw_only=True)
class DemoOptions:
    """What ``meshrt demo`` was asked to do.

    Attributes:
        wav: What to say; by default the question that comes with meshrt.
        text: What to write instead.
        out: Where the reply goes.
        pace: As a microphone would, or as fast as it goes.
        url: A server; by default a local gateway is started.
        model: The model's id.
        json: Whether to print one JSON object and nothing else.
        backend: The event loop, or ``None`` for the default.
    """

    wav: Path | None
    text: str | None
    out: Path
    pace: Literal["realtime", "fast"]
    url: str | None
    model: str
    json: bool
    backend: str | None


def run_demo(options: DemoOptions) -> int:
    """Hold the conversation, write the reply down and return the exit status, 0.

    Raises:
        MeshError: A file, an argument or the server can't be used, or no reply came.
    """
    # Without a handler Python would print the gateway's warnings into the display.
    logging.getLogger("meshrt").addHandler(logging.NullHandler())
    backend = backend_of(options.backend)
    _check_out(options)
    question, turn = _question_of(options)
    server = _server_of(options, turn)
    turn.backend = backend
    with _display_of(options, turn) as display:
        turn.changed = display.show
        report = run(partial(_talk, options, server, question, turn), backend=backend)
    write_wav(options.out, report.audio)
    display.finish(report, options.out)
    return 0


async def _talk(options: DemoOptions, server: _Server, question: Question, turn: Turn) -> Report:
    limit_s = turn.question_ms / 1000 + _PATIENCE_S
    with anyio.move_on_after(limit_s):
        async with server as client:
            connecting = client.realtime.connect(model=options.model)
            return await converse(connecting, question, turn)
    raise NoReplyError(f"no whole reply came within {limit_s:.0f} s, and nobody waits longer")


def _server_of(options: DemoOptions, turn: Turn) -> _Server:
    """Return what opens a client, of the server that was named or of a gateway of our own."""
    if options.url is not None:
        turn.server = options.url
        return nullcontext(_client_of(options.url))
    from ..gateway import serve

    return _own_server(turn, serve())


def _client_of(url: str) -> MeshAPI:
    try:
        return MeshAPI(base_url=url)
    except ConfigurationError as error:
        problem = str(error)
    for name, option in _OPTION_OF.items():
        problem = problem.replace(name, option)
    raise ConfigurationError(problem)


@asynccontextmanager
async def _own_server(
    turn: Turn, serving: AbstractAsyncContextManager["Gateway"]
) -> AsyncGenerator[MeshAPI]:
    async with serving as gateway:
        turn.server = gateway.url
        yield MeshAPI(base_url=gateway.url, token=_ANY_KEY)


def _question_of(options: DemoOptions) -> tuple[Question, Turn]:
    paced = options.pace == "realtime"
    if options.text is not None:
        if not options.text.strip():
            raise ConfigurationError("--text is empty: write something to be answered")
        return Writing(options.text), Turn(question=f'"{one_line(options.text)}"', paced=paced)
    pcm, name = _speech(options.wav)
    if not pcm:
        raise ConfigurationError(f"{name} holds no audio: there is nothing to say")
    speech = Speech(pcm, interval_s=_INTERVALS_S[options.pace])
    return speech, Turn(question=name, question_ms=duration_ms(pcm), paced=paced)


def _speech(path: Path | None) -> tuple[bytes, str]:
    if path is not None:
        return read_wav(path), path.name
    with as_file(files("meshrt.cli") / "speech" / _SPEECH) as ours:
        return read_wav(ours), _SPEECH


def _check_out(options: DemoOptions) -> None:
    """Find out before anything is said whether the reply can be written."""
    problem = _problem_of(options.out)
    if problem is None and options.wav is not None and _is_same(options.out, options.wav):
        problem = "it is the file that --wav names"
    if problem is not None:
        raise ConfigurationError(f"{str(options.out)!r} can't be written: {problem}")


def _problem_of(out: Path) -> str | None:
    try:
        if out.is_dir():
            return "it is a folder"
        if not out.parent.is_dir():
            return f"there is no folder {str(out.parent)!r}"
        _try_to_open(out)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _try_to_open(out: Path) -> None:
    """Open it and leave everything as it was."""
    is_new = not out.exists()
    # A pipe would wait for its reader, and a device takes what it takes.
    if is_new or out.is_file():
        out.open("ab").close()
    if is_new:
        out.unlink()


def _is_same(out: Path, wav: Path) -> bool:
    return out.exists() and wav.exists() and out.samefile(wav)


def _display_of(options: DemoOptions, turn: Turn) -> Display:
    if options.json:
        return Json(turn)
    if is_for_lines():
        return Lines(turn)
    with needs("cli"):
        from ._display import Live
    return Live(turn)
