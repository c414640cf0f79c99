"""Scripts: what one looks like, what is said of what is none, and how a session follows one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from hypothesis import given, strategies as st

from meshrt import MeshAPI, RealtimeSession
from meshrt.errors import ConfigurationError
from meshrt.events import FunctionCallOutput, InputText, Response, UserMessage
from meshrt.gateway import (
    Call,
    EchoVoice,
    Expect,
    Fail,
    Heard,
    HeardText,
    Note,
    Refuse,
    Say,
    Script,
    ScriptModel,
    Wait,
    serve,
)

WEATHER = """\
# Somebody asks for the weather.
> What's the weather in Paris?
< Let me look.
! call get_weather {"city": "Paris"}

= /"sky": *"(clear|cloudy)"/
! wait 10 ms
< A fine day.
> *
! refuse I would rather
> (speech)
! fail rate_limit_exceeded Too fast.
"""

plain = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8
)
words = st.lists(plain, min_size=1, max_size=4).map(" ".join)
literal = words.filter(lambda text: text[0] not in "/*(\\")
escaped = words.map("\\{}".format)
expected = st.one_of(literal, escaped, st.just("*"), st.just("(speech)"), st.just("/a+ b/"))
names = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
arguments = st.dictionaries(plain, st.integers() | words, max_size=2)
durations = st.tuples(st.integers(0, 99_999), st.sampled_from(["ms", "s"]))
answers = st.one_of(
    words.map("< {}".format),
    words.map("! refuse {}".format),
    names.map("! call {}".format),
    st.tuples(names, arguments).map(lambda it: f"! call {it[0]} {it[1]}".replace("'", '"')),
    st.tuples(names, words).map(lambda it: f"! fail {it[0]} {it[1]}"),
    durations.map(lambda it: f"! wait {it[0]} {it[1]}"),
    words.map("#{}".format),
    st.just(""),
)
steps = st.tuples(st.sampled_from("=>"), expected, st.lists(answers, max_size=4), words).map(
    lambda it: "\n".join([f"{it[0]} {it[1]}", *it[2], f"< {it[3]}"])
)


@given(st.lists(steps, min_size=1, max_size=4).map("\n".join), st.sampled_from(["", "\n", "\n\n"]))
def test_what_a_script_prints_is_what_was_parsed(text: str, end: str) -> None:
    text += end
    try:
        script = Script.parse(text)
    except ConfigurationError as error:  # made-up arguments are not always JSON
        assert "JSON object" in str(error)  # noqa: PT017  most of them are
        return
    assert str(script) == text
    assert Script.parse(str(script)) == script


@given(
    st.text(st.characters(codec="utf-8"))
    | st.lists(st.sampled_from([*"><=!# /*", "\n", "> a\n", "< b"])).map("".join)
)
def test_any_text_is_a_script_to_the_letter_or_one_error_with_its_place(text: str) -> None:
    try:
        script = Script.parse(text)
    except ConfigurationError as error:
        assert "the script, line " in str(error)  # noqa: PT017  that is what is tried
        assert ", column " in str(error)  # noqa: PT017  as above
    else:
        assert str(script) == text


def test_a_script_is_its_lines_and_its_steps() -> None:
    script = Script.parse(WEATHER)

    assert str(script) == WEATHER
    assert script.lines[0] == Note("# Somebody asks for the weather.")
    assert script.lines[1] == Expect("What's the weather in Paris?", line=2)
    assert [step.answers for step in script.steps] == [
        (Say("Let me look."), Call("get_weather", '{"city": "Paris"}')),
        (Wait("10 ms"), Say("A fine day.")),
        (Refuse("I would rather"),),
        (Fail("rate_limit_exceeded", "Too fast."),),
    ]
    assert script.steps[1].expect == Expect('/"sky": *"(clear|cloudy)"/', True, 6)
    assert Wait("10 ms").seconds == 0.01
    assert Wait("1.5 s").seconds == 1.5


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("", "line 1, column 1", "an expectation such as `> Hello.`"),
        ("# nothing", "line 1, column 1", "an expectation such as"),
        ("< Hello.", "line 1, column 1", "an expectation before any answer"),
        ("> Hi", "line 1, column 1", "an answer below it"),
        ("> Hi\n! wait 1 s", "line 1, column 1", "an answer below it"),
        ("> Hi\n> Ho\n< Hi", "line 1, column 1", "an answer below it"),
        (">Hi\n< Hi", "line 1, column 1", "one of the marks > = < ! #"),
        ("Hi\n< Hi", "line 1, column 1", "one of the marks"),
        (">  Hi\n< Hi", "line 1, column 3", "words, /regex/ or *"),
        ("> \n< Hi", "line 1, column 3", "words, /regex/ or *"),
        ("> Hi \n< Hi", "line 1, column 5", "no space at the end"),
        ("> Hi\r\n< Hi", "line 1, column 5", "no control character such as '\\r'"),
        ("> Hi\n<\tHi", "line 2, column 2", "no control character such as '\\t'"),
        ("> /a(/\n< Hi", "line 1, column 5", "a regular expression (missing )"),
        ("> Hi\n! sing a song", "line 2, column 3", "call, refuse, fail or wait"),
        ("> Hi\n! call", "line 2, column 7", "the name of a function"),
        ("> Hi\n! call a.b {}", "line 2, column 8", "a name of letters"),
        ("> Hi\n! call f [1]", "line 2, column 10", "a JSON object"),
        ('> Hi\n! call f {"a": }', "line 2, column 16", "a JSON object (Expecting value)"),
        ("> Hi\n! fail", "line 2, column 7", "a code such as"),
        ("> Hi\n! fail code", "line 2, column 12", "a sentence"),
        ("> Hi\n! refuse", "line 2, column 9", "words"),
        ("> Hi\n! wait soon", "line 2, column 8", "a duration such as 200 ms or 3 s"),
    ],
)
def test_what_is_no_script_is_said_with_its_place(text: str, place: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Script.parse(text)

    assert str(caught.value).startswith(f"the script, {place}: expected {expected}")


@pytest.mark.parametrize(
    ("pattern", "fits", "not_fits"),
    [
        ("Hello there.", ["Hello there.", " Hello \n there. "], ["hello there.", "Hello", ""]),
        ("/wea.her/", ["the weather today"], ["the water", ""]),
        ("*", ["anything", ""], []),
        (r"\*", ["*"], ["anything"]),
        (r"\/a/", ["/a/"], ["a"]),
        (r"\\x", [r"\x"], ["x"]),
        ("/a", ["/a"], ["a"]),
    ],
)
def test_what_fits_an_expectation(pattern: str, fits: list[str], not_fits: list[str]) -> None:
    expect = Expect(pattern)
    assert [expect.fits(text) for text in fits] == [True] * len(fits)
    assert [expect.fits(text) for text in not_fits] == [False] * len(not_fits)


def test_a_file_is_read_and_one_that_can_t_be_is_one_sentence(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text(WEATHER, encoding="utf-8", newline="\r\n")
    bad.write_bytes(b"> \xff\n")

    ScriptModel.from_file(good)
    with pytest.raises(ConfigurationError, match="it is not UTF-8"):
        ScriptModel.from_file(bad)
    with pytest.raises(ConfigurationError, match="No such file"):
        ScriptModel.from_file(tmp_path / "none.txt")
    with pytest.raises(ConfigurationError, match="a script is a text"):
        ScriptModel(7)  # type: ignore[arg-type]


@asynccontextmanager
async def following(model: ScriptModel) -> AsyncGenerator[RealtimeSession]:
    async with serve(voice=EchoVoice(), model=model) as gateway:
        client = MeshAPI(base_url=gateway.url)
        async with client.realtime.connect(model="openai/gpt-realtime") as session:
            await session.update({"type": "realtime", "output_modalities": ["text"]})
            yield session


async def ask(session: RealtimeSession, text: str | None = None) -> Response:
    if text is not None:
        await session.create_item(UserMessage(content=[InputText(text=text)]))
    await session.send({"type": "response.create"})
    async for message in session:
        if message.event.type == "response.done":
            response: Response = message.event.response
            return response
    raise AssertionError


def texts(response: Response) -> list[str]:
    return [item.content[0].text for item in response.output if item.type == "message"]


@pytest.mark.anyio
async def test_a_session_follows_its_script_to_the_end() -> None:
    model = ScriptModel(WEATHER.replace("(speech)", "*"))
    async with following(model) as session:
        first = await ask(session, "What's the  weather in Paris?")
        call = first.output[1]
        output = FunctionCallOutput(call_id=call.call_id, output='{"sky": "clear"}')
        await session.create_item(output)
        second = await ask(session)
        with pytest.raises(AssertionError, match="line 9 was not reached"):
            model.check()
        third = await ask(session, "Really?")
        fourth = await ask(session, "Again.")

    assert texts(first) == ["Let me look."]
    assert (call.name, call.arguments) == ("get_weather", '{"city": "Paris"}')
    assert texts(second) == ["A fine day."]
    assert third.status == "incomplete"
    assert fourth.status == "failed"
    assert fourth.status_details.error.code == "rate_limit_exceeded"
    assert model.problems == []
    model.check()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("script", "said", "problem"),
    [
        ("> Hi\n< Ho", "Bye", "line 1 expects the user's 'Hi'; there came the user's 'Bye'"),
        ("> Hi\n< Ho", None, "line 1 expects the user's 'Hi'; there came nothing"),
        ("= done\n< Ho", "Hi", "line 1 expects a function's 'done'; there came the user's 'Hi'"),
        ("> (speech)\n< Ho", "Hi", "line 1 expects the user's '(speech)'; there came the user's"),
    ],
)
async def test_what_is_not_expected_fails_the_response_and_the_test(
    script: str, said: str | None, problem: str
) -> None:
    model = ScriptModel(script)
    async with following(model) as session:
        response = await ask(session, said)

    assert response.status == "failed"
    error = response.status_details.error
    assert error.code == "script_not_followed"
    assert problem in error.message
    assert problem in model.problems[0]
    with pytest.raises(AssertionError, match="the script was not followed"):
        model.check()


@pytest.mark.anyio
async def test_more_than_the_script_has_is_a_problem_too() -> None:
    model = ScriptModel("> Hi\n< Ho")
    async with following(model) as session:
        await ask(session, "Hi")
        await ask(session, "Hi")

    assert model.problems == ["the script ends before this; there came the user's 'Hi'"]


@pytest.mark.anyio
async def test_each_session_begins_at_the_beginning() -> None:
    model = ScriptModel("> Hi\n< Ho")
    for _ in range(2):
        async with following(model) as session:
            assert texts(await ask(session, "Hi")) == ["Ho"]

    model.check()


def test_a_script_that_nobody_followed_is_a_failure() -> None:
    with pytest.raises(AssertionError, match="no session has begun"):
        ScriptModel("> Hi\n< Ho").check()


@pytest.mark.anyio
async def test_speech_meets_words_and_is_transcribed_as_them(train: bytes) -> None:
    model = ScriptModel("> When does it leave?\n< At noon.\n> (speech)\n< Again?")
    transcripts: list[str | None] = []
    async with following(model) as session:
        audio = {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": None}}
        await session.update({"type": "realtime", "audio": audio})
        for answer in ("At noon.", "Again?"):
            await session.send_audio(train)
            await session.commit()
            with anyio.fail_after(10):
                async for message in session:
                    if message.event.type.endswith(("transcription.completed", "failed")):
                        transcripts.append(message.event.data.get("transcript"))
                        break
            assert texts(await ask(session)) == [answer]

    assert transcripts == ["When does it leave?"] * 2  # the same speech, and so the same words
    model.check()


@pytest.mark.anyio
async def test_a_script_model_answers_without_a_session_too() -> None:
    model = ScriptModel("> Hi\n< Ho")
    assert await model.reply(Heard(parts=(HeardText(text="Hi"),))) == [Say("Ho")]
    model.check()


@pytest.mark.anyio
@pytest.mark.parametrize("pattern", ["Hi", "*", "(speech)"])
async def test_what_the_user_says_is_not_what_a_function_returns(pattern: str) -> None:
    model = ScriptModel(f"> {pattern}\n< Ho")
    output = FunctionCallOutput(call_id="call_1", output="Hi")
    await model.reply(Heard(parts=(HeardText(text="Hi"),), tool_outputs=(output,)))

    assert model.problems == [
        f"line 1 expects the user's {pattern!r}; there came a function's 'Hi'"
    ]
