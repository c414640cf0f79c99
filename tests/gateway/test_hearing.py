"""The voice activity detector and the input buffer, on real speech and on made-up audio."""

import random
from array import array
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from meshrt.audio import bytes_of_ms, chunks, duration_ms, pcm_of, read_wav
from meshrt.errors import ConfigurationError, LocalProtocolError
from meshrt.gateway._hearing import (
    InputBuffer,
    ServerVad,
    SpeechStarted,
    SpeechStopped,
    speech_ms,
)

DATA = Path(__file__).parents[1] / "data" / "audio"
TRAIN = read_wav(Path(str(files("meshrt") / "cli" / "speech" / "train_question_24k.wav")))
TWO_TURNS = read_wav(DATA / "two_turns_24k.wav")
JOURNEY = read_wav(DATA / "journey_question_24k.wav")

LOUD, QUIET, FADED = 8_000, 30, 230  # -12, -61 and -43 dBFS

Scene = list[tuple[int, int]]


def sound(ms: float, amplitude: int = LOUD) -> bytes:
    """Return a buzz of exactly that amplitude."""
    return pcm_of(array("h", [amplitude, -amplitude])) * (bytes_of_ms(ms) // 4)


def silence(ms: float) -> bytes:
    return bytes(bytes_of_ms(ms))


def noise(ms: float, amplitude: int) -> bytes:
    dice = random.Random(1)
    count = bytes_of_ms(ms) // 2
    return pcm_of(array("h", [dice.randint(-amplitude, amplitude) for _ in range(count)]))


def split(pcm: bytes, sizes: list[int]) -> list[bytes]:
    """Cut it into pieces of so many samples, the rest in one."""
    pieces = []
    for size in sizes:
        pieces.append(pcm[: 2 * size])
        pcm = pcm[2 * size :]
    return [*pieces, pcm]


def audio_of(scene: Scene) -> bytes:
    return b"".join(sound(ms, amplitude) for ms, amplitude in scene)


scenes = st.lists(
    st.tuples(st.integers(1, 900), st.sampled_from([LOUD, FADED, QUIET])), max_size=8
)
sizes = st.lists(st.integers(0, 20_000), max_size=20)


def test_one_question_is_one_turn_with_its_padding_and_its_silence() -> None:
    match ServerVad().feed(TRAIN):
        case [SpeechStarted(audio_start_ms=start), SpeechStopped(audio_end_ms=end)]:
            assert 0 <= start <= 300
            assert 3_900 <= end <= 4_400
        case other:
            pytest.fail(f"not one turn: {other}")


def test_two_questions_are_two_turns_in_order() -> None:
    events = ServerVad().feed(TWO_TURNS)
    assert [isinstance(event, SpeechStarted) for event in events] == [True, False] * 2
    places = [
        event.audio_start_ms if isinstance(event, SpeechStarted) else event.audio_end_ms
        for event in events
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("threshold", [0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("silence_duration_ms", [200, 500, 700])
def test_clear_speech_is_found_at_every_usual_threshold(
    threshold: float, silence_duration_ms: int
) -> None:
    for pcm, turns in ((TRAIN, 1), (JOURNEY, 1), (TWO_TURNS, 2)):
        vad = ServerVad(threshold=threshold, silence_duration_ms=silence_duration_ms)
        assert len(vad.feed(pcm)) == 2 * turns


@pytest.mark.parametrize(
    "pcm", [b"", silence(5_000), noise(5_000, 100), sound(5_000, QUIET)], ids=len
)
def test_nobody_speaks_in_silence_or_low_noise(pcm: bytes) -> None:
    vad = ServerVad()
    assert vad.feed(pcm) == []
    assert not vad.speaking
    assert speech_ms(pcm) == 0


def test_a_lower_threshold_hears_what_a_higher_one_does_not() -> None:
    pcm = silence(400) + sound(600, FADED) + silence(600)
    assert ServerVad(threshold=0.5).feed(pcm) == []
    assert len(ServerVad(threshold=0.3).feed(pcm)) == 2


def test_a_click_is_not_speech() -> None:
    assert ServerVad().feed((sound(20) + silence(380)) * 10) == []


def test_speech_that_fades_a_little_goes_on() -> None:
    pcm = silence(400) + sound(200) + sound(2_000, FADED) + silence(500)
    assert ServerVad().feed(pcm) == [
        SpeechStarted(audio_start_ms=100),
        SpeechStopped(audio_end_ms=3_100),
    ]


@pytest.mark.parametrize(
    ("padding", "quiet", "start", "end"),
    [(300, 500, 700, 1_700), (0, 200, 1_000, 1_400), (2_000, 500, 0, 1_700), (300, 0, 700, 1_220)],
)
def test_the_padding_moves_the_start_and_the_silence_the_end(
    padding: int, quiet: int, start: int, end: int
) -> None:
    vad = ServerVad(prefix_padding_ms=padding, silence_duration_ms=quiet)
    assert vad.feed(silence(1_000) + sound(200) + silence(1_000)) == [
        SpeechStarted(audio_start_ms=start),
        SpeechStopped(audio_end_ms=end),
    ]


def test_a_turn_s_padding_may_reach_back_before_the_end_of_the_last() -> None:
    vad = ServerVad(prefix_padding_ms=300, silence_duration_ms=200)
    events = vad.feed((silence(260) + sound(200)) * 2)
    assert events[1:] == [SpeechStopped(audio_end_ms=660), SpeechStarted(audio_start_ms=420)]


@given(scenes, sizes)
def test_how_the_audio_is_cut_changes_nothing(scene: Scene, cuts: list[int]) -> None:
    pcm = audio_of(scene)
    whole, pieces = ServerVad(silence_duration_ms=200), ServerVad(silence_duration_ms=200)
    heard = [event for piece in split(pcm, cuts) for event in pieces.feed(piece)]
    assert heard == whole.feed(pcm)
    assert (pieces.speaking, pieces.needed_from_ms) == (whole.speaking, whole.needed_from_ms)


@given(scenes)
def test_starts_and_stops_alternate_within_the_audio(scene: Scene) -> None:
    pcm = audio_of(scene)
    vad = ServerVad(silence_duration_ms=100)
    events = vad.feed(pcm)
    starts = [isinstance(event, SpeechStarted) for event in events]
    assert starts == ([True, False] * len(events))[: len(events)]
    assert vad.speaking is (len(events) % 2 == 1)
    for event in events:
        match event:
            case SpeechStarted(audio_start_ms=place) | SpeechStopped(audio_end_ms=place):
                assert 0 <= place <= duration_ms(pcm)


def test_a_reset_forgets_the_speech_and_keeps_the_time() -> None:
    vad = ServerVad()
    vad.feed(silence(1_000) + sound(510))
    assert vad.speaking
    vad.reset()
    assert not vad.speaking
    assert vad.feed(silence(100)) == []
    assert vad.feed(sound(200)) == [SpeechStarted(audio_start_ms=1_510)]


def test_a_detector_that_comes_later_counts_from_where_the_session_is() -> None:
    vad = ServerVad(start_ms=10_000)
    assert vad.feed(sound(200)) == [SpeechStarted(audio_start_ms=10_000)]


def test_an_odd_number_of_bytes_is_refused_and_not_heard() -> None:
    vad, buffer = ServerVad(), InputBuffer()
    for take in (vad.feed, buffer.append):
        with pytest.raises(LocalProtocolError, match="not PCM16"):
            take(b"abc")
    assert buffer.end_ms == 0
    assert vad.feed(sound(60)) == [SpeechStarted(audio_start_ms=0)]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("threshold", 1.5),
        ("threshold", float("nan")),
        ("prefix_padding_ms", -1),
        ("prefix_padding_ms", 10_001),
        ("silence_duration_ms", -1),
        ("silence_duration_ms", 10**9),
    ],
)
def test_an_option_out_of_its_range_is_named(option: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=rf"turn_detection\.{option} is .*must be from 0"):
        ServerVad(**{option: value})  # type: ignore[arg-type]


def turns_of(pcm: bytes, piece_ms: float, vad: ServerVad) -> list[bytes]:
    """Run the detector and the buffer as the gateway does."""
    buffer, turns, start = InputBuffer(), [], 0
    for piece in chunks(pcm, piece_ms):
        buffer.append(piece)
        for event in vad.feed(piece):
            match event:
                case SpeechStarted(audio_start_ms=start):
                    pass
                case SpeechStopped(audio_end_ms=end):
                    turns.append(buffer.take(start, end).pcm)
        buffer.forget_before(vad.needed_from_ms)
    return turns


@pytest.mark.parametrize("piece_ms", [7, 20, 100, 10_000])
@pytest.mark.parametrize("options", [(300, 500), (300, 200), (1_000, 100)])
def test_a_forgetful_buffer_still_has_every_turn_whole(
    piece_ms: float, options: tuple[int, int]
) -> None:
    def detector() -> ServerVad:
        return ServerVad(prefix_padding_ms=options[0], silence_duration_ms=options[1])

    events = iter(detector().feed(TWO_TURNS))
    expected = [
        TWO_TURNS[bytes_of_ms(start.audio_start_ms) : bytes_of_ms(stop.audio_end_ms)]
        for start, stop in zip(events, events, strict=False)
        if isinstance(start, SpeechStarted) and isinstance(stop, SpeechStopped)
    ]
    assert turns_of(TWO_TURNS, piece_ms, detector()) == expected
    assert len(expected) >= 2


def test_of_a_long_silence_the_last_minute_is_kept_for_a_commit() -> None:
    buffer, vad = InputBuffer(), ServerVad(prefix_padding_ms=300)
    for piece in chunks(silence(61_000), 50):
        buffer.append(piece)
        vad.feed(piece)
        buffer.forget_before(vad.needed_from_ms)
        assert buffer.start_ms == max(0, buffer.end_ms - 60_000)
    assert (buffer.end_ms, buffer.uncommitted_ms) == (61_000, 60_000)
    assert buffer.commit().pcm == silence(60_000)


def test_of_what_is_committed_no_more_than_the_padding_is_kept() -> None:
    buffer, vad = InputBuffer(), ServerVad(prefix_padding_ms=300)
    for piece in chunks(silence(2_000), 50):
        buffer.append(piece)
        vad.feed(piece)
        buffer.take(0, buffer.end_ms)
        buffer.forget_before(vad.needed_from_ms)
        assert buffer.end_ms - buffer.start_ms <= 300 + 20


def test_a_turn_longer_than_the_silence_that_is_kept_is_whole() -> None:
    [turn] = turns_of(silence(400) + sound(62_000) + silence(600), 1_000, ServerVad())
    assert turn == silence(300) + sound(62_000) + silence(500)


def test_a_commit_takes_everything_and_the_named_item_once() -> None:
    buffer = InputBuffer()
    buffer.append(sound(100))
    buffer.item_id = "item_1"
    buffer.append(silence(20))
    committed = buffer.commit()
    assert (committed.item_id, committed.pcm) == ("item_1", sound(100) + silence(20))
    assert buffer.item_id is None
    assert (buffer.uncommitted_ms, buffer.end_ms) == (0, 120)
    assert buffer.commit().pcm == b""


def test_a_commit_after_a_turn_takes_only_what_is_new() -> None:
    buffer = InputBuffer()
    buffer.append(sound(100) + silence(40))
    assert buffer.take(20, 100).pcm == sound(80)
    assert buffer.uncommitted_ms == 40
    assert buffer.commit().pcm == silence(40)


def test_a_turn_may_reach_back_into_the_last_one_s_silence() -> None:
    buffer = InputBuffer()
    buffer.append(sound(100) + silence(100) + sound(100))
    buffer.take(0, 200)
    assert buffer.take(150, 300).pcm == silence(50) + sound(100)


def test_what_is_no_longer_or_not_yet_there_is_left_out() -> None:
    buffer = InputBuffer()
    buffer.append(sound(100))
    buffer.take(0, 60)
    buffer.forget_before(80)
    assert buffer.take(0, 1_000).pcm == sound(40)
    assert buffer.take(500, 400).pcm == b""


def test_a_clear_forgets_the_audio_and_the_item_and_keeps_the_time() -> None:
    buffer = InputBuffer()
    buffer.append(sound(100))
    buffer.item_id = "item_1"
    buffer.clear()
    assert buffer.item_id is None
    assert buffer.uncommitted_ms == 0
    buffer.append(silence(20))
    assert (buffer.start_ms, buffer.end_ms) == (100, 120)


def test_audio_is_not_printed() -> None:
    buffer = InputBuffer()
    buffer.append(sound(100))
    assert repr(buffer.commit()) == "Committed(item_id=None, pcm=<4800 bytes>)"


def test_speech_is_counted_without_the_silence_around_it() -> None:
    assert speech_ms(silence(500) + sound(1_000) + silence(2_000) + sound(400)) == 1_400
    assert 2_700 <= speech_ms(TRAIN) <= 3_300


def test_speech_counts_the_short_gaps_between_words_and_no_clicks() -> None:
    assert speech_ms((sound(200) + silence(100)) * 3 + silence(500) + sound(20)) == 800


@given(scenes)
def test_no_audio_has_more_speech_than_it_is_long(scene: Scene) -> None:
    pcm = audio_of(scene)
    assert 0 <= speech_ms(pcm) <= duration_ms(pcm)
