"""The web application of examples/starlette_app.py, asked over ASGI on each loop."""

import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import as_file, files
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient
from support import RawConnection, complaints, raw_server

from meshrt.audio import chunks, read_wav
from meshrt.gateway import EchoVoice, serve

PATH = Path(__file__).parents[2] / "examples" / "starlette_app.py"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with start_blocking_portal("asyncio") as portal:
        with portal.wrap_async_context_manager(serve(voice=EchoVoice())) as gateway:
            yield gateway.url


@pytest.fixture
def example(address: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("MESH_BASE_URL", address)
    monkeypatch.delenv("MESH_API_KEY", raising=False)
    spec = importlib.util.spec_from_file_location("starlette_app", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def browser(example: ModuleType, anyio_backend: tuple[str, Any]) -> Iterator[TestClient]:
    name, options = anyio_backend
    with complaints() as complained:
        with TestClient(example.app, backend=name, backend_options=options) as client:  # type: ignore[arg-type]
            yield client
    assert complained == []


def speech() -> bytes:
    with as_file(files("meshrt.cli") / "speech" / "train_question_24k.wav") as path:
        return read_wav(path)


def test_a_browser_speaks_and_hears(browser: TestClient) -> None:
    with browser.websocket_connect("/talk") as websocket:
        for pcm in chunks(speech() + bytes(48_000), 100):
            websocket.send_bytes(pcm)
        assert len(websocket.receive_bytes()) > 0


def test_a_browser_that_goes_at_once_is_no_error(browser: TestClient) -> None:
    with browser.websocket_connect("/talk"):
        pass


def test_a_session_that_the_server_ends_is_the_end_for_its_browser(
    example: ModuleType, anyio_backend: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def greet_and_go(connection: RawConnection) -> None:
        connection.greet()
        connection.say_close()
        connection.read_all()

    name, options = anyio_backend
    with raw_server(greet_and_go) as server:
        monkeypatch.setenv("MESH_BASE_URL", f"http://127.0.0.1:{server.port}")
        with (
            TestClient(example.app, backend=name, backend_options=options) as client,  # type: ignore[arg-type]
            client.websocket_connect("/talk") as websocket,
        ):
            assert websocket.receive()["type"] == "websocket.close"


def test_two_browsers_have_a_session_each(browser: TestClient) -> None:
    with browser.websocket_connect("/talk") as one, browser.websocket_connect("/talk") as other:
        for pcm in chunks(speech() + bytes(48_000), 100):
            one.send_bytes(pcm)
            other.send_bytes(pcm)
        assert one.receive_bytes()
        assert other.receive_bytes()


def test_questions_share_a_session_and_each_has_its_answer(browser: TestClient) -> None:
    questions = [f"Is this number {number}?" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda text: browser.post("/ask", content=text).text, questions))
    for question, answer in zip(questions, answers, strict=True):
        assert question in answer


def test_a_session_that_has_ended_is_opened_anew(
    browser: TestClient, example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = []
    answer = example.answer

    async def answer_and_close(session: Any, question: str) -> str:
        sessions.append(session)
        text: str = await answer(session, question)
        await session.close()
        return text

    monkeypatch.setattr(example, "answer", answer_and_close)
    for question in ("One?", "Two?"):
        assert question in browser.post("/ask", content=question).text
    assert len(sessions) == 2
    assert sessions[0] is not sessions[1]


def test_an_application_that_nobody_asks_opens_nothing(browser: TestClient) -> None:
    assert browser.get("/nowhere").status_code == 404
