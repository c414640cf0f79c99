"""Who waits for whom: the idle timeout and the semantic detector, on a virtual clock."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest
import trio.testing

from meshrt.gateway._silence import Silence

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

IDLE = {"type": "server_vad", "idle_timeout_ms": 6_000}
CREATE = {"type": "response.create"}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class TwoSeconds:
    async def speak(self, text: str, *, heard: bytes) -> bytes:
        return bytes(2_000 * 48)


def types(events: Iterable[Json]) -> list[str]:
    return [event["type"] for event in events if not event["type"].endswith(".delta")]


async def test_nobody_speaking_after_an_answer_has_played_is_a_turn(
    whisper: Talk, update: Callable[..., Json], append: Callable[[bytes], Json]
) -> None:
    transcription = {"model": "gpt-4o-transcribe"}
    async with whisper(voice=TwoSeconds()) as wire:
        audio = {"input": {"turn_detection": IDLE, "transcription": transcription}}
        await wire.say(update(audio=audio), CREATE)
        await wire.until("rate_limits.updated")
        began = anyio.current_time()
        for _ in range(90):
            await wire.say(append(bytes(100 * 48)))
            await anyio.sleep(0.1)
            if anyio.current_time() - began > 8.05:
                break
        triggered = await wire.hear()
        events = await wire.until("response.created")

        # The answer plays for 2 s, and then nobody speaks for 6.
        assert triggered["type"] == "input_audio_buffer.timeout_triggered"
        assert triggered["audio_start_ms"] == pytest.approx(2_000, abs=100)
        assert triggered["audio_end_ms"] == pytest.approx(8_000, abs=100)
        assert types(events) == [
            "conversation.item.added",
            "conversation.item.done",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
        ]
        assert events[0]["item"]["role"] == "system"
        assert [events[2]["item_id"], events[3]["item"]["id"]] == [triggered["item_id"]] * 2
        completed = (await wire.until(
            "conversation.item.input_audio_transcription.completed"
        ))[-1]  # fmt: skip
        assert completed["transcript"] == ""
        assert completed["usage"] == {"type": "duration", "seconds": 0}


async def test_the_timeout_is_counted_on_the_clock(
    whisper: Talk, update: Callable[..., Json]
) -> None:
    async with whisper(voice=TwoSeconds()) as wire:
        await wire.say(update(turn_detection=IDLE), CREATE)
        await wire.until("rate_limits.updated")
        began = anyio.current_time()
        await wire.until("input_audio_buffer.timeout_triggered")

        assert anyio.current_time() - began == pytest.approx(8)


async def test_a_new_wait_ends_the_one_before_it() -> None:
    expired: list[tuple[float, float]] = []
    began = anyio.current_time()

    async with anyio.create_task_group() as tasks:
        silence = Silence(tasks)
        for start_ms in (1.0, 2.0):
            silence.watch(
                1, 5, place=lambda at=start_ms: at,
                expired=lambda at: expired.append((at, anyio.current_time() - began)),
            )  # fmt: skip

    assert expired == [(2.0, pytest.approx(6))]


@pytest.mark.parametrize("by", ["speech", "update", "response"])
async def test_what_happens_in_between_ends_the_wait(
    whisper: Talk,
    update: Callable[..., Json],
    append: Callable[[bytes], Json],
    train: bytes,
    by: str,
) -> None:
    happens = {
        "speech": append(train[: len(train) // 4 * 2]),
        "update": update(turn_detection={"type": "server_vad"}),
        "response": CREATE,
    }[by]
    async with whisper(voice=TwoSeconds(), pacing="realtime") as wire:
        await wire.say(update(turn_detection=IDLE), CREATE)
        await wire.until("rate_limits.updated")
        await anyio.sleep(5)
        await wire.say(happens)
        with anyio.move_on_after(3):
            events: list[Json] = []
            while True:
                events.append(await wire.hear())

    assert events
    assert "input_audio_buffer.timeout_triggered" not in types(events)


@pytest.mark.parametrize("patience", [("low", 8), ("medium", 4), ("high", 2), ("auto", 4)])
async def test_the_semantic_detector_waits_as_long_as_it_may(
    whisper: Talk,
    update: Callable[..., Json],
    append: Callable[[bytes], Json],
    train: bytes,
    patience: tuple[str, int],
) -> None:
    eagerness, seconds = patience
    async with whisper() as wire:
        await wire.say(update(turn_detection={"type": "semantic_vad", "eagerness": eagerness}))
        await wire.say(append(train), append(bytes(9_000 * 48)))
        events = await wire.until("input_audio_buffer.speech_stopped")

    async with whisper() as wire:
        await wire.say(append(train))
        spoken = await wire.until("input_audio_buffer.speech_stopped")

    waited = events[-1]["audio_end_ms"] - spoken[-1]["audio_end_ms"]
    assert waited == seconds * 1_000 - 500
