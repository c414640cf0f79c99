"""What may stand on the command line."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, final

from .._version import __version__
from ..errors import ConfigurationError
from ._door_arguments import add_doors, add_limits
from ._outcome import say

_BACKENDS: Final = ("trio", "asyncio")
_MAX_PORT: Final = 2**16 - 1
_DIGITS: Final = 5


@final
class _Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence and no page."""

    def parse_known_args(self, *given: Any, **named: Any) -> Any:
        """Refuse what is unknown here: the parser above would point to its own help."""
        parsed, unknown = super().parse_known_args(*given, **named)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{message}; `{self.prog} --help` shows what there is")


def parse(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the arguments by name, with ``command`` among them.

    Raises:
        BrokenPipeError: Nobody reads the help.
        ConfigurationError: They can't be used, or the help can't be written.
        SystemExit: With status 0, after ``--help`` and ``--version``.
    """
    parser = _Parser(prog="meshrt", description="Realtime voice sessions.")
    parser.add_argument("--version", action="version", version=f"meshrt {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    _add_demo(commands)
    _add_serve(commands)
    try:
        return vars(parser.parse_args(argv))
    except SystemExit:
        say()  # or else Python finds out on its way out that the help can't be written
        raise


def _add_demo(commands: "argparse._SubParsersAction[_Parser]") -> None:
    demo = commands.add_parser(
        "demo",
        help="hold a short conversation and write down the reply",
        description="Say something to a realtime server, show what happens, write the reply as a "
        "WAV file. Without --url the server is a local gateway: no key, no account, no network.",
    )
    said = demo.add_mutually_exclusive_group()
    said.add_argument("--wav", type=_file, metavar="FILE", help="what to say: PCM16, 24 kHz, mono")
    said.add_argument("--text", metavar="TEXT", help="write this instead of saying something")
    demo.add_argument(
        "--out",
        type=_file,
        metavar="FILE",
        default=Path("meshrt-reply.wav"),
        help="where the reply goes (default: %(default)s)",
    )
    demo.add_argument(
        "--pace",
        choices=("realtime", "fast"),
        default="realtime",
        help="as a microphone would, or as fast as it goes (default: %(default)s)",
    )
    demo.add_argument("--url", help="a server to talk to, with the key in MESH_API_KEY")
    demo.add_argument(
        "--model", default="openai/gpt-realtime-mini", help="the model (default: %(default)s)"
    )
    demo.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    _add_backend(demo)


def _add_serve(commands: "argparse._SubParsersAction[_Parser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="run the local gateway",
        description="Run the local gateway until Ctrl-C, for programs that are being built.",
    )
    serve.add_argument(
        "--host",
        default="127.0.0.1",
        help="a loopback host, or with --key any other (default: %(default)s)",
    )
    serve.add_argument(
        "--port", type=_port, default=8765, help="0 for any that is free (default: %(default)s)"
    )
    serve.add_argument("--key", help="the one API key to accept (default: any, or none)")
    add_doors(serve)
    add_limits(serve)
    _add_conversation(serve)
    _add_faults(serve)
    _add_backend(serve)


def _add_conversation(serve: _Parser) -> None:
    conversation = serve.add_argument_group(
        "what it answers, and how it sounds", argument_default=argparse.SUPPRESS
    )
    conversation.add_argument(
        "--script",
        type=_file,
        metavar="FILE",
        help="a conversation to follow (default: it says what it heard)",
    )
    conversation.add_argument(
        "--voice",
        choices=("espeak", "echo"),
        help="speak with espeak-ng, or play the caller's speech back (default: espeak if it is "
        "installed)",
    )
    conversation.add_argument(
        "--pacing",
        choices=("none", "faster", "realtime"),
        help="send audio at once, faster than it plays, as the real server, or as fast as it "
        "plays (default: none)",
    )


def _add_faults(serve: _Parser) -> None:
    faults = serve.add_argument_group("what goes wrong", argument_default=argparse.SUPPRESS)
    faults.add_argument(
        "--fault",
        dest="faults",
        metavar="FAULT",
        action="append",
        help='what goes wrong in every session, such as "close 1011 at response.created" or '
        '"refuse 503 once"; may be repeated (default: nothing)',
    )
    faults.add_argument(
        "--control",
        action="store_true",
        help="for tests only: let every client place faults, by meshrt.fault events, in its own "
        "session, and have the next handshake refused, whoever's it is",
    )


def _add_backend(command: _Parser) -> None:
    command.add_argument(
        "--backend", choices=_BACKENDS, help="the event loop (default: trio if it is installed)"
    )


def _file(text: str) -> Path:
    if text:
        return Path(text)
    raise argparse.ArgumentTypeError("it names no file")


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) <= _MAX_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"a port is a number from 0 to {_MAX_PORT}, not {text!r:.100}"
    )
