"""The picture that a terminal shows, as text."""

import io
import math

import pytest
from rich.console import Console

from meshrt.cli._display import picture
from meshrt.cli._turn import Turn


def drawn(turn: Turn, *, width: int = 80, plain: bool = False) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True, legacy_windows=False)
    console.print(picture(turn, width=width, plain=plain))
    return console.export_text().splitlines()


@pytest.fixture
def turn() -> Turn:
    """Give a turn in the middle of its question."""
    turn = Turn(question="train.wav", question_ms=4000.0, backend="trio", server="http://x:1")
    turn.greeted(session_id="sess_1", model="openai/gpt-realtime-mini")
    turn.sent_ms = 2000.0
    turn.sent_levels = [-math.inf] * 50 + [-9.0] * 50
    return turn


def row(lines: list[str], name: str) -> str:
    return next(line for line in lines if f"│ {name} " in line)


def test_the_question_is_drawn_up_to_where_it_is(turn: Turn) -> None:
    line = row(drawn(turn), "you")

    quiet, loud = line.count("▁"), line.count("█")
    assert quiet == pytest.approx(loud, abs=1)
    assert quiet + loud == pytest.approx((80 - 39) / 2, abs=1)
    assert "-9 dB" in line
    assert "2.0 of 4.0 s" in line


def test_the_progress_stands_under_the_question(turn: Turn) -> None:
    lines = drawn(turn)
    below = lines[lines.index(row(lines, "you")) + 1]

    assert below.index("━") == row(lines, "you").index("▁")
    assert "╺" in below or "╸" in below


def test_the_reply_is_drawn_with_its_words(turn: Turn) -> None:
    turn.received = bytearray(48 * 1500)
    turn.received_levels = [-60.0] * 25 + [-20.0] * 50
    turn.note("first audio after 97 ms")
    turn._words["r", "i", 0] = "The train leaves at nine."

    lines = drawn(turn)

    assert "1.5 s" in row(lines, "model")
    assert row(lines, "model").count("▁") == 5
    assert any("first audio after 97 ms" in line for line in lines)
    assert any("The train leaves at nine." in line for line in lines)


def test_silence_after_the_question_does_not_go_beyond_it(turn: Turn) -> None:
    turn.sent_ms = 5000.0
    turn.sent_levels += [-math.inf] * 150

    assert "4.0 of 4.0 s" in row(drawn(turn), "you")


def test_a_written_question_is_shown_as_it_was_written() -> None:
    turn = Turn(question='"How late is it?"', backend="asyncio")

    lines = drawn(turn)

    assert '"How late is it?"' in row(lines, "you")
    assert any("connecting" in line for line in lines)


@pytest.mark.parametrize("width", [50, 78, 80, 200])
def test_it_keeps_within_the_window(turn: Turn, width: int) -> None:
    turn.received_levels = [-20.0] * 9000
    turn._words["r", "i", 0] = "word " * 2000

    lines = drawn(turn, width=width)

    assert all(len(line) <= width for line in lines)
    assert len(lines) < 24


def test_a_terminal_without_unicode_gets_ascii(turn: Turn) -> None:
    inside = [line.strip("│╭╮╰╯") for line in drawn(turn, plain=True)]

    assert "#" in "".join(inside)
    assert "█" not in "".join(inside)


def test_control_characters_of_a_server_do_not_reach_the_terminal(turn: Turn) -> None:
    turn._words["r", "i", 0] = "a\x1b[2Jb\nc\x07"

    text = "\n".join(drawn(turn))

    assert "\x1b" not in text
    assert "\x07" not in text
    assert "a [2Jb c" in text
