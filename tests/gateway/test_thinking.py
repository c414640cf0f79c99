"""The honest answer, and its deltas."""

import pytest
from hypothesis import given, strategies as st

from meshrt.gateway._thinking import (
    Heard,
    HeardAudio,
    HeardText,
    HonestModel,
    Model,
    deltas,
    honest_reply,
)

SECOND = bytes(48_000)


def audio(seconds: int, speech_ms: int) -> HeardAudio:
    return HeardAudio(pcm=SECOND * seconds, speech_ms=speech_ms)


def text(content: str) -> HeardText:
    return HeardText(text=content)


@pytest.mark.parametrize(
    ("parts", "reply"),
    [
        ((), "I heard nothing yet."),
        ((audio(0, 0), text(" \n")), "I heard nothing yet."),
        ((audio(4, 3_400),), "I heard 3.4 seconds of speech."),
        ((audio(2, 1_000),), "I heard 1.0 seconds of speech."),
        ((audio(2, 1_000), audio(3, 0), audio(4, 2_540)), "I heard 3.5 seconds of speech."),
        ((audio(2, 0),), "I heard 2.0 seconds of audio and no speech in it."),
        ((text("Hello"),), 'You wrote: "Hello".'),
        ((text("Hello,\nyou "), text("there")), 'You wrote: "Hello, you there".'),
        (
            (text("Hello"), audio(2, 1_500)),
            'I heard 1.5 seconds of speech. You wrote: "Hello".',
        ),
    ],
)
def test_the_reply_says_what_was_heard(
    parts: tuple[HeardAudio | HeardText, ...], reply: str
) -> None:
    assert honest_reply(Heard(parts=parts)) == reply


def test_the_shortest_speech_is_not_said_to_be_none() -> None:
    heard = Heard(parts=(HeardAudio(pcm=bytes(2_880), speech_ms=40),))
    assert honest_reply(heard) == "I heard 0.1 seconds of speech."


def test_a_long_text_is_quoted_in_part() -> None:
    reply = honest_reply(Heard(parts=(text("word " * 100_000),)))
    assert len(reply) < 250
    assert reply.startswith('You wrote: "word word')
    assert reply.endswith('word…".')


turns = st.lists(
    st.builds(HeardText, text=st.text()) | st.builds(audio, st.just(1), st.integers(0, 1_000)),
    max_size=5,
)


@given(turns)
def test_every_turn_gets_a_bounded_reply_on_one_line(parts: list[HeardAudio | HeardText]) -> None:
    reply = honest_reply(Heard(parts=tuple(parts)))
    assert 0 < len(reply) < 300
    assert len(reply.splitlines()) == 1


def test_only_the_parts_with_speech_are_speech() -> None:
    quiet, spoken = HeardAudio(pcm=b"qq", speech_ms=0), HeardAudio(pcm=b"ss", speech_ms=100)
    assert Heard(parts=(quiet, spoken, text("x"), spoken)).speech == b"ssss"


def test_audio_is_not_printed() -> None:
    assert repr(audio(1, 60)) == "HeardAudio(pcm=<48000 bytes>, speech_ms=60)"


@given(st.text())
def test_the_deltas_joined_are_exactly_the_text(content: str) -> None:
    pieces = deltas(content)
    assert "".join(pieces) == content
    assert all(pieces)


@given(st.text())
def test_no_delta_has_two_words(content: str) -> None:
    assert all(len(piece.split()) <= 1 for piece in deltas(content))


def test_a_delta_is_a_word_with_the_space_before_it() -> None:
    assert deltas("I heard 3.4 seconds. ") == ["I", " heard", " 3.4", " seconds.", " "]


@pytest.mark.anyio
async def test_the_honest_model_is_a_model() -> None:
    model: Model = HonestModel()
    assert await model.reply(Heard(parts=(text("Hello"),))) == 'You wrote: "Hello".'
