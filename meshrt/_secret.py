"""The API key, in a box that no log, repr or traceback opens by accident."""

import hmac
import json
from binascii import b2a_base64
from typing import Final, NoReturn, final
from urllib.parse import quote

_SHORTEST: Final = 8


@final
class Secret:
    """Hold an API key so that only :meth:`reveal` shows it."""

    __slots__ = ("__forms", "__value")

    def __init__(self, value: str) -> None:
        self.__value = value
        encoded = b2a_base64(value.encode(errors="replace"), newline=False).decode()
        forms = (value, quote(value, safe="", errors="replace"), json.dumps(value)[1:-1], encoded)
        self.__forms = tuple(dict.fromkeys(filter(None, forms)))

    def reveal(self) -> str:
        """Return the key; to be called by the last function before the wire and no other."""
        return self.__value

    def redact(self, text: str) -> str:
        """Take the key out of a text of the server's: some repeat what they were sent.

        A key of less than eight characters stays: it is made up, for a server of one's own, and
        may well be a part of other words.
        """
        if len(self.__value) < _SHORTEST:
            return text
        for form in self.__forms:
            if form in text:
                text = text.replace(form, "***")
        return text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: pass the key itself where it is needed")


def problem_of_key(value: object) -> str | None:
    """Say why a value can't be an API key, without repeating it; ``None`` if it can."""
    if not isinstance(value, str):
        return f"must be a string, and is {type(value).__name__}"
    if not value:
        return "is empty"
    if not value.isascii() or not value.isprintable() or " " in value:
        return "may hold only printable ASCII characters and no space"
    return None
