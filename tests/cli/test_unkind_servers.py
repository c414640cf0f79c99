"""Servers that let one down in the middle of a turn: one sentence and exit status 1."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from meshrt.cli import _demo, main

Behaviour = Callable[[ServerConnection], None]
Serve = Callable[[Behaviour], str]

SESSION = {"type": "realtime", "id": "sess_1", "model": "unkind"}
RESPONSE = {"id": "resp_1", "object": "realtime.response"}


def send(client: ServerConnection, kind: str, **fields: Any) -> None:
    client.send(json.dumps({"type": kind, **fields}))


def delta(client: ServerConnection, kind: str, text: str) -> None:
    place = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    send(client, kind, **place, delta=text)


def greet_and_hear(client: ServerConnection) -> None:
    send(client, "session.created", session=SESSION)
    while json.loads(client.recv())["type"] != "response.create":
        pass
    send(client, "response.created", response={**RESPONSE, "status": "in_progress"})


def stay_mute(client: ServerConnection) -> None:
    greet_and_hear(client)
    for _ in client:
        pass


def drop(client: ServerConnection) -> None:
    greet_and_hear(client)
    client.socket.close()


def report_an_error(client: ServerConnection) -> None:
    greet_and_hear(client)
    error = {"type": "x", "code": "insufficient_quota", "message": "No money\n\x1b[2Jleft."}
    send(client, "error", error=error)
    client.close(1008, "policy")


def leave_politely(client: ServerConnection) -> None:
    greet_and_hear(client)
    send(client, "response.done", response={**RESPONSE, "id": "resp_0", "status": "completed"})
    client.close()


def fail(client: ServerConnection) -> None:
    greet_and_hear(client)
    details = {"type": "failed", "error": {"code": "server_error", "message": "Out of order."}}
    done = {**RESPONSE, "status": "failed", "status_details": details}
    send(client, "response.done", response=done)
    for _ in client:
        pass


def only_write(client: ServerConnection) -> None:
    greet_and_hear(client)
    delta(client, "response.output_text.delta", "Hello.")
    send(client, "response.done", response={**RESPONSE, "status": "completed"})
    for _ in client:
        pass


@pytest.fixture
def served() -> Iterator[Serve]:
    servers: list[tuple[Any, threading.Thread]] = []

    def serve_as(behaviour: Behaviour) -> str:
        server = serve(behaviour, "127.0.0.1", 0)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.socket.getsockname()[1]}"

    yield serve_as
    for server, thread in servers:
        server.shutdown()
        thread.join()


@pytest.fixture(params=["trio", "asyncio"])
def demo(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], int]:
    out = str(tmp_path / "reply.wav")
    arguments = ["demo", "--json", "--text", "hi", "--backend", request.param, "--out", out]
    return lambda url: main([*arguments, "--url", url])


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (drop, "connection"),
        (report_an_error, "No money [2Jleft. (code=insufficient_quota)"),
        (leave_politely, "closed"),
        (fail, "the response ended as 'failed': Out of order."),
        (only_write, "the reply has no audio"),
    ],
)
def test_a_turn_that_is_cut_is_one_sentence(
    served: Serve,
    demo: Callable[[str], int],
    capsys: pytest.CaptureFixture[str],
    behaviour: Behaviour,
    words: str,
) -> None:
    status = demo(served(behaviour))

    printed = capsys.readouterr()
    assert status == 1
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert "\x1b" not in printed.err
    assert printed.out == ""


def test_nothing_is_written_without_a_reply(
    served: Serve, demo: Callable[[str], int], tmp_path: Path
) -> None:
    demo(served(only_write))

    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_answers_is_not_waited_for_in_vain(
    served: Serve,
    demo: Callable[[str], int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_demo, "_PATIENCE_S", 0.5)

    assert demo(served(stay_mute)) == 1

    assert "no whole reply came within" in capsys.readouterr().err
