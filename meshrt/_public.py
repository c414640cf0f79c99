"""Give public objects the public name of their home, as Trio and AnyIO do.

A class that is defined in ``meshrt.events._server`` is imported from ``meshrt.events``.
Tracebacks, the documentation and pickle should all say the second name.
"""

from collections.abc import Iterable, MutableMapping
from typing import Any, NoReturn, TypeVar

_T = TypeVar("_T")


def publish(namespace: MutableMapping[str, Any], names: Iterable[str]) -> None:
    """Set ``__module__`` of the named classes and functions to the package's own name.

    Args:
        namespace: The ``globals()`` of a public package.
        names: Its ``__all__``.
    """
    home = namespace["__name__"]
    for name in names:
        thing = namespace.get(name)
        if getattr(thing, "__module__", "").startswith(f"{home}._"):
            thing.__module__ = home


class NoPublicConstructor(type):
    """The type of classes whose objects come from somewhere else, as Trio's do."""

    def __call__(cls, *_: object, **__: object) -> NoReturn:
        raise TypeError(f"{cls.__qualname__} has no public constructor; {cls.__doc__}")

    def _create(cls: type[_T], *args: Any, **kwargs: Any) -> _T:
        return type.__call__(cls, *args, **kwargs)  # type: ignore[no-any-return]
