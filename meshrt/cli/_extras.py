"""What is not always installed, and the sentence that says how to get it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from ..errors import ConfigurationError


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a failing import into a sentence.

    Args:
        extra: The extra of meshrt that brings what is imported.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name
    else:
        return
    raise _missing(missing, extra)


def backend_of(name: str | None) -> str:
    """Return the name of the event loop to run on: by default Trio where it is installed.

    Raises:
        ConfigurationError: It is not installed.
    """
    has_trio = find_spec("trio") is not None
    if name == "trio" and not has_trio:
        raise _missing(name, "trio")
    return name or ("trio" if has_trio else "asyncio")


def _missing(package: str | None, extra: str) -> ConfigurationError:
    return ConfigurationError(f'{package} is not installed: pip install "meshrt[{extra}]"')
