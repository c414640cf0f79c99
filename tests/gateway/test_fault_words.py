"""Faults as values and in words: what may be said, and what is said of what may not."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from meshrt.errors import ConfigurationError
from meshrt.events import BETA_NAMES, CLIENT_EVENTS, SERVER_EVENTS
from meshrt.gateway import parse_fault
from meshrt.gateway.faults import (
    Close,
    Delay,
    Drop,
    Duplicate,
    Edit,
    End,
    Expire,
    Fault,
    IgnoreClose,
    Insert,
    Lose,
    Malformed,
    Oversized,
    RefuseHandshake,
    Slow,
    Stall,
    Tear,
    Unknown,
)

seconds = st.floats(0, 86_400, allow_nan=False)
counts = st.integers(1, 10**9)
texts = st.text(st.characters(exclude_categories=["Cs"]))
reasons = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=120)
codes = st.integers(0, 65_535)
words = st.from_regex(r"[a-z][a-z_]{0,20}", fullmatch=True)
ours = st.sampled_from(
    sorted(SERVER_EVENTS) + sorted(set(BETA_NAMES) - {"transcription_session.update"})
)
anybody = st.none() | ours | st.sampled_from(sorted(CLIENT_EVENTS))
often = st.none() | counts


@st.composite
def placed(draw: st.DrawFn, kind: type[Fault], **values: st.SearchStrategy[Any]) -> Fault:
    given = {name: draw(strategy) for name, strategy in values.items()}
    if kind is RefuseHandshake:
        return kind(**given, times=draw(often))
    at = draw(ours if issubclass(kind, Edit) else anybody)
    nth = 1 if at is None else draw(often)
    after = 0.0 if issubclass(kind, Edit) else draw(seconds)
    return kind(**given, at=at, nth=nth, after=after, times=draw(often))


faults = st.one_of(
    placed(Close, code=codes, reason=reasons),
    placed(End, code=words, close_code=codes),
    placed(Expire, by=st.sampled_from(["close", "error", "drop"])),
    placed(Stall, seconds=seconds),
    placed(Slow, bytes_per_second=st.integers(1, 2**28)),
    placed(Insert, text=texts),
    placed(Oversized, size=st.integers(100, 2**28)),
    placed(Delay, seconds=seconds),
    placed(
        RefuseHandshake,
        status=st.integers(300, 599),
        retry_after=st.none() | st.integers(0, 10**9),
        body=st.none() | texts,
    ),
    *(placed(kind) for kind in (Drop, Tear, IgnoreClose, Unknown, Malformed, Duplicate, Lose)),
)


@given(faults)
def test_what_a_fault_prints_is_read_as_that_fault(fault: Fault) -> None:
    assert parse_fault(str(fault)) == fault


@given(
    st.text() | st.lists(st.sampled_from([*'0129 ".', "at", "close", "every", "s"])).map(" ".join)
)
def test_any_text_is_a_fault_or_one_error(text: str) -> None:
    try:
        fault = parse_fault(text)
    except ConfigurationError:
        return
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("close", Close(1011)),
        ('close 4000 "gone"', Close(4000, "gone")),
        ("close 1011 at response.created", Close(1011, at="response.created")),
        ("close at 2nd response.created", Close(1011, at="response.created", nth=2)),
        (
            "drop at every response.create after 200ms",
            Drop(at="response.create", nth=None, after=0.2),
        ),
        ("end insufficient_quota", End("insufficient_quota", 4402)),
        ("end invalid_api_key", End("invalid_api_key", 1008)),
        ("drain after 3 s", End("service_draining", 1011, after=3)),
        ("expire", Expire("close")),
        ("expire by drop after 1.5 s once", Expire("drop", after=1.5, times=1)),
        ("stall 3s", Stall(3)),
        ("slow 100 3 times", Slow(100, times=3)),
        ("ignore close", IgnoreClose()),
        (r'insert "{\"type\": \"x\"}"', Insert('{"type": "x"}')),
        ("oversized 3 times", Oversized(times=3)),
        ("close 3 times", Close(times=3)),
        ("end internal_error 3 times", End("internal_error", times=3)),
        ("delay 20 ms at session.updated", Delay(0.02, at="session.updated")),
        ('refuse 429 retry 7 "no" once', RefuseHandshake(429, 7, "no", times=1)),
        ("  tear   at\tresponse.done ", Tear(at="response.done")),
    ],
)
def test_words_are_read(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "one of close, end, drain"),
        ("explode", 1, "one of close, end, drain"),
        ("close 1011 when response.created", 12, "`at`, `after`, `once` or the end"),
        ("close 1011 at", 14, "an event such as response.created"),
        ("stall at response.created", 7, "a duration such as 200 ms or 3 s"),
        ("stall 3", 8, "ms or s"),
        ("stall 3 h", 9, "ms or s"),
        ("drop after soon", 12, "a duration"),
        ("slow fast", 6, "a number of bytes per second"),
        ("ignore everything", 8, "close"),
        ("insert", 7, "the message, in double quotes"),
        ('insert "abc', 8, "a text in double quotes"),
        ("expire by magic", 11, "close, error or drop"),
        ("end", 4, "an error's code"),
        ("refuse", 7, "an HTTP status"),
        ("drop 3", 7, "times"),
    ],
)
def test_what_is_no_fault_is_said_with_its_column(text: str, column: int, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_fault(text)

    assert f"column {column}: expected {expected}" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Close(at="response.craeted"), "no event 'response.craeted'.*'response.created'"),
        (lambda: Close(at=7), "no event 7"),
        (lambda: Close(65_536), "code is a number from 0 to 65535, not 65536"),
        (lambda: Close(True), "code is a number"),
        (lambda: Close(1011, "ü" * 62), "at most 123 bytes"),
        (lambda: Close(1011, nth=2), "nth counts the events of `at`"),
        (lambda: Close(1011, at="error", nth=0), "nth is a number from 1"),
        (lambda: Close(1011, times=0), "times is a number from 1"),
        (lambda: Close(1011, after=-1), "after is a number of seconds"),
        (lambda: Close(1011, after=float("nan")), "after is a number of seconds"),
        (lambda: Stall("3"), "seconds is a number of seconds"),
        (lambda: Expire("magic"), "by is one of"),
        (lambda: End("two words"), "code is one word"),
        (lambda: Close(1011, "\ud800"), "at most 123 bytes of UTF-8"),
        (lambda: Insert(b"x"), "text is a text"),
        (lambda: Insert("\ud800"), "text holds a lone surrogate"),
        (lambda: RefuseHandshake(503, body="\udfff"), "body holds a lone surrogate"),
        (Lose, "event of the server's: name it, such as 'lose at response.created'"),
        (lambda: Duplicate(at="session.update"), "an event of the server's"),
        (lambda: Delay(1, at="session.updated", after=1), "not after it"),
        (lambda: RefuseHandshake(101), "status is a number from 300 to 599"),
        (lambda: RefuseHandshake(503, at="error"), "before there is a session"),
        (Fault, "a fault is of a kind"),
        (lambda: parse_fault(7), "a fault is a Fault or a text, not 7"),
    ],
)
def test_what_can_t_be_is_one_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        make()
