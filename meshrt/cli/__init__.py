"""The ``meshrt`` command: ``meshrt demo`` to hear it, ``meshrt serve`` to build against it."""

from collections.abc import Sequence
from typing import Any, Final

from .._public import publish
from . import _interrupt

__all__ = ("main",)

_INTERRUPTED: Final = 130  # as shells count it: 128 and SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    What goes wrong is one sentence on stderr, without a traceback.

    Args:
        argv: The arguments after the command's name; by default those of the process.

    Returns:
        0 if all went well, 1 if a session did not give what it should, 2 if the arguments, a file
        or the server can't be used, 130 after Ctrl-C.

    Raises:
        SystemExit: With status 0, after ``--help`` and ``--version``.
    """
    try:
        return _explained(argv)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _explained(argv: Sequence[str] | None) -> int:
    # Imported here and not above: that takes longer than all the rest before the loop begins.
    with _interrupt.Interrupt():
        from . import _arguments, _outcome

    _outcome.make_printable()
    try:
        return _run(_arguments.parse(argv))
    except (*_outcome.EXPLAINED, BaseExceptionGroup) as error:
        return _outcome.explain(error)


def _run(arguments: dict[str, Any]) -> int:
    if arguments.pop("command") == "serve":
        return _run_serve(arguments)
    return _run_demo(arguments)


def _run_serve(arguments: dict[str, Any]) -> int:
    with _interrupt.Interrupt():
        from ._serve import ServeOptions, run_server

    return run_server(ServeOptions.of(arguments))


def _run_demo(arguments: dict[str, Any]) -> int:
    with _interrupt.Interrupt():
        from ._demo import DemoOptions, run_demo

    return run_demo(DemoOptions(**arguments))


publish(globals(), __all__)
