"""OpenAI's Agents SDK talks to our gateway: it reads every event by its own models."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import pytest

from meshrt.gateway import Call, Gateway, Rule, RuleModel

agents = pytest.importorskip(
    "agents",
    reason="openai-agents, a counterpart, is not installed: `nox -s counterparts` has it",
)
realtime = pytest.importorskip("agents.realtime", reason="this openai-agents has no realtime")

pytestmark = pytest.mark.anyio

Talk = Callable[..., AbstractAsyncContextManager["Conversation"]]

RULES = RuleModel(
    Rule(r"weather in (?P<city>\w+)", Call("get_weather")),
    Rule(r"to the (?P<who>\w+)", Call("transfer_to_driver", {})),
    Rule(r"(?P<sky>rain in \w+)", "There is {sky}.", of_output=True),
)
MANUAL = {"turn_detection": None}
SERVER_VAD = {"turn_detection": {"type": "server_vad", "interrupt_response": True}}
SILENCE = [bytes(4_800)] * 40  # more than semantic_vad waits for
SECONDS = 20.0


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on asyncio: the client knows nothing else."""
    return "asyncio", {}


@agents.function_tool
def get_weather(city: str) -> str:
    """Say how the weather is."""
    return f"rain in {city}"


class Conversation:
    """A session of the SDK's, and all that it tells, in order."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.events: list[Any] = []

    async def until(self, wanted: str, times: int = 1) -> list[Any]:
        """Return what comes up to an event of the SDK's; an error but that ends the test."""
        came: list[Any] = []
        async with asyncio.timeout(SECONDS), aclosing(aiter(self.session)) as events:
            async for event in events:
                came.append(event)
                if event.type == "error" and wanted != "error":
                    pytest.fail(f"an error came: {event.error}")
                if [each.type for each in came].count(wanted) == times:
                    break
        self.events += came
        return came

    @property
    def history(self) -> list[tuple[str, str]]:
        """What was said, as the SDK has it."""
        told = []
        for item in self.session._history:
            if item.type == "function_call":
                told.append((item.name, item.output))
            else:
                part = item.content[0]
                told.append((item.role, getattr(part, "text", None) or part.transcript))
        return told


@pytest.fixture
def talk(serve_in_thread: Callable[..., Gateway]) -> Talk:
    @asynccontextmanager
    async def talk(
        agent: Any = None, *, settings: dict[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[Conversation]:
        gateway = serve_in_thread(**options)
        config = {
            "api_key": "test",
            "url": f"{gateway.url.replace('http', 'ws', 1)}/v1/realtime?model=gpt-realtime",
            "initial_model_settings": settings or {},
        }
        runner = realtime.RealtimeRunner(agent or realtime.RealtimeAgent(name="Clerk"))
        async with await runner.run(model_config=config) as session:
            yield Conversation(session)

    return talk


def raw(events: list[Any]) -> list[str]:
    """Return the wire names of what the server sent."""
    data = [event.data for event in events if event.type == "raw_model_event"]
    return [each.data["type"] for each in data if each.type == "raw_server_event"]


def audio_of(events: list[Any]) -> bytes:
    return b"".join(event.audio.data for event in events if event.type == "audio")


async def test_a_text_turn(talk: Talk) -> None:
    async with talk(settings={"output_modalities": ["text"]}) as conversation:
        await conversation.session.send_message("When does the train leave?")
        came = await conversation.until("agent_end")

    assert {"response.output_text.delta", "response.done"} <= {*raw(came)}
    assert conversation.history == [
        ("user", "When does the train leave?"),
        ("assistant", 'You wrote: "When does the train leave?".'),
    ]


async def test_a_written_question_with_a_picture_is_answered_aloud(talk: Talk) -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    asked = {"type": "input_text", "text": "What is this?"}
    async with talk() as conversation:
        message = {"type": "message", "role": "user", "content": [asked, picture]}
        await conversation.session.send_message(message)
        came = await conversation.until("agent_end")

    assert len(audio_of(came)) > 12_000
    assert [who for who, _ in conversation.history] == ["user", "assistant"]
    assert "image" in conversation.history[1][1]


@pytest.mark.parametrize("settings", [SERVER_VAD, {}], ids=["server_vad", "its own, semantic_vad"])
async def test_a_spoken_turn_with_turn_detection(
    talk: Talk, speech: list[bytes], settings: dict[str, Any]
) -> None:
    async with talk(settings=settings) as conversation:
        for chunk in [*speech, *SILENCE]:
            await conversation.session.send_audio(chunk)
        came = await conversation.until("agent_end")

    names = raw(came)
    assert names.count("input_audio_buffer.speech_started") == 1
    assert "conversation.item.input_audio_transcription.completed" in names
    assert audio_of(came) in b"".join([*speech, *SILENCE])
    assert len(audio_of(came)) > 48_000
    (asker, heard), (answerer, said) = conversation.history
    assert (asker, answerer) == ("user", "assistant")
    assert heard.endswith("seconds of speech]")
    assert said.startswith("I heard ")


async def test_a_spoken_turn_that_the_client_commits(talk: Talk, speech: list[bytes]) -> None:
    async with talk(settings=MANUAL) as conversation:
        for chunk in speech[:-1]:
            await conversation.session.send_audio(chunk)
        await conversation.session.send_audio(speech[-1], commit=True)
        create = realtime.RealtimeModelSendRawMessage(message={"type": "response.create"})
        await conversation.session.model.send_event(create)
        came = await conversation.until("agent_end")

    assert audio_of(came) == b"".join(speech)


async def test_a_tool_is_called_and_what_it_said_is_told(talk: Talk) -> None:
    agent = realtime.RealtimeAgent(name="Clerk", tools=[get_weather])
    async with talk(agent, model=RULES) as conversation:
        await conversation.session.send_message("What's the weather in Paris?")
        came = await conversation.until("agent_end", times=2)

    [ended] = [event for event in came if event.type == "tool_end"]
    assert (ended.output, ended.arguments) == ("rain in Paris", '{"city": "Paris"}')
    assert conversation.history == [
        ("user", "What's the weather in Paris?"),
        ("get_weather", "rain in Paris"),
        ("assistant", "There is rain in Paris."),
    ]


async def test_another_agent_takes_over(talk: Talk) -> None:
    driver = realtime.RealtimeAgent(name="Driver", instructions="Drive.")
    agent = realtime.RealtimeAgent(name="Clerk", handoffs=[driver])
    async with talk(agent, model=RULES) as conversation:
        await conversation.session.send_message("Put me through to the driver.")
        came = await conversation.until("agent_end", times=2)

    [handed] = [event for event in came if event.type == "handoff"]
    assert (handed.from_agent.name, handed.to_agent.name) == ("Clerk", "Driver")
    assert raw(conversation.events).count("session.updated") == 3  # its settings are new


async def test_who_speaks_in_between_is_heard(talk: Talk, speech: list[bytes]) -> None:
    async with talk(settings=SERVER_VAD, pacing="realtime") as conversation:
        for chunk in [*speech, bytes(48_000)]:
            await conversation.session.send_audio(chunk)
        await conversation.until("audio")
        for chunk in [*speech, bytes(48_000)]:
            await conversation.session.send_audio(chunk)
        cut = await conversation.until("agent_end")
        answered = await conversation.until("audio")

    names = [event.type for event in cut]
    assert names.index("audio_interrupted") < names.index("agent_end")
    assert "input_audio_buffer.speech_started" in raw(cut)
    assert raw(cut).index("response.output_audio.done") < raw(cut).index("response.done")
    assert "conversation.item.truncated" in raw([*cut, *answered])
    assert [who for who, _ in conversation.history][:3] == ["user", "assistant", "user"]


async def test_what_the_gateway_refuses_is_its_error(talk: Talk) -> None:
    async with talk() as conversation:
        retrieve = {"type": "conversation.item.retrieve", "other_data": {"item_id": "gone"}}
        event = realtime.RealtimeModelSendRawMessage(message=retrieve)
        await conversation.session.model.send_event(event)
        came = await conversation.until("error")

    assert "'gone'" in came[-1].error.message


async def test_usage_is_added_up(talk: Talk) -> None:
    async with talk(settings={"output_modalities": ["text"]}) as conversation:
        for _ in range(2):
            await conversation.session.send_message("Hello.")
            await conversation.until("agent_end")
        usage = conversation.session._context_wrapper.usage

    assert usage.requests == 2
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0
