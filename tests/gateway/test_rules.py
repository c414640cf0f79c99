"""Rules: which applies, what it puts into its answer, and what is no rule."""

import re
from typing import Any

import anyio
import pytest
import trio.testing

from meshrt import MeshAPI
from meshrt.errors import ConfigurationError
from meshrt.events import (
    FunctionCallOutput,
    FunctionTool,
    InputText,
    ToolChoiceFunction,
    UserMessage,
)
from meshrt.gateway import (
    Call,
    EchoVoice,
    Fail,
    Heard,
    HeardAudio,
    HeardText,
    Interleave,
    Refuse,
    Rule,
    RuleModel,
    Say,
    serve,
)

pytestmark = pytest.mark.anyio

WEATHER = FunctionTool(name="get_weather")


def wrote(text: str, **also: Any) -> Heard:
    return Heard(parts=(HeardText(text=text),), **also)


def returned(output: str, **also: Any) -> Heard:
    item = FunctionCallOutput(call_id="call_1", output=output)
    return wrote("What's the weather in Paris?", tool_outputs=(item,), **also)


async def test_the_first_rule_that_applies_answers() -> None:
    model = RuleModel(Rule("hello", "Hi."), Rule("l+", "Ell."), Rule("", "Anything."))

    assert await model.reply(wrote("Oh, HELLO!")) == (Say("Hi."),)
    assert await model.reply(wrote("all")) == (Say("Ell."),)
    assert await model.reply(Heard()) == (Say("Anything."),)


async def test_where_no_rule_applies_another_model_thinks() -> None:
    honest = RuleModel(Rule("hello", "Hi."))
    other = RuleModel(Rule("hello", "Hi."), otherwise=RuleModel(Rule("", "What?")))

    assert await honest.reply(wrote("Bye")) == 'You wrote: "Bye".'
    assert await other.reply(wrote("Bye")) == (Say("What?"),)


@pytest.mark.parametrize(
    ("then", "answer"),
    [
        ("In {city} {it} is {} fine.", Say("In Paris {it} is {} fine.")),
        (Refuse("Not {city}"), Refuse("Not Paris")),
        (Fail("{city}", "{city}"), Fail("{city}", "{city}")),
        (Call("get_weather"), Call("get_weather", {"city": "Paris"})),
        (
            Call("get_weather", {"in": ["{city}", {"{city}": 1}]}),
            Call("get_weather", {"in": ["Paris", {"{city}": 1}]}),
        ),
        (Call("get_weather", "{city}"), Call("get_weather", "{city}")),
        (
            Interleave([Say("{city}"), Call("get_weather")]),
            Interleave([Say("Paris"), Call("get_weather", {"city": "Paris"})]),
        ),
    ],
)
async def test_what_was_found_goes_into_the_answer(then: Any, answer: Any) -> None:
    model = RuleModel(Rule(r"weather in (?P<city>\w+)", then))

    assert await model.reply(wrote("The weather in Paris?", tools=(WEATHER,))) == (answer,)


@pytest.mark.parametrize(
    ("offered", "calls"),
    [
        ({"tools": (WEATHER,)}, True),
        ({"tools": (WEATHER,), "tool_choice": "required"}, True),
        ({"tools": (WEATHER,), "tool_choice": ToolChoiceFunction(name="get_weather")}, True),
        ({"tools": (WEATHER,), "tool_choice": ToolChoiceFunction(name="other")}, False),
        ({"tools": (WEATHER,), "tool_choice": "none"}, False),
        ({"tools": (FunctionTool(name="other"),)}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
async def test_only_a_function_that_is_offered_is_called(
    offered: dict[str, Any], calls: bool, wrapped: bool
) -> None:
    call = Interleave([Call("get_weather", {})]) if wrapped else Call("get_weather", {})
    model = RuleModel(Rule("weather", call), Rule("", "I can't look."))
    answer = await model.reply(wrote("The weather?", **offered))

    assert answer == ((call,) if calls else (Say("I can't look."),))


async def test_what_a_function_returned_has_rules_of_its_own() -> None:
    model = RuleModel(
        Rule("weather", Call("get_weather", {})),
        Rule("(?P<sky>clear|cloudy)", "It is {sky}.", of_output=True),
    )
    tools = {"tools": (WEATHER,)}

    assert await model.reply(wrote("weather", **tools)) == (Call("get_weather", {}),)
    assert await model.reply(returned('{"sky": "clear"}', **tools)) == (Say("It is clear."),)
    assert "returned" in str(await model.reply(returned("rain", **tools)))
    assert await model.reply(wrote("clear")) == 'You wrote: "clear".'


async def test_a_function_decides_by_all_that_was_heard_and_answers_itself() -> None:
    speech = Heard(parts=(HeardAudio(pcm=bytes(48_000), speech_ms=900),))
    model = RuleModel(
        Rule(lambda heard: heard.speech_ms > 500, lambda heard: f"{heard.speech_ms} ms."),
        Rule(re.compile("CASE"), [Say("One."), Say("Two.")]),
    )

    assert await model.reply(speech) == (Say("900 ms."),)
    assert await model.reply(wrote("CASE")) == (Say("One."), Say("Two."))
    assert await model.reply(wrote("case")) == 'You wrote: "case".'


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)
async def test_a_rule_may_be_slow() -> None:
    began = anyio.current_time()
    await RuleModel(Rule("", "Hm.", after=7)).reply(wrote("Hi"))
    assert anyio.current_time() - began == pytest.approx(7)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Rule("(", "Hi."), "'\\(' is no regular expression: missing"),
        (lambda: Rule(7, "Hi."), "`when` can't be 7"),
        (lambda: Rule("hello", 7), "a model replies with text or"),
        (lambda: Rule("hello", ["Hi."]), "a model replies with text or"),
        (lambda: RuleModel(("hello", "Hi.")), r'a rule is a Rule\("pattern", "answer"\)'),
    ],
)
def test_what_is_no_rule_is_one_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        make()


async def test_a_session_is_answered_by_rules() -> None:
    model = RuleModel(Rule(r"weather in (?P<city>\w+)", Call("get_weather")))
    async with serve(voice=EchoVoice(), model=model) as gateway:
        client = MeshAPI(base_url=gateway.url)
        async with client.realtime.connect(model="openai/gpt-realtime") as session:
            tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
            await session.update({"type": "realtime", "tools": [tool]})
            await session.create_item(
                UserMessage(content=[InputText(text="The weather in Paris, please.")])
            )
            await session.send({"type": "response.create"})
            async for message in session:
                if message.event.type == "response.done":
                    break

    [call] = message.event.response.output
    assert (call.name, call.arguments) == ("get_weather", '{"city": "Paris"}')
