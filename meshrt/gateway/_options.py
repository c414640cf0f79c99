"""What may be given to a gateway, looked at before a port is taken."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from .._secret import Secret, problem_of_key
from ..errors import ConfigurationError
from ..transports import Endpoint
from ._limits import CONNECTIONS_PER_ADDRESS, Limits
from ._origins import AllowList
from ._speaking import Voice, default_voice
from ._thinking import HonestModel, Model

_MAX_PORT: Final = 2**16 - 1
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what it means, no bind


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    # An endpoint without TLS is one on a loopback address: the rule is there already.
    try:
        Endpoint(host=host, port=1, path="/", secure=False)
    except ConfigurationError:
        return False
    return True


def check_host(host: object, *, has_key: bool) -> str:
    """Return the host to listen on.

    Raises:
        ConfigurationError: It is none, or others would be let in without a key.
    """
    if not isinstance(host, str) or not host:
        raise ConfigurationError("a host is a name or an address, such as 127.0.0.1")
    if not has_key and not is_loopback(host):
        raise ConfigurationError(
            f"without a key the gateway listens on a loopback address only, such as 127.0.0.1: on "
            f"{host!r:.100} others reach it, so give it a key (`key=`, or `--key`)"
        )
    return host


def check_port(port: object) -> int:
    """Return the port.

    Raises:
        ConfigurationError: It is none.
    """
    if type(port) is not int or not 0 <= port <= _MAX_PORT:
        raise ConfigurationError(
            f"a port is a number from 0 to {_MAX_PORT}, and 0 takes a free one: not {port!r:.100}"
        )
    return port


def check_one_of(name: str, choice: object, words: Sequence[str]) -> None:
    """Refuse a word that is none of these.

    Raises:
        ConfigurationError: It is another.
    """
    if choice not in words:
        raise ConfigurationError(f"{name} is {' or '.join(map(repr, words))}: not {choice!r:.100}")


def check_limits(limits: object) -> None:
    """Refuse what is no limits.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(limits, Limits):
        raise ConfigurationError(f"limits is a Limits(...): not {limits!r:.100}")


def per_address(limits: Limits, host: str) -> int | None:
    """Return what one address may hold open: on loopback all clients have the same."""
    if limits.connections_per_address is None and not is_loopback(host):
        return CONNECTIONS_PER_ADDRESS
    return limits.connections_per_address


def model_of(model: Model | None) -> Model:
    """Return the model, or the honest one.

    Raises:
        ConfigurationError: It can't answer.
    """
    if model is None:
        return HonestModel()
    _check_has(model, "reply", "model", "HonestModel()")
    return model


def voice_of(voice: Voice | None) -> Voice:
    """Return the voice, or the one that this machine has.

    Raises:
        ConfigurationError: It can't speak.
    """
    if voice is None:
        return default_voice()
    _check_has(voice, "speak", "voice", "EchoVoice()")
    return voice


def secret_of(key: str | None) -> Secret | None:
    """Return the key, in its box.

    Raises:
        ConfigurationError: It can't be one; the message does not repeat it.
    """
    problem = None if key is None else problem_of_key(key)
    secret = Secret(key) if key is not None and problem is None else None
    key = None
    if problem is not None:
        raise ConfigurationError(f"the gateway's key {problem}")
    return secret


def balance_of(balance: object) -> Decimal:
    """Return what each owner begins with, in USD.

    Raises:
        ConfigurationError: It is no amount of money.
    """
    try:
        amount = Decimal(balance) if isinstance(balance, str | int | Decimal) else None
    except InvalidOperation:
        amount = None
    if amount is None or isinstance(balance, bool) or not amount.is_finite() or amount < 0:
        raise ConfigurationError(
            'balance is an amount in USD such as "25.00", as a string or a Decimal, since a float '
            f"is none: not {balance!r:.100}"
        )
    return amount


def name_to_dial(host: str, address: str) -> str:
    """Return how a client of this machine names a gateway.

    Args:
        host: As it was named: ``0`` and ``::0`` are every address too.
        address: What its socket is bound to.
    """
    host = _EVERY_ADDRESS.get(address, host)
    return f"[{host}]" if ":" in host else host


def names_to_certify(host: str, allowed: AllowList) -> list[str]:
    """Return for which names a gateway needs a certificate: those under which it may be named."""
    names = ["localhost", "127.0.0.1", "::1", host, *sorted(allowed.names)]
    return list(dict.fromkeys(name for name in names if name not in _EVERY_ADDRESS))


def _check_has(given: object, method: str, name: str, example: str) -> None:
    """Refuse what would fail only in the first turn, such as a model's name, or a class."""
    if isinstance(given, type) or not callable(getattr(given, method, None)):
        raise ConfigurationError(
            f"{name} is an object with an async method `{method}`, such as {example}: "
            f"not {given!r:.100}"
        )
