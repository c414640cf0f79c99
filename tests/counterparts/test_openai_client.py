"""OpenAI's own Python client, the asyncio and the blocking one, talks to our gateway."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from meshrt.gateway import Call, Gateway, Rule, RuleModel

openai = pytest.importorskip("openai", reason="openai, a counterpart, is not installed")

pytestmark = [
    pytest.mark.anyio,
    # Its blocking client opens a connection in a way that websockets 17.1 deprecates.
    pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager"),
]

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


@pytest.fixture
def blocking_client(gateway: Gateway) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="test") as made:
        yield made


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


async def test_a_tool_is_called_and_what_it_said_is_told(
    serve_in_thread: Callable[..., Gateway],
) -> None:
    asked = Rule(r"train", Call("when", {"to": "Bern"}))
    gateway = serve_in_thread(model=RuleModel(asked, Rule("noon", "At noon.", of_output=True)))
    tools = [{"type": "function", "name": "when", "parameters": {"type": "object"}}]
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="test") as client:
        async with client.realtime.connect(model=MODEL) as connection:
            await connection.session.update(session={**IN_TEXT, "tools": tools})
            await connection.conversation.item.create(item=QUESTION)
            await connection.response.create()
            [call] = (await until(connection, "response.done"))[-1].response.output
            output = {"type": "function_call_output", "call_id": call.call_id, "output": "noon"}
            await connection.conversation.item.create(item=output)
            await connection.response.create()
            [told] = (await until(connection, "response.done"))[-1].response.output

    assert (call.name, json.loads(call.arguments)) == ("when", {"to": "Bern"})
    assert told.content[0].text == "At noon."


async def test_who_speaks_in_between_is_heard(
    serve_in_thread: Callable[..., Gateway], speech: list[bytes]
) -> None:
    gateway = serve_in_thread(pacing="realtime")
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="test") as client:
        async with client.realtime.connect(model=MODEL) as connection:
            await send_audio(connection, speech)
            await until(connection, "response.output_audio.delta")
            await send_audio(connection, speech)
            cut = await until(connection, "response.done")
            await until(connection, "response.output_audio.delta")

    assert cut[-1].response.status == "cancelled"
    assert cut[-1].response.status_details.reason == "turn_detected"
    assert "input_audio_buffer.speech_started" in [event.type for event in cut]


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


def blocking_turn(connection: Any) -> list[Any]:
    events = [connection.recv()]
    while events[-1].type != "response.done":
        events.append(connection.recv())
    return events


def test_a_text_turn_of_the_blocking_client(blocking_client: Any) -> None:
    with blocking_client.realtime.connect(model=MODEL) as connection:
        connection.session.update(session=IN_TEXT)
        connection.conversation.item.create(item=QUESTION)
        connection.response.create()
        events = blocking_turn(connection)

    assert [event.type for event in events[:2]] == ["session.created", "session.updated"]
    said = events[-1].response.output[0].content[0].text
    assert said == 'You wrote: "When does the train leave?".'


def test_a_spoken_turn_of_the_blocking_client(blocking_client: Any, speech: list[bytes]) -> None:
    with blocking_client.realtime.connect(model=MODEL) as connection:
        for chunk in speech:
            connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
        events = blocking_turn(connection)

    assert len(audio_of(events)) > 48_000
    assert audio_of(events) in b"".join(speech)
