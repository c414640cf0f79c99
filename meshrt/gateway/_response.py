"""One response of the server: from ``response.created`` to exactly one ``response.done``."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, final

import anyio
import attrs
from anyio.lowlevel import checkpoint

from ..audio import SAMPLE_RATE_HZ, duration_ms, resample
from ..events import (
    AudioConfig,
    AudioOutput,
    ConversationItemAdded,
    ConversationItemDone,
    Event,
    RateLimitsUpdated,
    Response,
    ResponseCreated,
    ResponseDone,
    ResponseFailure,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    StatusDetails,
)
from ._answer import Answer, Call, CallMcp, Fail, Interleave, Part, Refuse, Say, answer_of
from ._conversation import Conversation
from ._formats import whole
from ._heard import without_audio
from ._ids import new_id
from ._mcp import output_of_mcp
from ._outputs import CallOutput, MessageOutput, Output, Piece
from ._pacing import Pace
from ._plan import Plan
from ._speaking import Voice
from ._thinking import Model
from ._tokens import Allowance, Reader, Tokens, usage_of


@attrs.frozen
class _Ending:
    """How a response ends, and its items with it."""

    status: str
    details: StatusDetails | None = None
    item_status: str = "completed"


_COMPLETED: Final = _Ending("completed")
_OUT_OF_TOKENS: Final = _Ending(
    "incomplete", StatusDetails(type="incomplete", reason="max_output_tokens"), "incomplete"
)
_FILTERED: Final = _Ending(
    "incomplete", StatusDetails(type="incomplete", reason="content_filter"), "incomplete"
)


@attrs.frozen(kw_only=True)
class Surroundings:
    """What the responses of one session share."""

    emit: Callable[[Event], None]
    """Sends an event."""
    room: Callable[[int], Awaitable[None]]
    """Waits until the client has read enough for so many bytes more."""
    conversation: Conversation
    """Where what they say is kept."""
    reader: Reader
    """Counts what they read."""
    allowance: Allowance
    """What they spend."""


@final
class Answering:
    """A response while it runs.

    Args:
        plan: What it is to do.
        around: What it shares with the others.
        pace: When its audio may go out.
    """

    def __init__(self, plan: Plan, around: Surroundings, *, pace: Pace) -> None:
        self.id = new_id("resp")
        self.in_conversation = plan.in_conversation
        self._plan = plan
        self._around = around
        self._pace = pace
        self._scope = anyio.CancelScope()
        self._outputs: list[Output] = []
        self._made = Tokens()
        self._sent_ms = 0.0
        self._done = False
        self._read, self._cached = around.reader.read(plan.heard)
        around.emit(ResponseCreated(response=self._picture("in_progress")))

    async def run(self, model: Model, voice: Voice) -> None:
        """Think, speak and end; cancelled by :meth:`cancel`, it has ended already."""
        with self._scope:
            answer = answer_of(await model.reply(self._plan.heard))
            # It need not have waited for anything, and the response may be cancelled by now.
            await checkpoint()
            self._end(await self._answer(answer, voice))

    def cancel(self, reason: str) -> None:
        """End now, because the client asked for it or the user speaks."""
        if not self._done:
            details = StatusDetails(type="cancelled", reason=reason)
            self._end(_Ending("cancelled", details, "incomplete"))
        self._scope.cancel()

    def message(self, item_id: str) -> MessageOutput | None:
        """Return the message of this id that is being said; ``None`` if there is none."""
        found = [each for each in self._outputs if each.id == item_id]
        return next((each for each in found if isinstance(each, MessageOutput)), None)

    @property
    def has_spoken(self) -> bool:
        """Whether there was audio of it."""
        return self._sent_ms > 0

    @property
    def unplayed_ms(self) -> float:
        """How much of its audio a client that plays it has yet to play, in ms."""
        return self._pace.unplayed_ms(self._sent_ms)

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self._done

    async def _answer(self, answer: Answer, voice: Voice) -> _Ending:
        for part in answer:
            if isinstance(part, Fail):
                return _failed(part)
            outputs = [await self._output(each, voice) for each in _items_of(part)]
            if not await self._make(outputs, is_whole=not isinstance(part, Refuse)):
                return _OUT_OF_TOKENS  # noqa: ASYNC910  it made something before
            if isinstance(part, Refuse):
                return _FILTERED  # noqa: ASYNC910  the same
        return _COMPLETED  # noqa: ASYNC910  an answer of nothing, after the model's own wait

    async def _output(self, part: Say | Call | CallMcp, voice: Voice) -> Callable[[], Output]:
        """Prepare an item: it gets its place when it opens."""
        if isinstance(part, Call):
            return lambda: CallOutput(self._next_place, part)  # noqa: ASYNC910  the model waited
        if isinstance(part, CallMcp):
            heard = self._plan.heard
            return lambda: output_of_mcp(self._next_place, part, heard)  # noqa: ASYNC910  the same
        audio = await self._spoken(part.text, voice) if self._plan.spoken else None
        await checkpoint()
        return lambda: MessageOutput(
            self._next_place, part, audio=audio, audio_format=self._plan.audio_format
        )

    async def _spoken(self, text: str, voice: Voice) -> bytes:
        pcm = await voice.speak(text, heard=self._plan.heard.speech)
        if self._plan.speed != 1:
            # A faster tape: the pitch goes with it.
            pcm = resample(pcm, round(SAMPLE_RATE_HZ * self._plan.speed), SAMPLE_RATE_HZ)
        return whole(pcm, self._plan.audio_format)

    async def _make(self, wanted: Sequence[Callable[[], Output]], *, is_whole: bool) -> bool:
        """Make these items, taking turns; return whether the tokens were enough."""
        waiting = deque(wanted)
        begun: deque[Output] = deque()
        while waiting or begun:
            output = self._open(waiting.popleft()()) if waiting else begun.popleft()
            piece = output.next()
            if piece is None:
                self._close(output, "completed" if is_whole else "incomplete")
            elif self._affords(piece):
                await self._send(output, piece)
                begun.append(output)
            else:
                return False  # noqa: ASYNC910  what it opened is closed with the response
        return True  # noqa: ASYNC910  nothing to say takes no time

    def _affords(self, piece: Piece) -> bool:
        most = self._plan.max_tokens
        return most is None or (self._made + piece.tokens).total <= most

    async def _send(self, output: Output, piece: Piece) -> None:
        if piece.audio:
            await self._pace.until(self._sent_ms)
        await self._around.room(piece.wire_bytes)
        self._sent_ms += duration_ms(piece.audio)
        self._made += piece.tokens
        self._around.emit(output.take(piece))

    @property
    def _next_place(self) -> dict[str, Any]:
        return {"response_id": self.id, "output_index": len(self._outputs)}

    def _open(self, output: Output) -> Output:
        emit, item = self._around.emit, output.item()
        self._outputs.append(output)
        emit(ResponseOutputItemAdded(response_id=self.id, output_index=output.index, item=item))
        if self.in_conversation:
            _, previous = self._around.conversation.add(item)
            emit(ConversationItemAdded(previous_item_id=previous, item=item))
        for event in output.opening():
            emit(event)
        return output

    def _close(self, output: Output, status: str) -> None:
        emit = self._around.emit
        output.status = status
        for event in output.closing():
            emit(event)
        item = output.item()
        shown = without_audio(item)
        if self.in_conversation:
            self._around.conversation.replace(item)
            emit(ConversationItemDone(previous_item_id=None, item=shown))
        emit(ResponseOutputItemDone(response_id=self.id, output_index=output.index, item=shown))

    def _end(self, ending: _Ending) -> None:
        self._done = True
        for output in self._outputs:
            if output.status == "in_progress":
                self._close(output, ending.item_status)
        self._around.emit(ResponseDone(response=self._picture(ending.status, ending.details)))
        limit = self._around.allowance.spend(self._read.total + self._made.total)
        if self._outputs:
            self._around.emit(RateLimitsUpdated(rate_limits=[limit]))

    def _picture(self, status: str, details: StatusDetails | None = None) -> Response:
        plan, running = self._plan, status == "in_progress"
        items = [] if running else [without_audio(output.item()) for output in self._outputs]
        return Response(
            id=self.id,
            object="realtime.response",
            status=status,
            status_details=details,
            output=items,
            conversation_id=self._around.conversation.id if self.in_conversation else None,
            output_modalities=["audio" if plan.spoken else "text"],
            audio=AudioConfig(output=AudioOutput(format=plan.audio_format, voice=plan.voice)),
            max_output_tokens="inf" if plan.max_tokens is None else plan.max_tokens,
            metadata=plan.metadata,
            usage=None if running else usage_of(self._read, self._cached, self._made),
        )


def _items_of(part: Part) -> Sequence[Say | Call | CallMcp]:
    """Return what becomes an item."""
    match part:
        case Interleave(parts):
            return parts
        case Refuse(text):
            return [Say(text)] if text else []
        case Say() | Call() | CallMcp():
            return [part]
        case Fail():
            return []


def _failed(failure: Fail) -> _Ending:
    details = ResponseFailure(
        type="invalid_request_error" if failure.code else "server_error",
        code=failure.code,
        message=failure.message,
    )
    return _Ending("failed", StatusDetails(type="failed", error=details), "incomplete")
