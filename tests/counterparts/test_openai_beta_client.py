"""OpenAI's old client, of the beta wire, talks to a gateway that is asked to speak it."""

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from meshrt.gateway import Gateway

openai = pytest.importorskip("openai", reason="openai, a counterpart, is not installed")
beta = pytest.importorskip("openai.types.beta.realtime", reason="this openai has it no more")

pytestmark = pytest.mark.anyio

MODEL = "gpt-realtime"
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
async def client(serve_in_thread: Callable[..., Gateway]) -> AsyncIterator[Any]:
    made = client_of(serve_in_thread(dialect="beta"))
    yield made
    await made.close()


def client_of(gateway: Gateway) -> Any:
    # Left to itself it only dials wss.
    websocket = gateway.url.replace("http", "ws", 1)
    return openai.AsyncOpenAI(
        base_url=f"{gateway.url}/v1", websocket_base_url=f"{websocket}/v1", api_key="test"
    )


async def until(connection: Any, wire_name: str) -> list[Any]:
    events = [await connection.recv()]
    while events[-1].type != wire_name:
        events.append(await connection.recv())
    return events


def check(events: list[Any]) -> None:
    """Hold each event against the client's own model of it: it reads without looking."""
    for event in events:
        type(event).model_validate(event.model_dump(mode="json", exclude_unset=True), strict=False)


async def test_a_text_turn(client: Any) -> None:
    async with client.beta.realtime.connect(model=MODEL) as connection:
        created = await connection.recv()
        assert type(created) is beta.SessionCreatedEvent
        assert created.session.modalities == ["audio", "text"]
        assert created.session.voice == "marin"
        assert created.session.input_audio_format == "pcm16"
        assert created.session.turn_detection.type == "server_vad"
        await connection.session.update(session={"modalities": ["text"], "temperature": 0.7})
        updated = await connection.recv()
        assert type(updated) is beta.SessionUpdatedEvent
        assert updated.session.modalities == ["text"]
        await connection.conversation.item.create(item=QUESTION)
        await connection.response.create()
        events = await until(connection, "response.done")

    said = "".join(e.delta for e in events if type(e) is beta.ResponseTextDeltaEvent)
    assert said == 'You wrote: "When does the train leave?".'
    names = [event.type for event in events]
    assert names.count("conversation.item.created") == 2
    assert not {"conversation.item.added", "conversation.item.done"} & set(names)
    part = events[-1].response.output[0].content[0]
    assert (part.type, part.text) == ("text", said)
    assert events[-1].response.modalities == ["text"]
    check(events)


async def test_a_spoken_turn(client: Any, speech: list[bytes]) -> None:
    async with client.beta.realtime.connect(model=MODEL) as connection:
        await connection.session.update(session={"turn_detection": None, "voice": "cedar"})
        for chunk in speech:
            await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        events = await until(connection, "response.done")

    [updated] = [event for event in events if event.type == "session.updated"]
    assert (updated.session.voice, updated.session.turn_detection) == ("cedar", None)
    deltas = [e.delta for e in events if type(e) is beta.ResponseAudioDeltaEvent]
    assert b"".join(map(base64.b64decode, deltas)) == b"".join(speech)
    said = "".join(e.delta for e in events if type(e) is beta.ResponseAudioTranscriptDeltaEvent)
    [done] = [e for e in events if type(e) is beta.ResponseAudioTranscriptDoneEvent]
    assert done.transcript == said
    assert events[-1].response.modalities == ["audio", "text"]
    part = events[-1].response.output[0].content[0]
    assert (part.type, part.transcript) == ("audio", said)
    check(events)


async def test_a_response_is_asked_for_in_the_old_words(client: Any) -> None:
    async with client.beta.realtime.connect(model=MODEL) as connection:
        await connection.conversation.item.create(item=QUESTION)
        await connection.response.create(response={"modalities": ["text"]})
        events = await until(connection, "response.done")

    assert [event.type for event in events].count("response.text.done") == 1


async def test_a_gateway_of_today_turns_it_away(serve_in_thread: Callable[..., Gateway]) -> None:
    client = client_of(serve_in_thread())
    async with client, client.beta.realtime.connect(model=MODEL) as connection:
        refused = await connection.recv()

    assert refused.error.code == "beta_api_shape_disabled"
    assert "--dialect beta" in refused.error.message


async def test_left_to_itself_it_dials_wss(serve_in_thread: Callable[..., Gateway]) -> None:
    gateway = serve_in_thread(dialect="beta", tls=True)
    client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="test")
    options = {"ssl": gateway.ssl_context}
    connecting = client.beta.realtime.connect(model=MODEL, websocket_connection_options=options)
    async with client, connecting as connection:
        assert (await connection.recv()).type == "session.created"
