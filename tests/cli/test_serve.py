"""``meshrt serve``, and a demo that talks to it."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from meshrt import ConnectionLost, MeshAPI
from meshrt.cli import _arguments
from meshrt.errors import ConfigurationError

MODEL = "openai/gpt-realtime"
Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said, _, url = process.stdout.readline().rstrip("\n").rpartition(" ")
    assert said == "listening on"
    return url


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_demo_talks_to_a_gateway_that_is_served(run: Run, start: Start, backend: str) -> None:
    url = url_of(start("serve", "--port", "0", "--backend", backend))

    done = run("demo", "--json", "--pace", "fast", "--url", url)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["received_audio_ms"] > 200


def test_only_the_right_key_is_let_in(run: Run, start: Start, tmp_path: Path) -> None:
    url = url_of(start("serve", "--port", "0", "--key", "rsk_right"))

    right = run("demo", "--json", "--text", "hi", "--url", url, MESH_API_KEY="rsk_right")
    wrong = run("demo", "--json", "--text", "hi", "--url", url, MESH_API_KEY="rsk_wrong")
    none = run("demo", "--json", "--text", "hi", "--url", url)

    assert (right.returncode, right.stderr) == (0, "")
    for done in (wrong, none):
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "invalid_api_key" in done.stderr
        assert "rsk_" not in done.stderr + done.stdout


@pytest.mark.parametrize("host", ["0.0.0.0", "0"])  # noqa: S104  on purpose
def test_it_says_where_else_it_listens(start: Start, host: str) -> None:
    process = start("serve", "--host", host, "--key", "rsk_right", "--port", "0")
    url = url_of(process)
    assert process.stdout is not None
    told = process.stdout.readline()

    assert url.startswith("http://127.0.0.1:")
    assert f"every other address that {host} stands for" in told
    assert "--allow-host" in told


@pytest.mark.parametrize(
    ("arguments", "is_told"),
    [
        (("--host", "0.0.0.0", "--key", "rsk_right"), True),  # noqa: S104  on purpose
        (("--host", "0.0.0.0", "--key", "rsk_right", "--tls"), False),  # noqa: S104
        (("--host", "127.0.0.2"), False),
    ],
)
def test_it_says_that_others_need_tls(
    start: Start, arguments: tuple[str, ...], is_told: bool
) -> None:
    process = start("serve", *arguments, "--port", "0")
    assert process.stdout is not None
    told = "".join(iter(process.stdout.readline, "Ctrl-C ends it.\n"))

    assert ("add --tls" in told) is is_told


@pytest.mark.parametrize("host", ["LOCALHOST", "127.0.0.1"])
def test_it_says_nothing_of_other_addresses_where_there_are_none(start: Start, host: str) -> None:
    process = start("serve", "--host", host, "--port", "0")
    url_of(process)
    assert process.stdout is not None
    assert "MESH_BASE_URL=" in process.stdout.readline()


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])  # RFC 2606 and RFC 5737
def test_a_host_that_is_not_of_this_machine_is_one_sentence(run: Run, host: str) -> None:
    done = run("serve", "--host", host, "--key", "rsk_right")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"there is no listening on {host}: " in done.stderr
    assert done.stderr.endswith("; name another with --host\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_it_says_how_to_use_it_and_goes_quietly(start: Start, backend: str) -> None:
    process = start("serve", "--port", "0", "--key", "rsk_right", "--backend", backend)
    url = url_of(process)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(4)]

    process.send_signal(signal.SIGINT)
    rest, complaint = process.communicate(timeout=30)

    assert f"MESH_BASE_URL={url}" in told[0]
    assert f'MeshAPI(base_url="{url}"' in told[1]
    assert "rsk_right" not in "".join(told) + rest
    assert (rest, complaint) == ("", "")
    assert process.returncode == 130


def test_a_port_in_use_is_one_sentence(run: Run, start: Start) -> None:
    port = url_of(start("serve", "--port", "0")).rpartition(":")[2]

    done = run("serve", "--port", port)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"port {port} of 127.0.0.1 can't be had" in done.stderr
    assert "--port 0" in done.stderr
    assert done.stdout == ""


def test_the_version_is_told(run: Run) -> None:
    import meshrt

    done = run("--version")

    assert (done.returncode, done.stdout) == (0, f"meshrt {meshrt.__version__}\n")


def test_a_demo_knows_the_model_of_a_beta_session(run: Run, start: Start) -> None:
    url = url_of(start("serve", "--port", "0", "--dialect", "beta"))

    done = run("demo", "--json", "--text", "hi", "--url", url, "--model", MODEL)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["model"] == MODEL


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_demo_talks_to_it_over_tls(run: Run, start: Start, backend: str) -> None:
    process = start("serve", "--port", "0", "--tls", "--backend", backend)
    url = url_of(process)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(4)]
    path = told[3].strip().removeprefix("NODE_EXTRA_CA_CERTS=")

    trusted = run(
        "demo", "--json", "--text", "hi", "--url", url, MESH_API_KEY="any", SSL_CERT_FILE=path
    )
    strange = run("demo", "--json", "--text", "hi", "--url", url, MESH_API_KEY="any")

    assert url.startswith("https://127.0.0.1:")
    assert f"SSL_CERT_FILE={path}" in told[0]
    assert (trusted.returncode, trusted.stderr) == (0, "")
    assert strange.returncode == 2
    assert "certificate" in strange.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "others reach it, so give it a key"),  # noqa: S104  refused
        (["--origin", "http://app.example/"], "an origin is"),
        (["--allow-host", "http://app.example"], "a host is"),
        (["--dialect", "alpha"], "--dialect"),
        (["--close-codes", "mine"], "--close-codes"),
        (["--max-connections", "0"], "a whole number above 0, not '0'"),
        (["--max-line-bytes", "many"], "a whole number above 0, not 'many'"),
        (["--max-connections", "9" * 5_000], "a whole number above 0, not '999"),
        (["--port", "9" * 5_000], "a port is a number from 0 to 65535, not '999"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate; `meshrt serve --help`"),
    ],
)
def test_an_option_that_can_t_be_is_one_sentence(
    run: Run, arguments: list[str], words: str
) -> None:
    done = run("serve", "--port", "0", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


_NUMBERS = {
    "--header-timeout": ("a number of seconds above 0", ["0", "-1", "nan", "inf", "long"]),
    "--idle-timeout": ("a number of seconds, or 0 for ever", ["-1", "nan", "1e999", "long"]),
    "--balance": ("an amount in USD such as 25.00", ["-1", "nan", "inf", "1,5", "much", ""]),
    "--port": ("a port is a number from 0 to 65535", ["-1", "65536", "1.5", ""]),
    **{
        flag: ("a whole number above 0", ["0", "-1", "1.5", "many", ""])
        for flag in (
            "--max-connections",
            "--max-connections-per-address",
            "--max-sessions-per-owner",
            "--max-session-tokens",
            "--max-message-bytes",
            "--max-header-lines",
            "--max-line-bytes",
        )
    },
}


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [(flag, value, words) for flag, (words, values) in _NUMBERS.items() for value in values],
)
def test_a_number_that_can_t_be_is_told_by_its_flag(flag: str, value: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _arguments.parse(["serve", flag, value])

    assert f"argument {flag}: {words}, not {value!r}" in str(caught.value)


def test_a_script_answers(run: Run, start: Start, tmp_path: Path) -> None:
    script = tmp_path / "script.txt"
    script.write_text("> Is it on?\n< It is.\n", encoding="utf-8")
    url = url_of(start("serve", "--port", "0", "--script", str(script)))

    done = run("demo", "--json", "--text", "Is it on?", "--url", url)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["transcript"] == "It is."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--script", "none.txt"), "the script 'none.txt' can't be read"),
        (("--script", "bad.txt"), "the script, line 1, column 1: expected an expectation"),
        (("--fault", "clsoe 1011"), "column 1: expected one of close"),
        (("--fault", "close at response.craeted"), "did you mean 'response.created'?"),
    ],
)
def test_a_script_or_fault_that_is_none_is_one_sentence(
    run: Run, tmp_path: Path, arguments: tuple[str, str], words: str
) -> None:
    (tmp_path / "bad.txt").write_text("< It is.\n", encoding="utf-8")

    done = run("serve", "--port", "0", *arguments)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr


def test_what_is_to_go_wrong_goes_wrong(run: Run, start: Start) -> None:
    faults = ("--fault", "refuse 503 once", "--fault", "close 4000 at response.created")
    url = url_of(start("serve", "--port", "0", *faults))

    refused, cut = (run("demo", "--json", "--text", "hi", "--url", url) for _ in range(2))

    assert "service_unavailable" in refused.stderr
    assert "4000" in cut.stderr
    assert (refused.returncode, cut.returncode) == (2, 1)


def test_a_client_may_only_place_faults_where_the_command_says_so(start: Start) -> None:
    async def placed(url: str) -> str:
        client = MeshAPI(base_url=url)
        async with client.realtime.connect(model=MODEL, errors="deliver") as session:
            await session.send({"type": "meshrt.fault", "fault": "drop"}, strict=False)
            await session.receive()
            answer = (await session.receive()).event.type
            if answer == "error":
                return answer
            await session.receive()
            raise AssertionError

    allowed = url_of(start("serve", "--port", "0", "--control"))
    forbidden = url_of(start("serve", "--port", "0"))

    assert anyio.run(placed, forbidden) == "error"
    with pytest.raises(ConnectionLost):
        anyio.run(placed, allowed)
