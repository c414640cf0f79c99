"""Tests of your own against a local gateway, with a session that a fixture opens.

No block can be around both the fixture and the test that uses it, so the session lives in a task
group that lasts as long. AnyIO's plugin for pytest runs all of it, once on asyncio and once on
Trio: `pytest test_with_a_session.py`.
"""

from collections.abc import AsyncIterator

import anyio
import anyio.abc
import pytest

from meshrt import MeshAPI, RealtimeSession
from meshrt.events import InputText, ResponseDone, ResponseParams, UserMessage
from meshrt.gateway import serve

MODEL = "openai/gpt-realtime-mini"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tasks() -> AsyncIterator[anyio.abc.TaskGroup]:
    """A task group that lasts as long as a test."""
    async with anyio.create_task_group() as tasks:
        yield tasks


@pytest.fixture
async def session(tasks: anyio.abc.TaskGroup) -> AsyncIterator[RealtimeSession]:
    """A session with a gateway of its own."""
    async with serve() as gateway:
        client = MeshAPI(base_url=gateway.url)
        session = await client.realtime.connect_in(tasks, model=MODEL)
        yield session
        await session.close()


async def test_a_question_is_answered(session: RealtimeSession) -> None:
    await session.create_item(UserMessage(content=[InputText(text="Is it on?")]))
    await session.respond(ResponseParams(output_modalities=["text"]))
    async for message in session:
        if isinstance(message.event, ResponseDone):
            assert message.event.response.status == "completed"
            return
    pytest.fail("the session ended before the answer")


async def test_each_test_has_a_session_of_its_own(  # noqa: ASYNC124  its fixture is async
    session: RealtimeSession,
) -> None:
    assert not session.conversation.items
    await session.close()
    assert session.closed is not None
