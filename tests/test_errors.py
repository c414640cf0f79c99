"""What all errors have in common."""

import copy
import pickle

import pytest

import meshrt
from meshrt import errors, transports

FROM_THE_SERVER = {"code": "c", "param": "p", "type": "t", "event_id": "e", "request_id": "r"}
ERRORS: list[errors.MeshError] = [
    errors.MeshError("said"),
    errors.ConfigurationError("said"),
    errors.LocalProtocolError("said"),
    errors.RemoteProtocolError("said", close_code=1003),
    errors.RealtimeError("said", **FROM_THE_SERVER),
    errors.SlowConsumerError("said", dropped=3, dropped_bytes=99),
    errors.InternalError("said"),
    transports.ConnectError("said"),
    transports.ConnectTimeout("said"),
    transports.ProxyError("said", status=407),
    transports.HandshakeRejected("said", status=401, retry_after=1.5, **FROM_THE_SERVER),
    transports.ConnectionLost("said", code=1011, reason="why"),
    transports.SessionExpired("said", code=1001, reason="why"),
    transports.SessionClosed("said"),
]


def is_error(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, errors.MeshError)


def test_every_error_is_among_them() -> None:
    public = {name for name in meshrt.__all__ if is_error(getattr(meshrt, name))}

    assert public - {"ProtocolError"} == {type(error).__name__ for error in ERRORS}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_told_whole_in_another_process(error: errors.MeshError) -> None:
    error.add_note("noted")

    for twin in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert type(twin) is type(error)
        assert (str(twin), repr(twin), vars(twin)) == (str(error), repr(error), vars(error))


def test_a_kind_of_refusal_of_ones_own_stays_one() -> None:
    refused = Refused("said", status=403)

    twin = pickle.loads(pickle.dumps(refused))  # noqa: S301

    assert (type(twin), twin.status) == (Refused, 403)


class Refused(transports.HandshakeRejected):
    """A user's own."""
