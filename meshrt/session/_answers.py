"""Those who wait for the event that answers a command, or for the end."""

from collections.abc import Sequence
from typing import Final, final

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from ..events import Error, SessionCreated, SessionUpdated
from ..protocol import AnyEvent, Settled
from ._end import End

# By name: an event that does not fit its class is an UnknownEvent, and the greeting yet.
_GREETINGS: Final = frozenset({SessionCreated.type, SessionUpdated.type, Error.type})
_TOO_LATE: Final = "response_cancel_not_active"


@final
class Answer:
    """What one command is answered with: an event, an error among them, or the end."""

    def __init__(self) -> None:
        self._come = anyio.Event()
        self.event: AnyEvent | None = None
        self.end: End | None = None
        self.withdrawn: str | None = None

    def take(self, event: AnyEvent) -> None:
        """Stop waiting: this is the answer."""
        self.event = event
        self._come.set()

    def withdraw(self, reason: str) -> None:
        """Stop waiting: the command was not sent, and will not be."""
        self.withdrawn = reason
        self._come.set()

    def ended(self, end: End) -> None:
        """Stop waiting: there will be no answer."""
        if not self._come.is_set():
            self.end = end
            self._come.set()

    async def wait(self) -> None:
        """Wait for the answer or the end; cancelling is safe, and leaves the command as it is."""
        await self._come.wait()
        if self.end is not None:
            await checkpoint_if_cancelled()  # it may be why there is an end


@final
class Answers:
    """All who wait, served before anybody who reads."""

    def __init__(self) -> None:
        self._greeting: Answer | None = None
        self._waiting: dict[str, Answer] = {}
        self._cancels: set[str] = set()

    def expect_greeting(self) -> Answer:
        """Wait for the first word of the server."""
        self._greeting = Answer()
        return self._greeting

    def expect(self, event_id: str) -> Answer:
        """Wait for the answer to the command of this id."""
        return self._waiting.setdefault(event_id, Answer())

    def forget(self, event_id: str) -> None:
        """Wait no longer."""
        self._waiting.pop(event_id, None)

    def withdraw(self, event_id: str, reason: str) -> None:
        """Let nobody wait for a command that will not be sent."""
        answer = self._waiting.pop(event_id, None)
        if answer is not None:
            answer.withdraw(reason)

    def forgive(self, event_id: str) -> None:
        """Absorb the error that answers this cancel if the response ends by itself before."""
        self._cancels.add(event_id)

    def offer(self, event: AnyEvent, settled: Sequence[Settled]) -> bool:
        """Serve those who wait; return whether it is an error that nobody else should hear of."""
        if self._greeting is not None and event.type in _GREETINGS:
            self._greeting.take(event)
            self._greeting = None
            return isinstance(event, Error)
        if not settled and not isinstance(event, Error):
            return False
        heard = [self._settle(one) for one in settled]
        return isinstance(event, Error) and (any(heard) or self._is_race(event))

    def ended(self, end: End) -> None:
        """Let nobody wait any longer: there will be no answers."""
        for answer in (*self._waiting.values(), *filter(None, [self._greeting])):
            answer.ended(end)

    def _settle(self, settled: Settled) -> bool:
        """Give a command its answer; return whether somebody waits or has waited for it."""
        if getattr(getattr(settled.event, "response", None), "status", None) == "cancelled":
            self._cancels.discard(settled.event_id)  # it came in time: no error follows
        answer = self._waiting.pop(settled.event_id, None)
        if answer is not None:
            answer.take(settled.event)
        return answer is not None or settled.abandoned

    def _is_race(self, error: Error) -> bool:
        """Tell whether a cancel of ours came too late: the response had ended by itself."""
        event_id = error.error.event_id
        if error.error.code != _TOO_LATE or not self._cancels:
            return False
        late = event_id or next(iter(self._cancels))
        is_ours = late in self._cancels
        self._cancels.discard(late)
        return is_ours
