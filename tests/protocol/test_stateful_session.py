"""A client and a server with anything between them, against a model of the whole session.

The server answers every command, in order, with an ``event_id`` that names it; so the model need
not guess which answer is whose. The network delays as it likes. Both try what is illegal too.
"""

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from meshrt.errors import LocalProtocolError, RemoteProtocolError
from meshrt.events import (
    UNSET,
    AssistantMessage,
    AudioConfig,
    AudioInput,
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted as Heard,
    ConversationItemInputAudioTranscriptionDelta as HeardDelta,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    Error,
    ErrorDetails,
    Event,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    RealtimeSessionConfig,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputItemAdded,
    ResponseParams,
    ServerVad,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    UnknownEvent,
    Usage,
    UserMessage,
)
from meshrt.protocol import (
    TRANSITIONS,
    AnyEvent,
    RealtimeProtocol,
    Role,
    State,
    Step,
    decode,
    encode,
    truncations,
)

SHORTEST = 4800  # bytes: 100 ms of PCM16 at 24 kHz
PLACE = {"output_index": 0, "content_index": 0}
A_GOOD_WHILE = 35  # steps, of 50, before a session may come to its end
numbers = st.integers(0, 5)
SERVER_ITSELF = {"by": "server"}


def session(*, manual: bool) -> RealtimeSessionConfig:
    entrance = AudioInput(turn_detection=None if manual else ServerVad())
    return RealtimeSessionConfig(id="sess_1", audio=AudioConfig(input=entrance))


@attrs.define
class Asked:
    event_id: Any
    inside: bool
    cancelled: bool = False


@attrs.define
class Book:
    """What one side has to know, as plainly as it can be said."""

    state: State = State.CONNECTING
    session: Any = None
    order: list[str] = attrs.Factory(list)
    deleted: set[str] = attrs.Factory(set)
    text: dict[str, str] = attrs.Factory(dict)
    bytes: dict[str, int] = attrs.Factory(dict)
    cut: dict[str, int] = attrs.Factory(dict)
    whole: set[str] = attrs.Factory(set)
    loose: set[str] = attrs.Factory(set)
    transcribed: set[str] = attrs.Factory(set)
    made_by: dict[str, str] = attrs.Factory(dict)
    running: dict[str, bool] = attrs.Factory(dict)
    over: dict[str, str] = attrs.Factory(dict)
    suspects: set[str] = attrs.Factory(set)
    nameless_ends: int = 0
    usage: int = 0
    speaking: bool = False
    asked: list[Asked] = attrs.Factory(list)

    @property
    def is_taken(self) -> bool:
        return any(self.running.values()) or any(asked.inside for asked in self.asked)

    def server_said(self, event: AnyEvent) -> list[ResponseCancel]:
        """Write down an event, and return what a client has to cancel because of it."""
        match event:
            case SessionCreated(session=new) | SessionUpdated(session=new):
                self.state, self.session = State.OPEN, new
            case ConversationItemAdded(item=item, previous_item_id=previous):
                self.deleted.discard(item.id)
                if item.id in self.loose:
                    self.loose.discard(item.id)
                    self.order.remove(item.id)
                at = 0 if previous is None else self.order.index(previous) + 1
                self.order.insert(at, item.id)
            case ConversationItemDeleted(item_id=item_id):
                self.order.remove(item_id)
                self.deleted.add(item_id)
                for noted in (self.whole, self.loose, self.transcribed):
                    noted.discard(item_id)
                for kept in (self.text, self.bytes, self.cut, self.made_by):
                    kept.pop(item_id, None)
            case ConversationItemDone(item=item) if item.id not in self.deleted:
                self.whole.add(item.id)
            case ConversationItemTruncated(item_id=item_id, audio_end_ms=ms):
                self.cut[item_id] = ms
            case Error(error=ErrorDetails(event_id=refused)):
                self.asked = [asked for asked in self.asked if asked.event_id != refused]
            case _:
                self.server_heard(event)
                return self.server_responded(event)
        return []

    def server_heard(self, event: AnyEvent) -> None:
        match event:
            case HeardDelta(item_id=item_id, delta=str(more)):
                if item_id not in self.transcribed:
                    self.add(item_id, more)
            case Heard(item_id=item_id, transcript=whole) if item_id not in self.deleted:
                self.text[item_id] = whole
                self.transcribed.add(item_id)
            case InputAudioBufferSpeechStarted() | InputAudioBufferSpeechStopped():
                self.speaking = isinstance(event, InputAudioBufferSpeechStarted)

    def server_responded(self, event: AnyEvent) -> list[ResponseCancel]:
        match event:
            case ResponseCreated(response=Response(id=str(response_id), conversation_id=where)):
                self.running[response_id] = where is not None
                same = [a for a in self.asked if a.inside == (where is not None)] or self.asked
                for asked in same[:1]:
                    self.asked.remove(asked)
                    return [ResponseCancel(response_id=response_id)] if asked.cancelled else []
            case ResponseDone() | UnknownEvent(type=ResponseDone.type):
                self.a_response_ended(event)
            case ResponseOutputItemAdded(response_id=of, item=AssistantMessage(id=str(item_id))):
                self.makes(of, item_id)
            case ResponseOutputAudioTranscriptDelta(response_id=of, item_id=item_id, delta=more):
                if self.makes(of, item_id):
                    self.add(item_id, more)
            case ResponseOutputAudioDelta(response_id=of, item_id=item_id, delta=more):
                if self.makes(of, item_id):
                    self.bytes[item_id] = self.bytes.get(item_id, 0) + len(more)
        return []

    def makes(self, response_id: str, item_id: str) -> bool:
        """Tell whether a response still makes an item, and note that it does."""
        if response_id in self.over or item_id in self.deleted:
            return False
        if item_id not in self.made_by:
            self.made_by[item_id] = response_id
            if self.running.get(response_id) and item_id not in self.order:
                self.order.append(item_id)
                self.loose.add(item_id)
        return True

    def a_response_ended(self, event: AnyEvent) -> None:
        match event:
            case ResponseDone(response=Response(id=str(response_id), status=status)):
                del self.running[response_id]
                self.over[response_id] = str(status)
                self.usage += 1
            case UnknownEvent(data={"response": {"id": str(response_id)}}):
                if self.running.pop(response_id, None) is not None:
                    self.over[response_id] = "failed"
            case _:
                self.suspects |= self.running.keys()
                self.nameless_ends += 1
        self.end_suspects()

    def end_suspects(self) -> None:
        """Count who must have ended, if as many are left as ended without a name."""
        self.suspects &= self.running.keys()
        if len(self.suspects) <= self.nameless_ends:
            for response_id in self.suspects:
                del self.running[response_id]
                self.over[response_id] = "failed"
            self.suspects, self.nameless_ends = set(), 0

    def add(self, item_id: str, more: str) -> None:
        if item_id not in self.deleted:
            self.text[item_id] = self.text.get(item_id, "") + more

    def client_said(self, event: AnyEvent) -> None:
        if isinstance(event, ResponseCreate):
            inside = getattr(event.response, "conversation", None) != "none"
            self.asked.append(Asked(event.event_id, inside))


def step_of(event: AnyEvent, role: Role) -> Step:
    """Name the step that an event of this side is, without looking into the library."""
    if role == "client":
        return Step.CLIENT_EVENT
    is_greeting = isinstance(event, SessionCreated | SessionUpdated)
    return Step.GREETING if is_greeting else Step.SERVER_EVENT


OTHER: dict[Role, Role] = {"client": "server", "server": "client"}


class Sides(RuleBasedStateMachine):
    """The two protocols, their books, and what is on the way."""

    taken: ClassVar[set[tuple[State, Step]]] = set()
    refused: ClassVar[set[tuple[State, Step]]] = set()
    seen: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.sides: dict[Role, RealtimeProtocol] = {
            role: RealtimeProtocol(role, make_id=map(f"{role} {{}}".format, count(1)).__next__)
            for role in OTHER
        }
        self.books = {role: Book() for role in OTHER}
        self.on_the_way: dict[Role, deque[str]] = {role: deque() for role in OTHER}
        self.commands: deque[Event] = deque()
        self.waiting: deque[ResponseCreate] = deque()
        self.outstanding: dict[str, Event] = {}
        self.abandoned: set[str] = set()
        self.server_bytes = 0
        self.made = 0
        self.steps = 0

    @property
    def client(self) -> RealtimeProtocol:
        return self.sides["client"]

    @property
    def server(self) -> RealtimeProtocol:
        return self.sides["server"]

    def new(self, what: str) -> str:
        self.made += 1
        return f"{what}{self.made}"

    @initialize(is_open=st.booleans(), manual=st.booleans())
    def begin(self, is_open: bool, manual: bool) -> None:
        """Begin in the midst of it half the time, as most is not to be seen before."""
        if is_open:
            self.server_greets(manual)
            self.server_begins_by_itself()
            for item in range(2):
                self.server_opens_an_item(0)
                self.speak("r0", item, 9600)
            self.something_reaches_the_client(10)

    # What may happen to a side

    def may(self, role: Role, step: Step) -> bool:
        """Tell whether the table allows it, and note that it was tried."""
        place = (self.books[role].state, step)
        (self.taken if place in TRANSITIONS else self.refused).add(place)
        return place in TRANSITIONS

    def say(self, role: Role, event: Any, *, strict: bool = True) -> bool:
        """Let one side say something, or see it refused and nothing changed."""
        side = self.sides[role]
        if not self.may(role, step_of(event, role)):
            self.is_refused(role, lambda: side.send(event, strict=strict))
            return False
        text = side.send(event, strict=strict)
        self.on_the_way[OTHER[role]].append(text)
        self.said(role, decode(text))
        return True

    def said(self, role: Role, event: Any) -> None:
        self.seen.add(event.type)
        if role == "server":
            self.books[role].server_said(event)
            return
        self.books[role].client_said(event)
        if not isinstance(event, InputAudioBufferAppend):
            self.outstanding[event.event_id] = event

    def is_refused(self, role: Role, do: Callable[[], object]) -> None:
        side = self.sides[role]
        before = (side.state, side.conversation.snapshot(), side.outstanding)
        with pytest.raises(LocalProtocolError):
            do()
        assert (side.state, side.conversation.snapshot(), side.outstanding) == before

    # The client

    @rule(size=st.sampled_from([2, 2400, 9600]), fast=st.booleans())
    def client_appends(self, size: int, fast: bool) -> None:
        event = InputAudioBufferAppend(audio=bytes(size), event_id=UNSET if fast else "x")
        self.say("client", event)

    @rule(strict=st.booleans())
    def client_commits(self, strict: bool) -> None:
        try:
            self.client.prepare(InputAudioBufferCommit(), strict=strict)
        except LocalProtocolError:
            assert strict
            assert self.bytes_to_be() < SHORTEST
            return
        self.say("client", InputAudioBufferCommit(), strict=strict)

    def bytes_to_be(self) -> int:
        """Return what is in the server's buffer when all that was sent has come."""
        size = self.server_bytes
        for event in [*self.commands, *map(decode, self.on_the_way["server"])]:
            size = bytes_after(event, size)
        return size

    @rule()
    def client_clears(self) -> None:
        self.say("client", InputAudioBufferClear())

    @rule(ours=st.booleans())
    def client_writes(self, ours: bool) -> None:
        item = UserMessage(id=self.new("ours ") if ours else UNSET, content=[])
        self.say("client", ConversationItemCreate(item=item))

    @rule(kind=st.sampled_from([ConversationItemDelete, ConversationItemRetrieve]), number=numbers)
    def client_works_on_an_item(self, kind: Any, number: int) -> None:
        self.say("client", kind(item_id=self.item_of("client", number)))

    @rule(number=numbers, ms=st.integers(0, 200))
    def client_is_interrupted(self, number: int, ms: int) -> None:
        """Cut at what was heard, as far as there is something to cut."""
        book = self.books["client"]
        item_id = ([*book.bytes] or ["nowhere"])[-1 - number % max(len(book.bytes), 1)]
        at = book.order.index(item_id) if item_id in book.order else len(book.order)
        expected = []
        for each in book.order[at:]:
            came = book.bytes.get(each, 0) // 48
            heard = min(ms, came) if each == item_id else 0
            grows = each not in book.whole and book.made_by.get(each) in book.running
            believed = min(book.cut.get(each, came + grows), came + grows)
            if came and believed > heard:
                expected.append((each, heard))
        events = truncations(self.client.conversation, item_id, ms)
        assert [(event.item_id, event.audio_end_ms) for event in events] == expected
        for event in events:
            self.say("client", event)

    @rule(inside=st.booleans())
    def client_asks(self, inside: bool) -> None:
        params = ResponseParams(conversation="auto" if inside else "none")
        self.say("client", ResponseCreate(response=params))

    @rule(inside=st.booleans())
    def client_responds(self, inside: bool) -> None:
        params = ResponseParams(conversation="auto" if inside else "none")
        is_taken = self.books["client"].is_taken
        if not self.may("client", Step.CLIENT_EVENT):
            self.is_refused("client", lambda: self.client.respond(params))
            return
        event = self.client.respond(params)
        assert (event is None) == (inside and is_taken)
        if event is None:
            self.waiting.append(ResponseCreate(response=params))
        else:
            self.say("client", event)

    @rule(number=numbers, every=st.booleans())
    def client_cancels(self, number: int, every: bool) -> None:
        book = self.books["client"]
        one = f"r{number}"
        expected = [
            each for each in book.running if (book.running[each] if every else each == one)
        ]
        events = self.client.cancel(None if every else one)
        assert [event.response_id for event in events] == expected
        withdrawn = [failed.type for failed in self.client.failed()]
        assert withdrawn == ([event.type for event in self.waiting] if every else [])
        if every:
            self.waiting.clear()
        for asked in book.asked if every else []:
            asked.cancelled |= asked.inside
        for event in events:
            self.say("client", event)

    @rule(manual=st.booleans())
    def client_updates(self, manual: bool) -> None:
        self.say("client", SessionUpdate(session=session(manual=manual)))

    @rule()
    def client_gives_up_the_oldest(self) -> None:
        for event_id in [*self.outstanding][:1]:
            self.client.abandon(event_id)
            self.abandoned.add(event_id)

    @rule(event=st.sampled_from([
        InputAudioBufferCleared(),
        InputAudioBufferAppend(audio=b"odd"),
        {"type": "session.update", "session": {}},
        {"type": "session.update", "session": {"type": "realtime", "voice": "marin"}},
        {"type": "response.create", "response": {"instructions": 3}},
        {"type": "response.create", "response": {"metadata": {"n": float("nan")}}},
        {"type": "input_audio_buffer.clear", "event_id": 3},
        {},
        3,
    ]))  # fmt: skip
    def client_says_what_it_may_not(self, event: Any) -> None:
        self.is_refused("client", lambda: self.client.send(event))

    # The server

    @rule(manual=st.booleans())
    def server_greets(self, manual: bool) -> None:
        self.say("server", SessionCreated(session=session(manual=manual)))

    @precondition(lambda self: self.commands)
    @rule(commands=st.integers(1, 4))
    def server_serves(self, commands: int) -> None:
        """Answer the oldest commands that have come."""
        for _ in range(min(commands, len(self.commands))):
            command = self.commands.popleft()
            before, self.server_bytes = self.server_bytes, bytes_after(command, self.server_bytes)
            for event in self.answers(command, buffered=before):
                self.say("server", event)

    def answers(self, command: Any, *, buffered: int) -> list[Event]:  # noqa: C901, PLR0911  a table
        """Return what a server says to a command; the first is the answer, and says to what."""
        book, mark = self.books["server"], {"event_id": f"for {command.event_id}"}
        match command:
            case SessionUpdate(session=new):
                return [SessionUpdated(session=new, **mark)]
            case InputAudioBufferClear():
                return [InputAudioBufferCleared(**mark)]
            case InputAudioBufferCommit() if buffered >= SHORTEST:
                item_id = self.new("item ")
                came = self.additions(UserMessage(id=item_id, content=[]))
                return [InputAudioBufferCommitted(item_id=item_id, **mark), *came]
            case ConversationItemCreate(item=item):
                item_id = item.id or self.new("item ")
                first, *more = self.additions(UserMessage(id=item_id, content=[]))
                return [attrs.evolve(first, **mark), *more]
            case ConversationItemDelete(item_id=item_id) if item_id in book.order:
                return [ConversationItemDeleted(item_id=item_id, **mark)]
            case ConversationItemRetrieve(item_id=item_id) if item_id in book.order:
                item = UserMessage(id=item_id, content=[])
                return [ConversationItemRetrieved(item=item, **mark)]
            case ConversationItemTruncate(item_id=item_id, audio_end_ms=ms):
                if item_id in book.order:
                    assert ms <= book.bytes[item_id] / 48  # or a real server would refuse it
                    cut = {"content_index": 0, "audio_end_ms": ms}
                    return [ConversationItemTruncated(item_id=item_id, **cut, **mark)]
            case ResponseCreate(response=params):
                inside = getattr(params, "conversation", None) != "none"
                if not (inside and any(book.running.values())):
                    return [self.beginning(inside=inside, mark=mark)]
            case ResponseCancel(response_id=response_id) if response_id in book.running:
                return [self.ending(str(response_id), "cancelled", mark)]
            case InputAudioBufferAppend():
                return []
        return [Error(error=ErrorDetails(event_id=command.event_id), **mark)]

    def additions(self, item: Any) -> list[Any]:
        others = [each for each in self.books["server"].order if each != item.id]
        previous = [None, *others][-1]
        return [
            ConversationItemAdded(item=item, previous_item_id=previous),
            ConversationItemDone(item=item, previous_item_id=None),
        ]

    def beginning(self, *, inside: bool, mark: Any, metadata: Any = UNSET) -> ResponseCreated:
        ids = {"id": f"r{len(self.books['server'].running | self.books['server'].over)}"}
        where = {"conversation_id": "conv" if inside else None, "metadata": metadata}
        return ResponseCreated(response=Response(status="in_progress", **ids, **where), **mark)

    def ending(self, response_id: str, status: str, mark: Any) -> ResponseDone:
        response = Response(id=response_id, status=status, usage=Usage(input_tokens=1))
        return ResponseDone(response=response, **mark)

    @rule()
    def server_begins_by_itself(self) -> None:
        if not any(self.books["server"].running.values()):
            itself = {"inside": True, "mark": {}, "metadata": SERVER_ITSELF}
            self.say("server", self.beginning(**itself))

    @precondition(lambda self: self.books["server"].running)
    @rule(number=numbers)
    def server_opens_an_item(self, number: int) -> None:
        response_id = self.response_of(self.books["server"].running, number)
        item = AssistantMessage(id=self.new("item "), content=[])
        opening = {"response_id": response_id, "output_index": 0, "item": item}
        self.say("server", ResponseOutputItemAdded(**opening))
        self.say("server", self.additions(item)[0])

    @precondition(lambda self: self.books["server"].running)
    @rule(number=numbers, item=numbers, size=st.sampled_from([0, 480, 4800]))
    def server_speaks(self, number: int, item: int, size: int) -> None:
        response_id = self.response_of(self.books["server"].running, number)
        self.speak(response_id, item, size)

    @precondition(lambda self: self.books["server"].over)
    @rule(number=numbers, item=numbers)
    def server_speaks_after_the_end(self, number: int, item: int) -> None:
        self.speak(self.response_of(self.books["server"].over, number), item, 480)

    def speak(self, response_id: str, item: int, size: int) -> None:
        item_id = self.item_of("server", item)
        place: dict[str, Any] = {"response_id": response_id, "item_id": item_id, **PLACE}
        self.say("server", ResponseOutputAudioTranscriptDelta(delta="la", **place))
        self.say("server", ResponseOutputAudioDelta(delta=bytes(size), **place))

    @precondition(lambda self: self.books["server"].running)
    @rule(number=numbers, status=st.sampled_from(["completed", "failed", "incomplete"]))
    def server_finishes(self, number: int, status: str) -> None:
        response_id = self.response_of(self.books["server"].running, number)
        self.say("server", self.ending(response_id, status, {}))

    @precondition(lambda self: self.books["server"].running)
    @rule(number=numbers)
    def server_finishes_in_a_way_that_does_not_fit(self, number: int) -> None:
        response_id = self.response_of(self.books["server"].running, number)
        response = {"id": response_id, "usage": "much"}
        self.say("server", {"type": "response.done", "response": response}, strict=False)

    @rule(number=numbers, more=st.booleans())
    def server_transcribes(self, number: int, more: bool) -> None:
        """Say what the user said in any item, also in one that was deleted."""
        item_id = self.item_of("server", number)
        part: dict[str, Any] = {"item_id": item_id, "content_index": 0}
        self.say(
            "server", HeardDelta(delta="so", **part) if more else Heard(transcript="So.", **part)
        )

    @rule()
    def server_hears_a_turn(self) -> None:
        item_id = self.new("item ")
        came = self.additions(UserMessage(id=item_id, content=[]))
        started = InputAudioBufferSpeechStarted(item_id=item_id, audio_start_ms=0)
        stopped = InputAudioBufferSpeechStopped(item_id=item_id, audio_end_ms=1)
        for event in (started, stopped, *came):
            self.say("server", event)
        self.server_bytes = 0

    @rule(what=st.sampled_from([
        {"type": "never.heard.of"},
        {"type": "response.done", "response": 3},
        {"type": "conversation.item.input_audio_transcription.delta"},
    ]))  # fmt: skip
    def server_says_what_nobody_understands(self, what: dict[str, Any]) -> None:
        self.say("server", what, strict=False)

    @rule(event=st.sampled_from([
        ResponseCancel(),
        {"type": "input_audio_buffer.append", "audio": ""},
        {"type": "session.created", "session": 3},
        {"type": ""},
    ]))  # fmt: skip
    def server_says_what_it_may_not(self, event: Any) -> None:
        self.is_refused("server", lambda: self.server.send(event))

    # What is between them

    @rule()
    def all_is_said_and_done(self) -> None:
        """Let everything come to where it goes, and be answered."""
        while self.on_the_way["server"] or self.commands or self.on_the_way["client"]:
            self.something_reaches_the_server(1)
            self.server_serves(1)
            self.something_reaches_the_client(1)

    @precondition(lambda self: self.on_the_way["client"])
    @rule(texts=st.integers(1, 4))
    def something_reaches_the_client(self, texts: int) -> None:
        for _ in range(texts):
            if self.on_the_way["client"]:
                self.deliver_to_the_client(self.on_the_way["client"].popleft())

    def deliver_to_the_client(self, text: str) -> None:
        event = decode(text)
        if not self.may("client", step_of(event, "server")):
            self.is_refused("client", lambda: self.client.receive_text(text))
            return
        self.client.receive_text(text)
        assert self.client.events() == [event]
        due: list[Event] = [*self.books["client"].server_said(event)]
        if self.waiting and not self.books["client"].is_taken:
            due.append(self.waiting.popleft())
        self.expect_answer(event)
        self.owe(due)

    def owe(self, due: list[Event]) -> None:
        """See the client send by itself what it has to, and nothing else."""
        texts = self.client.to_send()
        found = [decode(text) for text in texts]
        assert [attrs.evolve(event, event_id=UNSET) for event in found] == due  # type: ignore[arg-type]
        for text, event in zip(texts, found, strict=True):
            self.taken.add((self.books["client"].state, Step.CLIENT_EVENT))
            self.on_the_way["server"].append(text)
            self.said("client", event)

    def expect_answer(self, event: AnyEvent) -> None:
        """See the right command settled, if any, and no other."""
        named = str(getattr(event, "event_id", "")).removeprefix("for ")
        if event.type == ResponseDone.type:
            # However a response came to its end, it answers the cancel; so does an end that does
            # not fit, the oldest cancel if nobody knows its id.
            cancels = [c for c in self.outstanding.values() if isinstance(c, ResponseCancel)]
            response = decode(encode(event)).data["response"]
            if isinstance(response, dict):
                cancels = [c for c in cancels if c.response_id == response["id"]]
            named = str(cancels[0].event_id) if cancels else ""
        expected = [(named, event, named in self.abandoned)] if named in self.outstanding else []
        settled = self.client.settled()
        assert [(each.event_id, each.event, each.abandoned) for each in settled] == expected
        for each in settled:
            assert self.outstanding.pop(each.event_id).type == each.type

    @precondition(lambda self: self.on_the_way["server"])
    @rule(texts=st.integers(1, 4))
    def something_reaches_the_server(self, texts: int) -> None:
        for _ in range(texts):
            if self.on_the_way["server"]:
                self.deliver_to_the_server(self.on_the_way["server"].popleft())

    def deliver_to_the_server(self, text: str) -> None:
        if not self.may("server", Step.CLIENT_EVENT):
            self.is_refused("server", lambda: self.server.receive_text(text))
            return
        self.server.receive_text(text)
        (event,) = self.server.events()
        assert event == decode(text)
        assert isinstance(event, Event)
        self.books["server"].client_said(event)
        self.commands.append(event)

    @precondition(lambda self: self.steps > A_GOOD_WHILE)
    @rule(text=st.sampled_from(["{", "[]", "{}", b"{}"]))
    def rubbish_reaches_the_client(self, text: str | bytes) -> None:
        if self.may("client", Step.VIOLATION):
            with pytest.raises(RemoteProtocolError):
                self.client.receive_text(text)
            self.books["client"].state = State.FAILED
            self.expect_failures()
        else:
            self.is_refused("client", lambda: self.client.receive_text(text))

    @rule(text=st.sampled_from(["{", "[]", "{}", b"{}"]))
    def rubbish_reaches_the_server(self, text: str | bytes) -> None:
        # To a server it is no violation: it says an error of its own.
        if not self.may("server", Step.SERVER_EVENT):
            self.is_refused("server", lambda: self.server.receive_text(text))
            return
        self.server.receive_text(text)
        (answer,) = self.server.to_send()
        self.said("server", decode(answer))

    @precondition(lambda self: self.steps > A_GOOD_WHILE)
    @rule(role=st.sampled_from(["client", "server"]))
    def the_transport_ends(self, role: Role) -> None:
        assert self.may(role, Step.END)
        self.sides[role].receive_text(None)
        book = self.books[role]
        book.state = TRANSITIONS[book.state, Step.END]
        if role == "client":
            self.expect_failures()

    def expect_failures(self) -> None:
        """See every command fail that has no answer, sent or waiting for its turn."""
        failed = self.client.failed()
        waiting = [event.type for event in self.waiting]
        sent = [(event_id, event.type) for event_id, event in self.outstanding.items()]
        assert [(each.event_id, each.type) for each in failed[: len(sent)]] == sent
        assert [each.type for each in failed[len(sent) :]] == waiting
        self.outstanding.clear()
        self.waiting.clear()

    # What has to be true all the time

    @invariant()
    def each_side_is_as_its_book(self) -> None:
        self.steps += 1
        for role, side in self.sides.items():
            book, conversation = self.books[role], side.conversation
            assert side.state is book.state
            assert side.session == book.session
            items = conversation.items
            assert [item.id for item in items] == book.order
            for item in items:
                assert item.text == book.text.get(item.id, "")
                assert item.audio_ms == book.bytes.get(item.id, 0) / 48
                assert item.truncated_ms == book.cut.get(item.id)
            statuses = {**dict.fromkeys(book.running, "in_progress"), **book.over}
            assert {each.id: each.status for each in conversation.responses} == statuses
            assert list(side.active_responses) == list(book.running)
            assert side.turn_in_flight == bool(book.running or book.asked)
            assert conversation.usage.responses == conversation.usage.input_tokens == book.usage
            assert conversation.speaking == book.speaking
            waiting = len(self.waiting) if role == "client" else 0
            assert len(side.pending_responses) == len(book.asked) + waiting
            assert (side.events(), side.settled(), side.to_send()) == ([], [], [])
            assert side.failed() == []
        assert self.client.outstanding == tuple(self.outstanding)
        assert self.server.outstanding == ()

    def item_of(self, role: Role, number: int) -> str:
        """Name an item that is there, or was, or one that never was."""
        book = self.books[role]
        these = [*book.order[-4:], *sorted(book.deleted)[-1:]] or ["nowhere"]
        return these[number % len(these)]

    def response_of(self, these: dict[str, Any], number: int) -> str:
        return [*these][number % len(these)]


def bytes_after(event: AnyEvent, size: int) -> int:
    match event:
        case InputAudioBufferAppend(audio=audio):
            return size + len(audio)
        case InputAudioBufferClear():
            return 0
        case InputAudioBufferCommit():
            return 0 if size >= SHORTEST else size
    return size


RUNS = {"dev": 250, "long": 20_000}


def test_in_every_order_of_events_both_sides_are_as_the_model() -> None:
    Sides.seen.clear()
    runs = RUNS.get(settings.get_current_profile_name(), 500)
    run_state_machine_as_test(Sides, settings=settings(max_examples=runs, stateful_step_count=50))
    # Nothing is proved by a machine that stands still.
    assert len(Sides.seen) > 20


WAYS: dict[Step, Callable[[Sides], None]] = {
    Step.GREETING: lambda m: (
        m.say("server", SessionCreated(session=session(manual=True))) and None
    ),
    Step.SERVER_EVENT: lambda m: m.say("server", InputAudioBufferCleared()) and None,
    Step.CLIENT_EVENT: lambda m: m.client_clears(),
    Step.VIOLATION: lambda m: m.rubbish_reaches_the_client("{"),
    Step.END: lambda m: m.the_transport_ends("client"),
}
PATHS: dict[State, list[Step]] = {
    State.CONNECTING: [],
    State.OPEN: [Step.GREETING],
    State.ENDED: [Step.GREETING, Step.END],
    State.FAILED: [Step.GREETING, Step.VIOLATION],
}


def test_every_transition_is_taken_and_every_other_is_refused_by_both_sides() -> None:
    for side in (Sides.taken, Sides.refused):
        side.clear()
    for path in PATHS.values():
        for step in Step:
            machine = Sides()
            machine.steps = A_GOOD_WHILE
            for each in [*path, step]:
                WAYS[each](machine)
                machine.something_reaches_the_client(4)
                machine.each_side_is_as_its_book()
    assert Sides.taken == set(TRANSITIONS)
    every = {(state, step) for state in State for step in Step}
    assert Sides.refused == every - set(TRANSITIONS)
