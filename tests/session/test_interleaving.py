"""Commands, errors and losses in any order: each command gets its own answer, or the end."""

import itertools
import random
from collections import deque
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from support import ScriptedServer, error, text_delta

from meshrt.errors import MeshError, RealtimeError
from meshrt.events import ConversationItemAdded, Event, UserMessage
from meshrt.session import RealtimeSession
from meshrt.transports import ConnectionLost

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

COMMANDS = 60


class Late:
    """Answer commands when chance has it, each kind in its order, some by an error."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.asked: dict[str, deque[Event]] = {}

    def ask(self, event: Any) -> None:
        if event.type != "session.update":  # that one answers by itself
            self.asked.setdefault(event.type, deque()).append(event)

    def answer(self) -> dict[str, Any] | None:
        waiting = [kind for kind, events in self.asked.items() if events]
        if not waiting:
            return None
        command: Any = self.asked[self.chance.choice(waiting)].popleft()
        if self.chance.random() < 0.3:
            return error(f"no {command.event_id}", event_id=command.event_id)
        return ANSWERS[command.type](command)


ANSWERS = {
    "conversation.item.create": lambda command: {
        "type": "conversation.item.added",
        "item": {**command.data["item"], "status": "completed"},
    },
    "conversation.item.delete": lambda command: {
        "type": "conversation.item.deleted",
        "item_id": command.item_id,
    },
    "conversation.item.truncate": lambda command: {
        "type": "conversation.item.truncated",
        "item_id": command.item_id,
        "content_index": 0,
        "audio_end_ms": command.audio_end_ms,
    },
}


async def ask(session: RealtimeSession, number: int, outcomes: list[str]) -> None:
    """Await a command whose answer can be known, and note what came of it."""
    name = f"item {number}"
    try:
        if number % 3 == 0:
            added = await session.create_item(UserMessage(id=name, content=[]))
            assert isinstance(added, ConversationItemAdded)
            assert added.item.id == name  # type: ignore[union-attr]
        elif number % 3 == 1:
            assert (await session.delete_item(name)).item_id == name
        else:
            cut = await session.truncate(name, number)
            assert (cut.item_id, cut.audio_end_ms) == (name, number)
    except RealtimeError as refusal:
        is_its_own = refusal.message == f"no {refusal.event_id}"
        outcomes.append("refused" if is_its_own else "refused for another")
    except ConnectionLost:
        outcomes.append("lost")
    else:
        outcomes.append("answered")


class Play:
    """Sixty commands at once, and what becomes of each."""

    def __init__(self, session: RealtimeSession, server: ScriptedServer, seed: int) -> None:
        self.session = session
        self.server = server
        self.chance = random.Random(seed)
        self.late = Late(self.chance)
        self.breaks_at = self.chance.randrange(40) if seed % 3 == 0 else None
        self.outcomes: list[str] = []
        self.scopes: list[anyio.CancelScope] = []
        self.seen = 0

    async def command(self, number: int) -> None:
        with anyio.CancelScope() as scope:
            self.scopes.append(scope)
            await ask(self.session, number, self.outcomes)
        if scope.cancelled_caught:
            self.outcomes.append("cancelled")

    @property
    def is_over(self) -> bool:
        everybody = len(self.outcomes) == COMMANDS
        return everybody and (self.is_lost or self.session.statistics().commands == 0)

    @property
    def is_lost(self) -> bool:
        return self.session.closed is not None

    async def turn(self, number: int) -> None:
        await anyio.lowlevel.checkpoint()
        for event in self.server.events[self.seen :]:
            self.late.ask(event)
            self.seen += 1
        if number == self.breaks_at:
            await self.server.vanish()
        elif not self.is_lost:
            await self.something_happens(number)

    async def something_happens(self, number: int) -> None:
        if self.chance.random() < 0.1:
            self.chance.choice(self.scopes).cancel()
        if self.chance.random() < 0.2:
            await self.server.say(text_delta(number))
        if self.chance.random() < 0.7 and (answer := self.late.answer()) is not None:
            await self.server.say(answer)


@pytest.mark.parametrize("seed", range(15))
async def test_each_command_gets_its_own_answer_or_the_end(seed: int) -> None:
    async with ScriptedServer() as server, server.connect() as session:
        play = Play(session, server, seed)
        async with anyio.create_task_group() as tasks:
            for number in range(COMMANDS):
                tasks.start_soon(play.command, number)
            for number in itertools.count():
                await play.turn(number)
                if play.is_over:
                    break
        if play.breaks_at is None:
            assert {*play.outcomes} == {"answered", "refused", "cancelled"}
        else:
            assert {*play.outcomes} >= {"lost"}


async def test_after_the_end_a_command_raises_it() -> None:
    async with ScriptedServer() as server, server.connect() as session:
        await server.vanish()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(MeshError):
            await session.clear()
