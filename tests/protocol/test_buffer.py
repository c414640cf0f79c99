"""A commit that the server would refuse is refused here, if and only if that is certain."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from meshrt.errors import LocalProtocolError
from meshrt.events import (
    UNSET,
    AudioConfig,
    AudioInput,
    AudioPCM,
    AudioPCMA,
    AudioPCMU,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    RealtimeSessionConfig,
    SemanticVad,
    ServerVad,
    SessionCreated,
    SessionUpdated,
    TranscriptionSession,
)
from meshrt.protocol import RealtimeProtocol, encode

COMMIT = InputAudioBufferCommit()


def session(
    turn_detection: Any = None, audio_format: Any = UNSET, kind: Any = RealtimeSessionConfig
) -> Any:
    entrance = AudioInput(turn_detection=turn_detection, format=audio_format)
    return kind(audio=AudioConfig(input=entrance))


def client(greeting: Any = None) -> RealtimeProtocol:
    protocol = RealtimeProtocol("client")
    protocol.receive_text(encode(SessionCreated(session=greeting or session())))
    return protocol


def encoded(event: Any) -> Any:
    return json.loads(encode(event))


def append(protocol: RealtimeProtocol, size: int) -> None:
    protocol.advance(protocol.prepare_audio(bytes(size)))


def is_refused(protocol: RealtimeProtocol, commit: Any = COMMIT) -> bool:
    """Tell whether a commit is refused now; if it is not, it is only prepared and not sent."""
    try:
        protocol.prepare(commit)
    except LocalProtocolError:
        return True
    return False


@pytest.mark.parametrize("commit", [COMMIT, {"type": "input_audio_buffer.commit"}])
@pytest.mark.parametrize(
    ("audio_format", "shortest"),
    [
        (UNSET, 4800),
        (None, 4800),
        (AudioPCM(rate=24_000), 4800),
        (AudioPCM(rate=48_000), 9600),
        (AudioPCM(rate=0), 4800),
        (AudioPCM(rate=10**9), 4800),
        ({"type": "audio/opus"}, 800),  # who knows how little that may be
        (AudioPCMU(), 800),
        (AudioPCMA(), 800),
    ],
    ids=repr,
)
def test_less_than_100_ms_is_refused_and_100_ms_are_not(
    commit: Any, audio_format: Any, shortest: int
) -> None:
    protocol = client(session(audio_format=audio_format))
    assert is_refused(protocol, commit)
    sample = 1 if isinstance(audio_format, AudioPCMU | AudioPCMA) else 2
    for _ in range(2):
        append(protocol, shortest - sample)
        assert is_refused(protocol, commit)
        append(protocol, sample)
        assert not is_refused(protocol, commit)
        protocol.send(commit)


def test_the_refusal_says_how_much_there_was() -> None:
    protocol = client()
    append(protocol, 2400)
    with pytest.raises(
        LocalProtocolError, match=r"^nothing was sent: 50 ms .* less than 100 ms; append"
    ):
        protocol.send(COMMIT)
    assert protocol.outstanding == ()


SERVER_DETECTS = [
    session(ServerVad()),
    session(SemanticVad()),
    session({"type": "azure_semantic_vad"}),
    session(UNSET),
    RealtimeSessionConfig(),
    RealtimeSessionConfig(audio=None),
    RealtimeSessionConfig(audio=AudioConfig()),
    TranscriptionSession(),
]


@pytest.mark.parametrize("greeting", SERVER_DETECTS, ids=repr)
def test_also_where_the_server_detects_turns_what_was_never_appended_is_not_there(
    greeting: Any,
) -> None:
    protocol = client(greeting)
    append(protocol, 4798)
    assert is_refused(protocol)
    append(protocol, 2)
    for _ in range(2):  # the server may have emptied it, or not: nobody knows
        assert not is_refused(protocol)
        protocol.send(COMMIT)
    protocol.send(InputAudioBufferClear())
    assert is_refused(protocol)


@pytest.mark.parametrize(
    "greeting",
    [
        None,
        {"audio": {"input": {"turn_detection": None}}},
        {"turn_detection": None},
        {"input_audio_format": "g711_ulaw"},
        {"input_audio_format": ["?"]},
        {},
    ],
    ids=repr,
)
def test_of_a_format_that_nobody_knows_the_least_counts(greeting: Any) -> None:
    protocol = RealtimeProtocol("client")
    if greeting is not None:
        protocol.receive_text(encode(SessionCreated(session=greeting)))
    append(protocol, 798)
    assert is_refused(protocol)
    append(protocol, 2)
    assert not is_refused(protocol)


def test_the_beta_wire_says_the_format_elsewhere() -> None:
    protocol = client({"input_audio_format": "pcm16"})
    append(protocol, 4798)
    assert is_refused(protocol)


def test_who_joined_a_session_that_is_fed_by_another_knows_nothing_of_its_buffer() -> None:
    protocol = RealtimeProtocol("client")
    protocol.receive_text(encode(SessionUpdated(session=session())))
    assert not is_refused(protocol)
    protocol.receive_text(encode(SessionCreated(session=session())))
    assert not is_refused(protocol)
    unfit = RealtimeProtocol("client")
    unfit.receive_text('{"type":"session.created","session":5}')
    unfit.receive_text(encode(SessionUpdated(session=session())))
    assert is_refused(unfit)


@pytest.mark.parametrize("more", [0, 2])
def test_a_commit_that_an_error_answers_was_none(more: int) -> None:
    protocol = client()
    append(protocol, 4800)
    protocol.send({**encoded(COMMIT), "event_id": "c"})
    append(protocol, more)
    assert is_refused(protocol)
    protocol.receive_text('{"type":"error","error":{"event_id":"another"}}')
    assert is_refused(protocol)
    protocol.receive_text('{"type":"error","error":{"event_id":"c"}}')
    assert not is_refused(protocol)
    # Only once, and not what was cleared since.
    protocol.send({**encoded(COMMIT), "event_id": "d"})
    protocol.send(InputAudioBufferClear())
    protocol.receive_text('{"type":"error","error":{"event_id":"d"}}')
    assert is_refused(protocol)


def test_a_commit_that_is_answered_is_over() -> None:
    protocol = client()
    append(protocol, 4800)
    protocol.send({**encoded(COMMIT), "event_id": "c"})
    protocol.receive_text('{"type":"input_audio_buffer.committed","item_id":"u"}')
    protocol.receive_text('{"type":"error","error":{"event_id":"c"}}')
    assert is_refused(protocol)


def test_a_session_that_only_transcribes_refuses_as_well() -> None:
    assert is_refused(client(session(kind=TranscriptionSession)))


def test_the_last_word_about_the_session_counts() -> None:
    protocol = client()
    append(protocol, 2400)
    assert is_refused(protocol)
    protocol.receive_text(encode(SessionUpdated(session=session(audio_format=AudioPCMU()))))
    assert not is_refused(protocol)
    protocol.receive_text(encode(SessionUpdated(session=session())))
    assert is_refused(protocol)


def test_without_strictness_a_commit_is_the_servers_to_judge() -> None:
    protocol = client()
    assert protocol.prepare(COMMIT, strict=False).type == COMMIT.type


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("kind", ["bytes", "typed", "mapping"])
def test_audio_counts_however_it_is_appended(kind: str, strict: bool) -> None:
    protocol, audio = client(), bytes(4800)
    event: Any = {
        "bytes": InputAudioBufferAppend(audio=audio),
        "typed": InputAudioBufferAppend(audio=audio, event_id="mine"),
        "mapping": {
            "type": "input_audio_buffer.append",
            "audio": base64.b64encode(audio).decode(),
        },
    }[kind]
    assert is_refused(protocol)
    protocol.send(event, strict=strict)
    assert not is_refused(protocol)


def test_what_is_only_prepared_is_not_in_the_buffer() -> None:
    protocol = client()
    protocol.prepare_audio(bytes(4800))
    assert is_refused(protocol)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("event", [COMMIT, InputAudioBufferClear()])
def test_a_commit_and_a_clear_empty_it(event: Any, strict: bool) -> None:
    protocol = client()
    append(protocol, 4800)
    protocol.send(event, strict=strict)
    assert is_refused(protocol)
    append(protocol, 4800)
    assert not is_refused(protocol)


def test_a_commit_that_the_server_refuses_leaves_what_is_there() -> None:
    protocol = client()
    append(protocol, 2400)
    protocol.send(COMMIT, strict=False)
    append(protocol, 2400)
    assert not is_refused(protocol)


def test_a_commit_while_the_server_detects_turns_may_be_refused_and_empties_nothing() -> None:
    protocol = client(session(ServerVad()))
    append(protocol, 4800)
    protocol.send(COMMIT)
    protocol.receive_text(encode(SessionUpdated(session=session())))
    assert not is_refused(protocol)
    protocol.send(InputAudioBufferClear())
    assert is_refused(protocol)


def test_other_events_leave_it_as_it_is() -> None:
    protocol = client()
    append(protocol, 4800)
    protocol.send({"type": "response.create"})
    protocol.receive_text('{"type":"input_audio_buffer.cleared"}')
    assert not is_refused(protocol)


def test_a_server_commits_nothing() -> None:
    protocol = RealtimeProtocol("server")
    protocol.send(SessionCreated(session=session()))
    with pytest.raises(LocalProtocolError, match="sent by the other side"):
        protocol.send(COMMIT)
    protocol.receive_text(encode(COMMIT))
    assert protocol.events() == [COMMIT]


@given(
    st.lists(st.sampled_from(["append", "commit", "clear"]) | st.integers(0, 6000), max_size=12)
)
def test_a_strict_client_refuses_exactly_what_a_strict_server_would(steps: list[Any]) -> None:
    protocol, buffered = client(), 0
    for step in steps:
        match step:
            case int(size):
                append(protocol, size // 2 * 2)
                buffered += size // 2 * 2
            case "append":
                protocol.send(InputAudioBufferAppend(audio=b"\0\0", event_id="x"))
                buffered += 2
            case "clear":
                protocol.send(InputAudioBufferClear())
                buffered = 0
            case "commit":
                assert is_refused(protocol) == (buffered < 4800)
                if buffered >= 4800:
                    protocol.send(COMMIT)
                    buffered = 0
