"""OpenAI's own Python client talks to our gateway."""

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from meshrt.gateway import Gateway

openai = pytest.importorskip("openai", reason="openai, a counterpart, is not installed")

pytestmark = pytest.mark.anyio

MODEL = "gpt-realtime"
IN_TEXT = {"type": "realtime", "output_modalities": ["text"]}
QUESTION = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "When does the train leave?"}],
}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on asyncio: the client knows nothing else."""
    return "asyncio", {}


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[Any]:
    made = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="test")
    yield made
    await made.close()


async def until(connection: Any, wire_name: str) -> list[Any]:
    events = [await connection.recv()]
    while events[-1].type != wire_name:
        events.append(await connection.recv())
    return events


def audio_of(events: list[Any]) -> bytes:
    deltas = [event.delta for event in events if event.type == "response.output_audio.delta"]
    return b"".join(base64.b64decode(delta) for delta in deltas)


async def send_audio(connection: Any, speech: list[bytes]) -> None:
    for chunk in speech:
        await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())


async def test_a_text_turn(client: Any) -> None:
    async with client.realtime.connect(model=MODEL) as connection:
        assert (await connection.recv()).type == "session.created"
        await connection.session.update(session=IN_TEXT)
        assert (await connection.recv()).session.output_modalities == ["text"]
        await connection.conversation.item.create(item=QUESTION)
        await connection.response.create()
        events = await until(connection, "response.done")

    said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert said == 'You wrote: "When does the train leave?".'
    assert events[-1].response.output[0].content[0].text == said
    assert events[-1].response.status == "completed"


async def test_a_spoken_turn_with_turn_detection(client: Any, speech: list[bytes]) -> None:
    async with client.realtime.connect(model=MODEL) as connection:
        await send_audio(connection, speech)
        events = await until(connection, "response.done")

    names = [event.type for event in events]
    assert names[:3] == [
        "session.created",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
    ]
    assert len(audio_of(events)) > 48_000
    assert audio_of(events) in b"".join(speech)
    assert events[-1].response.output[0].content[0].transcript.startswith("I heard ")


async def test_a_spoken_turn_that_the_client_commits(client: Any, speech: list[bytes]) -> None:
    async with client.realtime.connect(model=MODEL) as connection:
        audio = {"input": {"turn_detection": None}}
        await connection.session.update(session={"type": "realtime", "audio": audio})
        await send_audio(connection, speech)
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        events = await until(connection, "response.done")

    assert audio_of(events) == b"".join(speech)


async def test_its_other_commands(client: Any) -> None:
    async with client.realtime.connect(model=MODEL) as connection:
        await connection.conversation.item.create(item={**QUESTION, "id": "mine"})
        await connection.conversation.item.retrieve(item_id="mine")
        retrieved = (await until(connection, "conversation.item.retrieved"))[-1]
        await connection.conversation.item.delete(item_id="mine")
        await connection.input_audio_buffer.clear()
        names = [event.type for event in await until(connection, "input_audio_buffer.cleared")]
        await connection.response.cancel()
        refused = await connection.recv()

    assert retrieved.item.content[0].text == "When does the train leave?"
    assert names == ["conversation.item.deleted", "input_audio_buffer.cleared"]
    assert refused.error.code == "response_cancel_not_active"


async def test_its_key_is_judged(serve_in_thread: Callable[..., Gateway]) -> None:
    gateway = serve_in_thread(key="rsk_right")
    for key, first in (("rsk_right", "session.created"), ("rsk_wrong", "error")):
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as client:
            async with client.realtime.connect(model=MODEL) as connection:
                event = await connection.recv()

        assert event.type == first
    assert event.error.code == "invalid_api_key"
