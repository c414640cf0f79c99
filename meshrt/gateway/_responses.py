"""The responses of one session: which run, what starts one, what stops it."""

import math
from collections.abc import Callable, Mapping
from typing import Any, final

import attrs

from ..audio import bytes_of_ms, duration_ms
from ..events import UNSET, AssistantMessage, OutputAudio, ResponseParams
from ._conversation import Conversation, KnownItem
from ._pacing import Pace
from ._plan import Planner
from ._refusals import Refusal
from ._response import Answering, Surroundings
from ._service import Cast, Line
from ._tokens import Allowance, Reader
from ._values import check_range


@final
class Responses:
    """Start and stop responses, at most one of them in the conversation at a time.

    Args:
        line: The session's client.
        cast: Who thinks and speaks.
        conversation: The session's.
        ended: Is told when a response in the conversation has ended, and how many ms of its audio
            the client has yet to play.
    """

    def __init__(
        self,
        line: Line,
        cast: Cast,
        *,
        conversation: Conversation,
        ended: Callable[[float], None],
    ) -> None:
        self._line = line
        self._cast = cast
        self._ended = ended
        self._conversation = conversation
        self._planner = Planner(conversation)
        self._around = Surroundings(
            emit=line.emit,
            room=line.room,
            conversation=conversation,
            reader=Reader(),
            allowance=Allowance(),
        )
        self._running: dict[str, Answering] = {}
        self._have_spoken = False

    def start(self, params: ResponseParams, config: Mapping[str, Any]) -> None:
        """Begin a response.

        Args:
            params: What it does differently from the session.
            config: The session's configuration.

        Raises:
            Refusal: One runs in the conversation already, or an option has no meaning.
        """
        plan = self._planner.plan(params, config)
        if plan.in_conversation and self._in_conversation():
            raise Refusal(
                "Conversation already has an active response in progress: "
                f"{self._in_conversation()[0].id}. Wait until the response is finished before "
                "creating a new one.",
                code="conversation_already_has_active_response",
            )
        answer = Answering(plan, self._around, pace=Pace(self._cast.pacing))
        self._running[answer.id] = answer
        self._line.tasks.start_soon(self._run, answer)

    @property
    def have_spoken(self) -> bool:
        """Whether there has been audio of the model."""
        return self._have_spoken or any(each.has_spoken for each in self._running.values())

    def cancel(self, response_id: str | None) -> None:
        """Stop the response of this id, or the one in the conversation, as the client asks.

        Raises:
            Refusal: There is none that runs.
        """
        found = self._in_conversation()
        if response_id is not None:
            found = [answer for answer in self._active() if answer.id == response_id]
        if not found:
            raise Refusal(
                "Cancellation failed: no active response found", code="response_cancel_not_active"
            )
        for answer in found:
            answer.cancel("client_cancelled")

    def interrupt(self) -> None:
        """Stop what speaks in the conversation, because the user does."""
        for answer in self._in_conversation():
            answer.cancel("turn_detected")

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut an item's audio; its transcript goes, since nobody knows which words are left.

        Raises:
            Refusal: It has none, or less.
        """
        item = self._conversation.get(item_id)
        saying = next(filter(None, (each.message(item_id) for each in self._active())), None)
        audio_ms = _audio_ms(item) if saying is None else saying.audio_ms or None
        if audio_ms is None:
            raise Refusal("Only model output audio messages can be truncated.", param="item_id")
        if content_index != 0:
            raise Refusal(
                f"Content part at index {content_index} not found.", param="content_index"
            )
        check_range(audio_end_ms, 0, math.inf, "audio_end_ms")
        if audio_end_ms > audio_ms:
            raise Refusal(
                f"Audio content of {audio_ms:.0f}ms is already shorter than {audio_end_ms}ms",
                param="audio_end_ms",
            )
        if saying is not None:
            saying.cut(audio_end_ms)
        else:
            self._conversation.replace(_cut(item, audio_end_ms))

    def _active(self) -> list[Answering]:
        return [answer for answer in self._running.values() if not answer.is_done]

    def _in_conversation(self) -> list[Answering]:
        return [answer for answer in self._active() if answer.in_conversation]

    async def _run(self, answer: Answering) -> None:  # noqa: ASYNC910  a task of its own
        try:
            await answer.run(self._cast.model, self._cast.voice)
        except Exception as error:  # noqa: BLE001  a model or a voice is anybody's
            self._line.failed(error)
        finally:
            del self._running[answer.id]
            self._have_spoken |= answer.has_spoken
            if answer.is_done and answer.in_conversation:
                self._ended(answer.unplayed_ms)


def _audio_ms(item: KnownItem) -> float | None:
    """Return how much speech of the model's is in an item, in ms; ``None`` if it is no speech."""
    match item:
        case AssistantMessage(content=[OutputAudio(audio=bytes(pcm))]):
            return duration_ms(pcm)
    return None


def _cut(item: KnownItem, audio_end_ms: int) -> KnownItem:
    match item:
        case AssistantMessage(content=[OutputAudio(audio=bytes(pcm)) as part]):
            kept = attrs.evolve(part, audio=pcm[: bytes_of_ms(audio_end_ms)], transcript=UNSET)
            return attrs.evolve(item, content=[kept])
    return item
