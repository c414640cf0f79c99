"""A session of the gateway against a model of it: events, legal and not, in every order.

After each event the model says what has to come, no more and no less; in the end the server, the
client's own bookkeeping and the model must agree about what the conversation is.
"""

import base64
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from hypothesis import example, given, strategies as st

from meshrt.gateway import EchoVoice, Heard
from meshrt.gateway._session import GatewaySession
from meshrt.protocol import Conversation, decode
from meshrt.transports import MemoryTransport, memory_transports

Json = dict[str, Any]
Step = tuple[Any, ...]
Expected = tuple[str, Json]

NAMES = ("a", "b", "c")
READY = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}}
MS = 48  # bytes in a millisecond of PCM16 at 24 kHz
ANSWER = "So it is."


class Model:
    """What the client has been told, and what follows from it."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.audio_ms: dict[str, float] = {}
        self.buffer_ms = 0
        self.is_answering = False
        self.instructions = ""
        self.modality = self.asked_for = "text"

    def item(self, n: int) -> str:
        """Pick an item that is there, or one that is not."""
        known = [*self.items, "gone"]
        return known[n % len(known)]

    def write(self, name: str | None, after: str | int | None) -> tuple[Json, list[Expected]]:
        place = self.item(after) if isinstance(after, int) else after
        part = {"type": "input_text", "text": "Hm."}
        item = {"type": "message", "role": "user", "content": [part]}
        if name is not None:
            item["id"] = name
        event = {"item": item, "previous_item_id": place}
        sent = {"type": "conversation.item.create", **event}
        if name in self.items or place == "gone":
            return sent, [refused("invalid_value")]
        at = {"root": 0, None: len(self.items)}.get(place)
        at = self.items.index(str(place)) + 1 if at is None else at
        shown = {"previous_item_id": self.items[at - 1] if at else None}
        self.items.insert(at, name or "?")
        return sent, [("conversation.item.added", shown), ("conversation.item.done", shown)]

    def delete(self, n: int) -> tuple[Json, list[Expected]]:
        name = self.item(n)
        sent = {"type": "conversation.item.delete", "item_id": name}
        if name == "gone":
            return sent, [refused("invalid_value")]
        self.items.remove(name)
        return sent, [("conversation.item.deleted", {"item_id": name})]

    def retrieve(self, n: int) -> tuple[Json, list[Expected]]:
        name = self.item(n)
        sent = {"type": "conversation.item.retrieve", "item_id": name}
        if name == "gone":
            return sent, [refused("invalid_value")]
        return sent, [("conversation.item.retrieved", {})]

    def truncate(self, n: int, ms: int) -> tuple[Json, list[Expected]]:
        name = self.item(n)
        place = {"item_id": name, "content_index": 0, "audio_end_ms": ms}
        sent = {"type": "conversation.item.truncate", **place}
        if ms > self.audio_ms.get(name, -1) or name == "gone":
            return sent, [refused("invalid_value")]
        self.audio_ms[name] = ms
        return sent, [("conversation.item.truncated", place)]

    def append(self, ms: int) -> tuple[Json, list[Expected]]:
        self.buffer_ms += ms
        audio = base64.b64encode(bytes(ms * MS)).decode()
        return {"type": "input_audio_buffer.append", "audio": audio}, []

    def commit(self) -> tuple[Json, list[Expected]]:
        sent = {"type": "input_audio_buffer.commit"}
        if self.buffer_ms < 100:
            return sent, [refused("input_audio_buffer_commit_empty")]
        self.buffer_ms = 0
        shown = {"previous_item_id": self.items[-1] if self.items else None}
        self.items.append("?")
        names = ("input_audio_buffer.committed", *ADDED)
        return sent, [(name, shown) for name in names]

    def clear(self) -> tuple[Json, list[Expected]]:
        self.buffer_ms = 0
        return {"type": "input_audio_buffer.clear"}, [("input_audio_buffer.cleared", {})]

    def respond(self) -> tuple[Json, list[Expected]]:
        sent = {"type": "response.create"}
        if self.is_answering:
            return sent, [refused("conversation_already_has_active_response")]
        self.is_answering, self.asked_for = True, self.modality
        return sent, [("response.created", {})]

    def answer(self) -> tuple[None, list[Expected]]:
        """Let the one who is asked answer, if anybody is."""
        if not self.is_answering:
            return None, []
        self.is_answering = False
        previous = {"previous_item_id": self.items[-1] if self.items else None}
        self.items.append("?")
        spoken = SPOKEN if self.asked_for == "audio" else WRITTEN
        # As recorded: of what the model says, only .added tells the place.
        return None, [(name, previous if name == ADDED[0] else {}) for name in spoken]

    def cancel(self) -> tuple[Json, list[Expected]]:
        sent = {"type": "response.cancel"}
        if not self.is_answering:
            return sent, [refused("response_cancel_not_active")]
        self.is_answering = False
        return sent, [("response.done", {})]

    def instruct(self, words: str) -> tuple[Json, list[Expected]]:
        self.instructions = words
        return update(instructions=words), [("session.updated", {})]

    def switch(self, modality: str) -> tuple[Json, list[Expected]]:
        self.modality = modality
        return update(output_modalities=[modality]), [("session.updated", {})]

    def break_a_rule(self, broken: Json | str | bytes, code: str) -> tuple[Any, list[Expected]]:
        return broken, [refused(code)]


ADDED = ("conversation.item.added", "conversation.item.done")
BEGUN = ("response.output_item.added", ADDED[0], "response.content_part.added")
ENDED = (
    "response.content_part.done",
    ADDED[1],
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
)
WRITTEN = (*BEGUN, "response.output_text.done", *ENDED)
SPOKEN = (
    *BEGUN,
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    *ENDED,
)


def update(**session: Any) -> Json:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def refused(code: str) -> Expected:
    return "error", {"code": code}


places = st.integers(0, 8)
BROKEN: list[tuple[Any, str]] = [
    ("nonsense", "invalid_json"),
    ("[]", "invalid_json"),
    (b"\0\0", "invalid_event"),
    ({"type": "nonsense"}, "invalid_value"),
    ({"type": "session.created"}, "invalid_value"),
    ({"type": "input_audio_buffer.append", "audio": "AA=="}, "invalid_value"),
    (update(voice="marin"), "unknown_parameter"),
    (update(instructions="No.", output_modalities=["smell"]), "invalid_value"),
    ({"type": "response.create", "response": {"modalities": ["text"]}}, "unknown_parameter"),
    ({"type": "response.cancel", "response_id": "gone"}, "response_cancel_not_active"),
]
steps = st.lists(
    st.one_of(
        st.just(("answer",)),  # what an example shrinks to: mostly nothing
        st.tuples(
            st.just("write"),
            st.none() | st.sampled_from(NAMES),
            st.sampled_from([None, "root"]) | places,
        ),
        st.tuples(st.sampled_from(["delete", "retrieve"]), places),
        st.tuples(st.just("truncate"), places, st.sampled_from([0, 50, 100, 100_000])),
        st.tuples(st.just("append"), st.sampled_from([0, 20, 60, 120])),
        st.tuples(st.sampled_from(["commit", "clear", "respond", "respond", "cancel"])),
        st.tuples(st.just("instruct"), st.sampled_from(["Be brief.", ""])),
        st.tuples(st.just("switch"), st.sampled_from(["text", "audio"])),
        st.sampled_from(BROKEN).map(lambda broken: ("break_a_rule", *broken)),
    ),
    min_size=30,
    max_size=50,
)


class Slow:
    """A model that answers when it may."""

    def __init__(self) -> None:
        self._may_answer = anyio.Event()

    async def reply(self, heard: Heard) -> str:
        await self._may_answer.wait()
        return ANSWER

    def go(self) -> None:
        self._may_answer.set()
        self._may_answer = anyio.Event()


class Client:
    """The other end: it says one thing, and hears all that comes of it."""

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport
        self._texts: list[str] = []
        self.conversation = Conversation()

    async def read(self) -> None:
        with suppress(anyio.ClosedResourceError, anyio.EndOfStream):
            while True:
                batch = await self._transport.receive()
                self._texts.extend(map(str, batch))

    async def say(self, message: Json | str | bytes) -> None:
        await self._transport.send([json.dumps(message) if isinstance(message, dict) else message])

    async def hear(self) -> list[Json]:
        await anyio.wait_all_tasks_blocked()
        texts, self._texts = self._texts, []
        for text in texts:
            CHECK(text)
            self.conversation.apply(decode(text))
        return [json.loads(text) for text in texts]


def checker() -> Callable[[str], object]:
    """Return what holds an event against OpenAI's own model, where that is installed."""
    with suppress(pytest.skip.Exception):
        from tests.support._openai_models import check

        return check
    return lambda _: None


CHECK = checker()


def learn(model: Model, came: Iterable[Json]) -> None:
    """Take over what only the server can know: the names it gave, and how much it spoke."""
    for event in came:
        if event["type"] == "conversation.item.added" and "?" in model.items:
            model.items[model.items.index("?")] = event["item"]["id"]
        if event["type"] == "response.output_audio.delta":
            ms = len(base64.b64decode(event["delta"])) / MS
            item_id = event["item_id"]
            model.audio_ms[item_id] = model.audio_ms.get(item_id, 0) + ms


def agree(event: Json, expected: Expected, event_id: str | None) -> None:
    name, fields = expected
    assert event["type"] == name, (event, expected)
    shown = event["error"] if name == "error" else event
    assert {key: shown[key] for key in fields} == fields
    if name == "error":
        assert shown["event_id"] == event_id


async def hold(taken: list[Step]) -> None:
    ours, theirs = memory_transports()
    model, slow, client = Model(), Slow(), Client(ours)
    async with anyio.create_task_group() as tasks:
        session = GatewaySession(theirs, tasks, model_name="m", model=slow, voice=EchoVoice())
        tasks.start_soon(session.run)
        tasks.start_soon(client.read)
        await client.say(update(**READY))
        assert len(await client.hear()) == 2
        for number, (name, *values) in enumerate(taken):
            sent, expected = getattr(model, name)(*values)
            event_id = None
            if isinstance(sent, dict):
                event_id = sent["event_id"] = f"event_{number}"
            if sent is None:
                slow.go()
            else:
                await client.say(sent)
            came = await client.hear()
            learn(model, came)
            told = [event for event in came if not event["type"].endswith(".delta")]
            assert len(told) == len(expected), (name, came)
            for event, wanted in zip(told, expected, strict=True):
                agree(event, wanted, event_id)
            if came and came[-1]["type"] == "session.updated":
                assert came[-1]["session"]["instructions"] == model.instructions
        assert [str(item.id) for item in session._service._conversation.items] == model.items
        assert [record.id for record in client.conversation.items] == model.items
        assert bool(client.conversation.active_responses) is model.is_answering
        tasks.cancel_scope.cancel()
    session.release()
    await ours.abort()
    await theirs.abort()


@given(steps)
@example([("write", "a", None), ("respond",), ("delete", 0), ("answer",), ("truncate", 0, 0)])
@example(
    [("switch", "audio"), ("respond",), ("answer",), ("truncate", 0, 50), ("truncate", 0, 50)]
)
def test_whatever_comes_in_whatever_order_the_session_is_what_its_model_says(
    taken: list[Step],
) -> None:
    anyio.run(hold, taken, backend="trio")
