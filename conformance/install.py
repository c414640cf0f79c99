"""Install Autobahn's test suite: ``python -m conformance.install FOLDER``.

It runs on Python 2.7 alone, so it gets an environment of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

VARIABLE = "PYTHON27"
"""The environment variable that names a Python 2.7 which is not on the ``PATH``."""


class NotHereError(Exception):
    """The suite can't be had; the message is one sentence."""


def find_python() -> str:
    """Return a Python 2.7 that runs.

    Raises:
        NotHereError: There is none.
    """
    named = os.environ.get(VARIABLE)
    found = named or shutil.which("python2.7")
    # A version manager puts a program of that name on the PATH that only says what it lacks.
    if found is None or not _runs(found):
        raise NotHereError(
            f"Autobahn's test suite needs Python 2.7, and {found or 'python2.7'} can't be run: "
            f"put one on the PATH, or name it in {VARIABLE}."
        )
    return found


def install(folder: Path) -> None:
    """Make an environment with the suite in it, unless it is there.

    Raises:
        NotHereError: That can't be done.
    """
    if (folder / "bin" / "wstest").exists():
        return
    python = find_python()
    for command in (
        (sys.executable, "-m", "virtualenv", "--quiet", "--python", python, str(folder)),
        (str(folder / "bin" / "pip"), "install", "--quiet", "autobahntestsuite"),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            raise NotHereError(f"Autobahn's test suite can't be installed: {last}")


def _runs(python: str) -> bool:
    check = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
    try:
        done = subprocess.run([python, "-c", check], capture_output=True, check=False)
    except OSError:
        return False
    return not done.returncode


if __name__ == "__main__":
    try:
        install(Path(sys.argv[1]))
    except NotHereError as error:
        sys.exit(str(error))
