"""The tests of a voice agent: a script, rules, faults and virtual time; no server, no network.

Run them with `pytest test_weather_agent.py`, after `pip install "meshrt[gateway,trio]" pytest`.
"""

import pytest
import trio.testing
from weather_agent import CONFIGURATION, AgentError, answer

from meshrt import ConnectionLost, RealtimeSession
from meshrt.gateway import Call, Rule, RuleModel
from meshrt.testing import gateway_in_memory, scripted_session

pytest_plugins = ["meshrt.testing.plugin"]
pytestmark = pytest.mark.anyio

SCRIPT = """\
> What's the weather in Paris?
! call get_weather {"city": "Paris"}
= /"sky": "rain"/
< Take an umbrella.
"""
RULES = RuleModel(
    Rule(r"weather in (?P<city>\w+)", Call("get_weather")),
    Rule(r'"sky": "(?P<sky>\w+)"', "There is {sky}.", of_output=True),
)
VIRTUAL_TIME = ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def rain(city: str) -> str:  # noqa: ASYNC124  it stands for a request
    return "rain"


async def test_it_looks_up_what_the_model_asks_for() -> None:
    async with scripted_session(SCRIPT, session=CONFIGURATION) as session:
        words = await answer(session, "What's the weather in Paris?", rain)

    assert words == "Take an umbrella."


async def test_a_model_that_fails_is_an_error_of_the_agent_s() -> None:
    script = "> *\n! fail rate_limit_exceeded Try again later."
    async with scripted_session(script) as session:
        with pytest.raises(AgentError, match="failed"):
            await answer(session, "Hello?", rain)


@pytest.fixture
def realtime_gateway_options() -> dict[str, object]:
    return {"model": RULES}


@pytest.fixture
def realtime_session_options() -> dict[str, object]:
    return {"session": CONFIGURATION}


@pytest.mark.parametrize("city", ["Rome", "Oslo"])
async def test_it_asks_for_the_right_city(realtime_session: RealtimeSession, city: str) -> None:
    asked = []

    async def fog(name: str) -> str:  # noqa: ASYNC124  it stands for a request
        asked.append(name)
        return "fog"

    words = await answer(realtime_session, f"What's the weather in {city}?", fog)

    assert (words, asked) == ("There is fog.", [city])


async def test_a_connection_that_breaks_in_the_middle_is_not_an_answer() -> None:
    fault = "drop at response.output_audio_transcript.delta"
    async with gateway_in_memory(faults=[fault]) as gateway, gateway.connect() as session:
        with pytest.raises(ConnectionLost):
            await answer(session, "Hello?", rain)


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_TIME])
async def test_a_server_that_hangs_is_given_up_and_the_test_does_not_wait_for_that() -> None:
    fault = "stall 3600 s at response.created"
    async with gateway_in_memory(faults=[fault]) as gateway, gateway.connect() as session:
        with pytest.raises(ConnectionLost):
            await answer(session, "Hello?", rain)
