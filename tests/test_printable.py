"""A stranger's words do nothing in a log but stand there."""

import unicodedata

import pytest
from hypothesis import given, strategies as st

from meshrt._printable import LIMIT, printable

# What a terminal or a reader of logs obeys: controls, marks of direction, line ends, surrogates.
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(st.characters()))
def test_nothing_is_left_that_is_obeyed_and_the_length_has_an_end(text: str) -> None:
    shown = printable(text)

    assert not {unicodedata.category(char) for char in shown} & OBEYED
    assert len(shown) <= LIMIT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words, Grüße, 世界", "plain words, Grüße, 世界"),
        ("a\r\nb\0", r"a\r\nb\x00"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("user\u202eexe", r"user\u202eexe"),
        ("\ud800\U000e0001", r"\ud800\U000e0001"),
        (r"C:\new", r"C:\\new"),
        ("", ""),
    ],
)
def test_what_is_harmless_stays_and_the_rest_is_named(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_long_is_cut_where_it_shows() -> None:
    assert printable("x" * LIMIT) == "x" * LIMIT
    assert printable("x" * 10**6) == f"{'x' * (LIMIT - 1)}…"
    assert printable("\n" * LIMIT) == ("\\n" * LIMIT)[: LIMIT - 1] + "…"
