"""What the command line is understood as."""

import inspect
from pathlib import Path

import attrs
import pytest

from meshrt.cli import _arguments, _outcome
from meshrt.cli._demo import DemoOptions
from meshrt.cli._serve import ServeOptions
from meshrt.errors import ConfigurationError, LocalProtocolError, MeshError
from meshrt.gateway import EchoVoice, EspeakVoice, Limits, ScriptModel, serve
from meshrt.gateway._farewells import CLOSE_CODES
from meshrt.gateway._house import DIALECTS
from meshrt.gateway._limits import CONNECTIONS_PER_ADDRESS
from meshrt.gateway._pacing import PACINGS
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


def test_what_is_not_said_of_a_gateway_is_left_to_it() -> None:
    arguments = _arguments.parse(["serve"])
    arguments.pop("command")
    options = ServeOptions.of(arguments)

    assert (options.limits, options.options) == ({}, {})


def test_every_option_of_a_gateway_can_be_said(tmp_path: Path) -> None:
    script = tmp_path / "script.txt"
    script.write_text("> Hello.\n< Hi!\n", encoding="utf-8")
    said = """
        serve --host ::1 --port 1 --key rsk_secret --backend trio --tls --dialect beta
        --close-codes documented --balance 25.00 --origin http://a --origin http://b
        --allow-host c --max-connections 1 --max-connections-per-address 2
        --max-sessions-per-owner 3 --max-session-tokens 4 --max-message-bytes 5
        --max-header-lines 6 --max-line-bytes 7 --header-timeout 8 --idle-timeout 0.5
        --voice echo --pacing realtime --fault drop --fault tear --control
    """
    arguments = _arguments.parse([*said.split(), "--script", str(script)])
    arguments.pop("command")
    options = ServeOptions.of(arguments)
    given = options.for_gateway()

    assert {"key", *given} == set(inspect.signature(serve).parameters)
    assert (options.key, options.backend) == ("rsk_secret", "trio")
    assert isinstance(given.pop("model"), ScriptModel)
    assert isinstance(given.pop("voice"), EchoVoice)
    assert given == {
        "host": "::1",
        "port": 1,
        "tls": True,
        "dialect": "beta",
        "close_codes": "documented",
        "balance": "25.00",
        "origins": ["http://a", "http://b"],
        "hosts": ["c"],
        "pacing": "realtime",
        "faults": ["drop", "tear"],
        "control": True,
        "limits": Limits(
            connections=1,
            connections_per_address=2,
            sessions_per_owner=3,
            session_tokens=4,
            message_bytes=5,
            headers=6,
            line_bytes=7,
            header_seconds=8,
            idle_seconds=0.5,
        ),
    }


def test_every_choice_of_a_gateway_is_one_of_the_flag_s() -> None:
    flags = {"--dialect": DIALECTS, "--close-codes": CLOSE_CODES, "--pacing": PACINGS}
    for flag, choices in flags.items():
        for choice in choices:
            _arguments.parse(["serve", flag, choice])


@pytest.mark.parametrize("is_there", [True, False])
def test_the_voice_that_was_asked_for_speaks_or_none(
    monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: program if is_there else None)
    arguments = _arguments.parse(["serve", "--voice", "espeak"])
    arguments.pop("command")
    options = ServeOptions.of(arguments)

    if is_there:
        assert isinstance(options.for_gateway()["voice"], EspeakVoice)
    else:
        with pytest.raises(ConfigurationError, match=r"no program espeak-ng .* --voice echo"):
            options.for_gateway()


def test_a_gateway_may_wait_for_ever() -> None:
    arguments = _arguments.parse(["serve", "--idle-timeout", "0"])

    assert arguments["idle_seconds"] is None


def test_the_help_knows_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _arguments.parse(["serve", "--help"])
    told = " ".join(capsys.readouterr().out.split())

    for field in attrs.fields(Limits):
        default = "no limit" if field.default is None else f"{field.default:g}"
        assert f"default: {default}" in told or field.name == "message_bytes", field.name
    assert f"default: {Limits().message_bytes}" in told
    assert f"default: {CONNECTIONS_PER_ADDRESS}, and no limit on loopback" in told
    assert f"default: {inspect.signature(serve).parameters['balance'].default}" in told


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
