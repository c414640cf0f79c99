"""The vendor's own Python client, the blocking and the asyncio one, talks to our gateway."""

from collections.abc import Callable
from typing import Any

import pytest

from meshrt.gateway import Gateway

meshapi = pytest.importorskip("meshapi", reason="meshapi, a counterpart, is not installed")

pytestmark = [
    pytest.mark.anyio,
    # Its blocking client opens a connection in a way that websockets 17.1 deprecates.
    pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager"),
]

MODEL = "openai/gpt-realtime-mini"
RIGHT, WRONG = "rsk_right", "rsk_wrong"
UPDATE = {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}}
MANUAL = {
    "type": "session.update",
    "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}},
}
QUESTION = {
    "type": "conversation.item.create",
    "item": {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "When does the train leave?"}],
    },
}
CREATE = {"type": "response.create"}
COMMIT = {"type": "input_audio_buffer.commit"}
ANSWER = 'You wrote: "When does the train leave?".'


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on asyncio: the client knows nothing else."""
    return "asyncio", {}


@pytest.fixture
def client(gateway: Gateway) -> Any:
    with meshapi.MeshAPI(base_url=gateway.url, token=RIGHT) as client:
        yield client


@pytest.fixture
async def async_client(gateway: Gateway) -> Any:
    async with meshapi.AsyncMeshAPI(base_url=gateway.url, token=RIGHT) as client:
        yield client


def turn(session: Any) -> list[Any]:
    messages = []
    for message in session:
        messages.append(message)
        if message.event["type"] == "response.done":
            break
    return messages


async def async_turn(session: Any) -> list[Any]:
    messages = []
    while not messages or messages[-1].event["type"] != "response.done":
        messages.append(await session.receive())
    return messages


def text_of(messages: list[Any]) -> str:
    events = [message.event for message in messages]
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


def audio_of(messages: list[Any]) -> bytes:
    return b"".join(message.audio for message in messages if message.audio)


def test_a_text_turn(client: Any) -> None:
    with client.realtime.connect(model=MODEL) as session:
        for event in (UPDATE, QUESTION, CREATE):
            session.send(event)
        messages = turn(session)

    assert [message.event["type"] for message in messages[:2]] == [
        "session.created", "session.updated",
    ]  # fmt: skip
    assert text_of(messages) == ANSWER


def test_a_spoken_turn_with_turn_detection(client: Any, speech: list[bytes]) -> None:
    with client.realtime.connect(model=MODEL) as session:
        for chunk in speech:
            session.send_audio(chunk)
        messages = turn(session)

    assert len(audio_of(messages)) > 48_000
    assert audio_of(messages) in b"".join(speech)


def test_a_spoken_turn_that_the_client_commits(client: Any, speech: list[bytes]) -> None:
    with client.realtime.connect(model=MODEL) as session:
        session.send(MANUAL)
        for chunk in speech:
            session.send_audio(chunk)
        session.send(COMMIT)
        session.send(CREATE)
        messages = turn(session)

    assert audio_of(messages) == b"".join(speech)


def test_its_key_is_judged(serve_in_thread: Callable[..., Gateway]) -> None:
    gateway = serve_in_thread(key=RIGHT)
    with meshapi.MeshAPI(base_url=gateway.url, token=RIGHT) as client:
        with client.realtime.connect(model=MODEL) as session:
            assert session.receive().event["type"] == "session.created"
    with meshapi.MeshAPI(base_url=gateway.url, token=WRONG) as client:
        with client.realtime.connect(model=MODEL) as session:
            with pytest.raises(meshapi.RealtimeError, match="invalid_api_key") as caught:
                session.receive()

    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id.startswith("req_")


async def test_a_text_turn_on_asyncio(async_client: Any) -> None:
    async with async_client.realtime.connect(model=MODEL) as session:
        for event in (UPDATE, QUESTION, CREATE):
            await session.send(event)
        assert text_of(await async_turn(session)) == ANSWER


async def test_a_spoken_turn_with_turn_detection_on_asyncio(
    async_client: Any, speech: list[bytes]
) -> None:
    async with async_client.realtime.connect(model=MODEL) as session:
        for chunk in speech:
            await session.send_audio(chunk)
        messages = await async_turn(session)

    assert len(audio_of(messages)) > 48_000
    assert audio_of(messages) in b"".join(speech)


async def test_a_spoken_turn_that_the_client_commits_on_asyncio(
    async_client: Any, speech: list[bytes]
) -> None:
    # The other way in that it has.
    async with await async_client.realtime.connect(model=MODEL) as session:
        await session.send(MANUAL)
        for chunk in speech:
            await session.send_audio(chunk)
        await session.send(COMMIT)
        await session.send(CREATE)
        messages = await async_turn(session)

    assert audio_of(messages) == b"".join(speech)


async def test_what_the_gateway_refuses_is_its_error(async_client: Any) -> None:
    async with async_client.realtime.connect(model=MODEL) as session:
        assert (await session.receive()).event["type"] == "session.created"
        old = {"type": "realtime", "voice": "alloy"}
        await session.send({"type": "session.update", "session": old})
        with pytest.raises(meshapi.RealtimeError) as caught:
            await session.receive()

    assert (caught.value.code, caught.value.param) == ("unknown_parameter", "session.voice")


def test_the_catalogue(client: Any) -> None:
    models = client.models.list()
    assert MODEL in [model.id for model in models]
    assert all(model.supports_realtime for model in models)
    assert all(model.realtime_session_max_tokens for model in models)
    assert client.models.list(free=True) == []
    one = client.models.get(MODEL)
    assert one == next(model for model in models if model.id == MODEL)
    assert float(one.pricing.cached_audio_input_usd_per_1m) < float(
        one.pricing.audio_input_usd_per_1m
    )


async def test_the_catalogue_on_asyncio(async_client: Any) -> None:
    assert (await async_client.models.get(MODEL)).id == MODEL


def test_a_model_that_is_not_there_is_its_error(client: Any) -> None:
    with pytest.raises(meshapi.MeshAPIError, match="There is no such model") as caught:
        client.models.get("openai/gpt-9")

    assert (caught.value.status, caught.value.error_code) == (404, "model_not_found")
    assert caught.value.request_id.startswith("req_")


def test_a_wrong_key_for_the_catalogue_is_its_error(
    serve_in_thread: Callable[..., Gateway],
) -> None:
    gateway = serve_in_thread(key=RIGHT)
    with meshapi.MeshAPI(base_url=gateway.url, token=WRONG) as client:
        with pytest.raises(meshapi.MeshAPIError) as caught:
            client.models.list()

    assert (caught.value.status, caught.value.error_code) == (401, "invalid_api_key")
