"""Whether what came is what was sent."""


class WrongResultError(Exception):
    """A client lost or changed what it was sent: then its speed means nothing."""


def expect(found: object, expected: object) -> None:
    """Refuse a result that is not what was sent.

    Raises:
        WrongResultError: It is not.
    """
    if found != expected:
        raise WrongResultError(f"{found} came, and {expected} was sent")
