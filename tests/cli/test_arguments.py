"""What the command line is understood as."""

from pathlib import Path

import pytest

from meshrt.cli import _arguments, _outcome
from meshrt.cli._demo import DemoOptions
from meshrt.cli._serve import ServeOptions
from meshrt.errors import ConfigurationError, LocalProtocolError, MeshError
from meshrt.transports import ConnectionLost, HandshakeRejected


def test_a_demo_needs_no_arguments() -> None:
    arguments = _arguments.parse(["demo"])

    assert arguments.pop("command") == "demo"
    assert DemoOptions(**arguments) == DemoOptions(
        wav=None,
        text=None,
        out=Path("meshrt-reply.wav"),
        pace="realtime",
        url=None,
        model="openai/gpt-realtime-mini",
        json=False,
        backend=None,
    )


def test_a_gateway_needs_no_arguments_and_hides_its_key() -> None:
    arguments = _arguments.parse(["serve"])

    assert arguments.pop("command") == "serve"
    options = ServeOptions(**{**arguments, "key": "rsk_secret"})
    assert (options.host, options.port, options.backend) == ("127.0.0.1", 8765, None)
    assert "rsk_secret" not in repr(options)


@pytest.mark.parametrize("port", ["-1", "65536", "1.5", "²", ""])
def test_a_port_is_a_number(port: str) -> None:
    with pytest.raises(ConfigurationError, match="a port is a number"):
        _arguments.parse(["serve", f"--port={port}"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (ConfigurationError("x"), 2),
        (HandshakeRejected("x", status=401), 2),
        (LocalProtocolError("x"), 2),
        (ConnectionLost("x"), 1),
        (MeshError("x"), 1),
        (ExceptionGroup("tasks", [ConnectionLost("x"), ExceptionGroup("", [MeshError("y")])]), 1),
        (BaseExceptionGroup("tasks", [ConnectionLost("x"), KeyboardInterrupt()]), 130),
    ],
)
def test_an_error_has_a_status(error: BaseException, status: int) -> None:
    assert _outcome.explain(error) == status


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), ExceptionGroup("tasks", [MeshError("x"), ZeroDivisionError()])]
)
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        _outcome.explain(error)

    assert caught.value is error


def test_a_sentence_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    _outcome.explain(MeshError("two\nlines \x1b[31m and\tmore"))

    assert capsys.readouterr().err == "meshrt: two lines [31m and more\n"
