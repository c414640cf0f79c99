"""What is not always installed, and the sentence that says how to get it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from .errors import ConfigurationError


@final
class MissingExtraError(ConfigurationError, ModuleNotFoundError):
    """An optional part is not installed.

    Also Python's own error, so that what looks for optional modules passes over this one.
    """

    def __init__(self, message: str, *, name: str | None = None) -> None:
        ModuleNotFoundError.__init__(self, message, name=name)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a failing import into a sentence.

    Args:
        extra: The extra of meshrt that brings what is imported.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_extra(error.name, extra) from None  # it would say the same once more


def missing_extra(package: str | None, extra: str) -> MissingExtraError:
    """Make the error of a package that an extra would bring."""
    return MissingExtraError(
        f'{package} is not installed: pip install "meshrt[{extra}]"', name=package
    )
