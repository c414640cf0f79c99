"""The ``meshrt`` command: ``meshrt demo`` to hear it, ``meshrt serve`` to build against it."""

from collections.abc import Sequence

from .._public import publish
from . import _arguments, _outcome

__all__ = ("main",)


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
    _outcome.make_printable()
    try:
        return _run(argv)
    except (*_outcome.EXPLAINED, BaseExceptionGroup) as error:
        return _outcome.explain(error)


def _run(argv: Sequence[str] | None) -> int:
    arguments = _arguments.parse(argv)
    command = arguments.pop("command")
    if command == "serve":
        from ._serve import ServeOptions, run_server

        return run_server(ServeOptions(**arguments))
    from ._demo import DemoOptions, run_demo

    return run_demo(DemoOptions(**arguments))


publish(globals(), __all__)
