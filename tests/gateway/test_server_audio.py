"""How audio comes in and goes out: the telephone's formats, and the pace."""

import base64
from array import array
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import anyio
import pytest
import trio.testing

from meshrt.audio import (
    alaw_of,
    chunks,
    pcm_of,
    pcm_of_alaw,
    pcm_of_ulaw,
    resample,
    samples_of,
    ulaw_of,
)
from meshrt.errors import ConfigurationError
from meshrt.gateway import serve
from meshrt.gateway._formats import pcm_from, whole, wire_of

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Talk = Callable[..., AbstractAsyncContextManager[Any]]

PCMU, PCMA, PCM = {"type": "audio/pcmu"}, {"type": "audio/pcma"}, {"type": "audio/pcm"}
CREATE = {"type": "response.create"}
COMMIT = {"type": "input_audio_buffer.commit"}


class Law(NamedTuple):
    """One of the telephone's formats."""

    wire: Json
    compress: Callable[[bytes], bytes]
    expand: Callable[[bytes], bytes]


LAWS = pytest.mark.parametrize(
    "law",
    [Law(PCMU, ulaw_of, pcm_of_ulaw), Law(PCMA, alaw_of, pcm_of_alaw)],
    ids=["ulaw", "alaw"],
)


def both(audio_format: Json, **audio_input: Any) -> Json:
    sides = {"input": {"format": audio_format, **audio_input}, "output": {"format": audio_format}}
    return {"type": "session.update", "session": {"type": "realtime", "audio": sides}}


def audio_of(events: list[Json]) -> bytes:
    deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
    return b"".join(base64.b64decode(delta) for delta in deltas)


@LAWS
async def test_a_telephone_hears_its_own_speech_back(
    talk: Talk,
    append: Callable[[bytes], Json],
    train: bytes,
    law: Law,
) -> None:
    call = law.compress(resample(train, 24_000, 8_000))
    async with talk() as wire:
        await wire.say(both(law.wire, turn_detection=None))
        assert (await wire.hear())["session"]["audio"]["output"]["format"] == law.wire
        await wire.say(*map(append, (call[k : k + 160] for k in range(0, len(call), 160))))
        await wire.say(COMMIT, CREATE)
        events = await wire.until("rate_limits.updated")
        [user] = [e["item_id"] for e in events if e["type"] == "input_audio_buffer.committed"]
        await wire.say({"type": "conversation.item.retrieve", "item_id": user})
        kept = (await wire.hear())["item"]["content"][0]["audio"]

    answer = audio_of(events)
    # µ-law has two zeros, of which one comes back.
    assert law.expand(answer) == law.expand(call)
    assert law.expand(base64.b64decode(kept)) == law.expand(call)
    response = events[-2]["response"]
    assert response["audio"]["output"] == {"format": law.wire, "voice": "marin"}
    assert response["usage"]["output_token_details"]["audio_tokens"] == -(-len(call) // 400)


@LAWS
async def test_speech_on_a_telephone_starts_and_ends_a_turn_in_ms(
    talk: Talk,
    append: Callable[[bytes], Json],
    train: bytes,
    law: Law,
) -> None:
    times = []
    for fmt, audio in ((PCM, train), (law.wire, law.compress(resample(train, 24_000, 8_000)))):
        async with talk() as wire:
            await wire.say(both(fmt), append(audio))
            await wire.until("session.updated")
            started, stopped = await wire.hear(), await wire.hear()
            times.append((started["audio_start_ms"], stopped["audio_end_ms"]))

    assert times[1] == pytest.approx(times[0], abs=40)


async def test_an_item_that_a_telephone_brings_is_heard_and_given_back(
    talk: Talk, train: bytes
) -> None:
    call = base64.b64encode(ulaw_of(resample(train, 24_000, 8_000))).decode()
    part = {"type": "input_audio", "audio": call}
    item = {"id": "it", "type": "message", "role": "user", "content": [part]}
    async with talk() as wire:
        await wire.say(both(PCMU), {"type": "conversation.item.create", "item": item})
        await wire.say({**CREATE, "response": {"output_modalities": ["text"]}})
        said = (await wire.until("response.output_text.done"))[-1]["text"]
        await wire.say({"type": "conversation.item.retrieve", "item_id": "it"})
        kept = (await wire.until("conversation.item.retrieved"))[-1]["item"]["content"][0]

    assert said.endswith(" seconds of speech.")
    back = pcm_of_ulaw(base64.b64decode(kept["audio"]))
    assert back == pcm_of_ulaw(base64.b64decode(call))


async def test_one_response_may_be_for_a_telephone(
    talk: Talk, append: Callable[[bytes], Json], update: Callable[..., Json], train: bytes
) -> None:
    async with talk() as wire:
        await wire.say(update(turn_detection=None), append(train), COMMIT)
        await wire.say({**CREATE, "response": {"audio": {"output": {"format": PCMA}}}})
        events = await wire.until("response.done")

    assert len(audio_of(events)) == len(train) // 6
    assert events[-1]["response"]["audio"]["output"]["format"] == PCMA


async def test_what_a_response_is_given_comes_from_the_telephone_too(
    talk: Talk, train: bytes
) -> None:
    call = base64.b64encode(ulaw_of(resample(train, 24_000, 8_000))).decode()
    part = {"type": "input_audio", "audio": call}
    params = {
        "input": [{"type": "message", "role": "user", "content": [part]}],
        "output_modalities": ["text"],
    }
    async with talk() as wire:
        await wire.say(both(PCMU), {**CREATE, "response": params})
        events = await wire.until("response.done")

    heard_ms = len(base64.b64decode(call)) / 8
    details = events[-1]["response"]["usage"]["input_token_details"]
    assert details["audio_tokens"] == -(-heard_ms // 100)


def test_three_samples_become_their_mean_and_a_rest_is_none() -> None:
    samples = pcm_of(array("h", [0, 264, 528, 8, 8]))

    assert samples_of(pcm_of_alaw(wire_of(samples, PCMA))).tolist() == [264]
    assert whole(samples, PCMA) == samples[:6]
    assert whole(samples, PCM) == samples


def test_what_came_from_a_telephone_is_the_same_again() -> None:
    everything = bytes(range(256))

    assert len(pcm_from(everything, PCMU)) == 6 * 256
    assert samples_of(pcm_from(b"\x00", PCMA)).tolist() == [-5504] * 3
    assert wire_of(pcm_from(everything, PCMA), PCMA) == everything


@pytest.mark.parametrize("pacing", ["", "fast", None])
async def test_a_pace_has_a_name(pacing: Any) -> None:
    with pytest.raises(ConfigurationError, match="'none', 'faster', 'realtime'"):
        async with serve(pacing=pacing):
            pytest.fail("it opened")


class FourSeconds:
    async def speak(self, text: str, *, heard: bytes) -> bytes:
        return bytes(4_000 * 48)


VIRTUAL = pytest.mark.parametrize(
    "anyio_backend",
    [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})],
    ids=["trio"],
)


@VIRTUAL
@pytest.mark.parametrize(
    ("pacing", "seconds"), [("none", 0.0), ("faster", 3.9 / 8), ("realtime", 3.9)]
)
async def test_audio_goes_out_at_the_pace_that_was_asked_for(
    whisper: Talk, pacing: str, seconds: float
) -> None:
    async with whisper(voice=FourSeconds(), pacing=pacing) as wire:
        await wire.say(CREATE)
        await wire.until("response.content_part.added")
        began = anyio.current_time()
        events = await wire.until("response.done")

        # The last 100 ms are sent when those before them have played.
        assert anyio.current_time() - began == pytest.approx(seconds)
        assert len(audio_of(events)) == 4_000 * 48


@VIRTUAL
async def test_speech_cuts_a_paced_answer_off_where_it_is(
    whisper: Talk, append: Callable[[bytes], Json], train: bytes
) -> None:
    async with whisper(voice=FourSeconds(), pacing="realtime") as wire:
        await wire.say(CREATE)
        await wire.until("response.content_part.added")
        await anyio.sleep(1.95)
        for chunk in list(chunks(train, 100))[:12]:
            await wire.say(append(chunk))
        events = await wire.until("response.done")

    assert events[-1]["response"]["status_details"]["reason"] == "turn_detected"
    assert len(audio_of(events)) == 2_000 * 48
