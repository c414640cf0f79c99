"""What the package shows, and what it loads for it."""

import subprocess
import sys

import pytest

from meshrt import transports

PROBE = """
import sys
import meshrt.transports
{use}
watched = "ssl", "websockets", "trio", "asyncio", "certifi"
print(*(name for name in watched if name in sys.modules))
"""


def loaded(use: str = "") -> list[str]:
    probe = [sys.executable, "-c", PROBE.format(use=use)]
    return subprocess.run(probe, check=True, capture_output=True, text=True).stdout.split()


def test_importing_the_package_loads_no_websocket_and_no_tls() -> None:
    assert loaded() == []
    assert loaded("meshrt.transports.Endpoint.parse('https://example.org')") == []
    assert "websockets" in loaded("meshrt.transports.WebSocketTransport")


def test_every_public_name_is_there_and_at_home() -> None:
    assert list(transports.__all__) == sorted(transports.__all__)
    for name in transports.__all__:
        assert getattr(transports, name).__module__ == "meshrt.transports"
        assert name in dir(transports)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="websocket_please"):
        _ = transports.websocket_please
