"""What a turn takes down, without a server."""

import math

import pytest

from meshrt.cli._turn import Turn
from meshrt.events import (
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    Response,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    UnknownEvent,
)

LOUD = b"\xff\x7f" * 480  # 20 ms


def place(response: str = "r1") -> dict[str, object]:
    return {
        "response_id": response,
        "item_id": f"item of {response}",
        "output_index": 0,
        "content_index": 0,
    }


def created(response: str = "r1") -> ResponseCreated:
    return ResponseCreated(response=Response(id=response, status="in_progress"))


def done(response: str = "r1", status: str = "completed") -> ResponseDone:
    return ResponseDone(response=Response(id=response, status=status))


STARTED = InputAudioBufferSpeechStarted(item_id="i", audio_start_ms=0)
STOPPED = InputAudioBufferSpeechStopped(item_id="i", audio_end_ms=1000)
COMMITTED = InputAudioBufferCommitted(item_id="i")


@pytest.mark.parametrize(
    ("events", "answered"),
    [
        ([], False),
        ([STARTED, STOPPED, COMMITTED], False),
        ([STARTED, STOPPED, COMMITTED, created()], False),
        ([STARTED, STOPPED, COMMITTED, created(), done()], True),
        ([STARTED, STOPPED, COMMITTED, created(), done(), STARTED], False),
        ([STARTED, STOPPED, created(), STARTED, done(status="cancelled"), STOPPED], False),
        ([STARTED, STOPPED, created(), done(), STARTED, STOPPED, created("r2"), done("r2")], True),
        ([STARTED, STOPPED, created(), created("r2"), done("r2")], False),
    ],
)
def test_a_turn_is_answered_when_nothing_is_owed(events: list[object], answered: bool) -> None:
    turn = Turn(question="q")

    for event in events:
        turn.hear(event, 0.0)  # type: ignore[arg-type]

    assert turn.answered is answered


def test_a_commit_of_ours_ends_speech_that_the_server_has_not_ended() -> None:
    turn = Turn(question="q")
    for event in (STARTED, COMMITTED):
        turn.hear(event, 0.0)
    turn.ask(0.0)

    for event in (created(), done()):
        turn.hear(event, 0.0)

    assert turn.answered
    assert not turn.ended_by_server


def test_first_audio_is_measured_from_the_end_of_the_speech_once() -> None:
    turn = Turn(question="q")
    turn.hear(STOPPED, 10.0)

    turn.hear(ResponseOutputAudioDelta(**place(), delta=LOUD), 10.25)
    turn.hear(ResponseOutputAudioDelta(**place(), delta=LOUD), 11.0)

    assert turn.first_audio_ms == 250.0
    assert turn.received_ms == 40.0
    assert turn.notes == ["speech ended at 1.0 s", "first audio after 250 ms"]


def test_without_a_pace_no_time_is_measured() -> None:
    turn = Turn(question="q", paced=False)
    turn.hear(STOPPED, 10.0)

    turn.hear(ResponseOutputAudioDelta(**place(), delta=LOUD), 10.25)

    assert turn.first_audio_ms is None


def test_a_delta_may_end_within_a_sample() -> None:
    turn = Turn(question="q")
    audio = LOUD * 3 + b"\xff"
    for piece in (audio[:7], audio[7:961], audio[961:]):
        turn.hear(ResponseOutputAudioDelta(**place(), delta=piece), 0.0)

    assert bytes(turn.received) == audio
    assert turn.received_levels == [pytest.approx(0.0, abs=0.01)] * 3


def test_words_belong_to_their_response() -> None:
    turn = Turn(question="q")
    for response, word in (("r1", "I "), ("r2", "You"), ("r1", "am"), ("r2", " are")):
        turn.hear(ResponseOutputAudioTranscriptDelta(**place(response), delta=word), 0.0)

    assert turn.transcript == "I am You are"


def test_the_whole_transcript_is_the_last_word() -> None:
    turn = Turn(question="q")
    turn.hear(ResponseOutputAudioTranscriptDelta(**place(), delta="I a"), 0.0)
    turn.hear(ResponseOutputAudioTranscriptDone(**place(), transcript="I am."), 0.0)

    assert turn.transcript == "I am."


def test_every_event_is_counted_by_its_name() -> None:
    turn = Turn(question="q")
    for event in (STARTED, STOPPED, STARTED, UnknownEvent(type="new.one", data={})):
        turn.hear(event, 0.0)

    assert turn.events == {
        "input_audio_buffer.speech_started": 2,
        "input_audio_buffer.speech_stopped": 1,
        "new.one": 1,
    }


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        ("completed", None),
        ("incomplete", None),
        ("failed", "the response ended as 'failed'"),
        ("cancelled", "the response ended as 'cancelled'"),
    ],
)
def test_a_response_that_is_cut_is_a_failure(status: str, failure: str | None) -> None:
    turn = Turn(question="q")
    turn.hear(done(status=status), 0.0)

    assert turn.failure == failure


def test_what_is_said_is_measured() -> None:
    changes: list[None] = []
    turn = Turn(question="q", changed=lambda: changes.append(None))

    turn.say(bytes(960))
    turn.say(LOUD)

    assert turn.sent_ms == 40.0
    assert turn.sent_levels == [-math.inf, pytest.approx(0.0, abs=0.01)]
    assert len(changes) == 2
