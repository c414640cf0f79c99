"""What an extra brings is missed with a sentence that names the extra."""

import copy
import pickle
import subprocess
import sys

import pytest

from meshrt._extras import missing_extra, needs
from meshrt.errors import ConfigurationError


def importing(module: str, *, without: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules[{without!r}] = None; import {module}"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [("meshrt.gateway", "h11", "gateway"), ("meshrt.transports._socks", "socksio", "socks")],
)
def test_a_part_names_what_it_lacks(module: str, package: str, extra: str) -> None:
    done = importing(module, without=package)

    sentence = f'MissingExtraError: {package} is not installed: pip install "meshrt[{extra}]"'
    assert done.stderr.splitlines()[-1].endswith(sentence)
    assert "During handling" not in done.stderr


def test_the_adapter_names_what_it_lacks() -> None:
    done = importing("meshrt.transports.trio_websocket", without="trio_websocket")

    sentence = 'MissingExtraError: trio_websocket is not installed: pip install "meshrt[trio]"'
    assert done.stderr.splitlines()[-1].endswith(sentence)


@pytest.mark.parametrize("kind", [ConfigurationError, ImportError])
def test_it_is_caught_as_a_bad_setup_and_as_a_failed_import(kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"there_is_none is not installed: pip install .meshrt\[all\]."):
        with needs("all"):
            import there_is_none  # type: ignore[import-not-found]  # noqa: F401


def test_copies_say_the_same() -> None:
    error = missing_extra("h11", "gateway")

    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert (type(twin), str(twin), twin.name) == (type(error), str(error), "h11")
