"""The fixtures, used as a user uses them; and a suite of a user's own, run by pytest itself."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from meshrt import HandshakeRejected, MeshAPI, RealtimeSession
from meshrt.events import InputText, ResponseDone, UserMessage
from meshrt.gateway import EchoVoice, Gateway
from meshrt.testing import MemoryGateway

pytest_plugins = ["meshrt.testing.plugin", "pytester"]

KEYED: Mapping[str, Any] = {"key": "rsk_right", "voice": EchoVoice()}
BRIEF = {"session": {"type": "realtime", "instructions": "Be brief."}}


async def say(session: RealtimeSession, words: str) -> str | None:
    await session.create_item(UserMessage(content=[InputText(text=words)]))
    await session.send({"type": "response.create"})
    async for message in session:
        if isinstance(message.event, ResponseDone):
            return message.event.response.status or None
    raise AssertionError


@pytest.mark.anyio
async def test_there_is_a_gateway_and_a_session_to_it(
    realtime_gateway: Gateway, realtime_session: RealtimeSession
) -> None:
    assert realtime_gateway.url.startswith("http://127.0.0.1:")
    assert await say(realtime_session, "Hello.") == "completed"


@pytest.mark.anyio
async def test_there_is_one_in_memory(
    realtime_gateway_in_memory: MemoryGateway, realtime_session_in_memory: RealtimeSession
) -> None:
    assert await say(realtime_session_in_memory, "Hello.") == "completed"
    async with realtime_gateway_in_memory.connect() as other:
        assert await say(other, "Hello.") == "completed"


@pytest.mark.anyio
@pytest.mark.parametrize("realtime_gateway_options", [KEYED])
async def test_a_gateway_has_its_options_and_the_session_its_key(
    realtime_gateway: Gateway, realtime_session: RealtimeSession
) -> None:
    assert await say(realtime_session, "Hello.") == "completed"
    client = MeshAPI(base_url=realtime_gateway.url, token="rsk_wrong")  # noqa: S106  it is none
    with pytest.raises(HandshakeRejected):
        async with client.realtime.connect(model="openai/gpt-realtime"):
            pytest.fail("it was let in")


@pytest.mark.anyio
@pytest.mark.parametrize("realtime_session_options", [BRIEF])
async def test_a_session_has_its_options(
    realtime_session: RealtimeSession, realtime_session_in_memory: RealtimeSession
) -> None:
    for session in (realtime_session, realtime_session_in_memory):
        await session.receive()
        event = (await session.receive()).event
        assert event.session.instructions == "Be brief."


@pytest.mark.anyio
@pytest.mark.parametrize("realtime_gateway_options", [{"faults": ["close 4000 at response.done"]}])
async def test_a_fixture_is_left_in_peace_after_a_session_has_ended(
    realtime_session: RealtimeSession,
) -> None:
    assert await say(realtime_session, "Hello.") == "completed"
    await anyio.wait_all_tasks_blocked()


SUITE = """
import pytest
from meshrt.gateway import ScriptModel

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "BACKEND"


@pytest.fixture
def realtime_gateway_options():
    return {"model": ScriptModel("> Hello.\\n< Hi!")}


async def say(session, words):
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
    await session.send({"type": "conversation.item.create", "item": item})
    await session.send({"type": "response.create"})
    async for message in session:
        if message.event.type == "response.done":
            return message.event.response.status


async def test_followed(realtime_session):
    assert await say(realtime_session, "Hello.") == "completed"


async def test_followed_in_memory(realtime_session_in_memory):
    assert await say(realtime_session_in_memory, "Hello.") == "completed"


async def test_not_followed(realtime_session):
    assert await say(realtime_session, "Bye.") == "failed"


async def test_not_finished_in_memory(realtime_session_in_memory):
    pass
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("how", ["module", "option"])
def test_a_suite_of_a_user_s_fails_where_its_script_was_not_followed(
    pytester: pytest.Pytester, backend: str, how: str
) -> None:
    plugin = 'pytest_plugins = ["meshrt.testing.plugin"]\n' if how == "module" else ""
    pytester.makepyfile(plugin + SUITE.replace("BACKEND", backend))
    options = ("-p", "meshrt.testing.plugin") if how == "option" else ()
    result = pytester.runpytest_subprocess("-W", "error", "-p", "no:cacheprovider", *options)

    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines_random(
        [
            "E*AssertionError: the script was not followed:",
            "E*line 1 expects the user's 'Hello.'; there came the user's 'Bye.'",
            "E*line 1 was not reached",
        ]
    )


def test_a_user_who_does_not_ask_for_the_fixtures_has_none(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test(realtime_gateway): ...")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'realtime_gateway' not found"])


def test_only_the_plugin_needs_pytest() -> None:
    code = "import sys, meshrt.testing; sys.exit('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0
