"""The responses of one session: which run, what starts one, what stops it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, final

import anyio.abc
import attrs

from ..events import AssistantMessage, Event, ItemReference, OutputAudio, ResponseParams
from ._config import check_modalities
from ._conversation import Conversation, KnownItem
from ._heard import Listener
from ._refusals import Refusal
from ._response import Answering, Plan
from ._speaking import Voice
from ._thinking import Model


@final
class Responses:
    """Start and stop responses, at most one of them in the conversation at a time.

    Args:
        tasks: Where they run.
        emit: Sends an event to the client.
        room: Waits until the client has read enough for so many bytes more.
        failed: Is told what a model or a voice raised.
        conversation: The session's.
        model: What thinks up the answers.
        voice: What speaks them.
    """

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        *,
        emit: Callable[[Event], None],
        room: Callable[[int], Awaitable[None]],
        failed: Callable[[Exception], None],
        conversation: Conversation,
        model: Model,
        voice: Voice,
    ) -> None:
        self._tasks = tasks
        self._emit = emit
        self._room = room
        self._failed = failed
        self._conversation = conversation
        self._model = model
        self._voice = voice
        self._listener = Listener()
        self._running: dict[str, Answering] = {}
        self._audio_ms: dict[str, float] = {}

    def start(self, params: ResponseParams, modalities: Sequence[str]) -> None:
        """Begin a response.

        Args:
            params: What it does differently from the session.
            modalities: The session's.

        Raises:
            Refusal: One runs in the conversation already, or an option has no meaning.
        """
        plan = self._plan(params, modalities)
        if plan.in_conversation and self._in_conversation():
            raise Refusal(
                "Conversation already has an active response in progress: "
                f"{self._in_conversation()[0].id}. Wait until the response is finished before "
                "creating a new one.",
                code="conversation_already_has_active_response",
            )
        answer = Answering(plan, emit=self._emit, room=self._room, conversation=self._conversation)
        self._running[answer.id] = answer
        self._tasks.start_soon(self._run, answer)

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

    def audio_ms_of(self, item_id: str) -> float | None:
        """Return how much audio there is of an item, in ms; ``None`` if it never had any."""
        if item_id in self._audio_ms:
            return self._audio_ms[item_id]
        spoken = {answer.item_id: answer.audio_ms for answer in self._running.values()}
        return spoken.get(item_id) or None

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Cut an item's audio; its transcript goes, since nobody knows which words are left.

        Raises:
            Refusal: It has none, or less.
        """
        item, audio_ms = self._conversation.get(item_id), self.audio_ms_of(item_id)
        if audio_ms is None:
            raise Refusal("Only model output audio messages can be truncated.", param="item_id")
        if audio_end_ms < 0:
            raise Refusal(
                "Invalid 'audio_end_ms': integer below minimum value. Expected a value >= 0, but "
                f"got {audio_end_ms} instead.",
                code="integer_below_min_value",
                param="audio_end_ms",
            )
        if audio_end_ms > audio_ms:
            raise Refusal(
                f"Audio content of {audio_ms:.0f}ms is already shorter than {audio_end_ms}ms",
                param="audio_end_ms",
            )
        self._audio_ms[item_id] = audio_end_ms
        if isinstance(item, AssistantMessage):
            self._conversation.replace(attrs.evolve(item, content=[OutputAudio()]))

    def _active(self) -> list[Answering]:
        return [answer for answer in self._running.values() if not answer.is_done]

    def _in_conversation(self) -> list[Answering]:
        return [answer for answer in self._active() if answer.in_conversation]

    async def _run(self, answer: Answering) -> None:  # noqa: ASYNC910  a task of its own
        try:
            await answer.run(self._model, self._voice)
        except Exception as error:  # noqa: BLE001  a model or a voice is anybody's
            self._failed(error)
        finally:
            del self._running[answer.id]
            if answer.item_id is not None and answer.audio_ms:
                self._audio_ms.setdefault(answer.item_id, answer.audio_ms)

    def _plan(self, params: ResponseParams, modalities: Sequence[str]) -> Plan:
        items = self._conversation.last_turn()
        if params.input or isinstance(params.input, list):
            items = self._given(params.input)
        wanted = params.output_modalities or modalities
        check_modalities(wanted, "response.output_modalities")
        return Plan(
            spoken="audio" in wanted,
            in_conversation=params.conversation != "none",
            metadata=params.metadata or None,
            heard=self._listener.heard_in(items),
        )

    def _given(self, items: Sequence[Any]) -> list[KnownItem]:
        return [
            self._conversation.get(item.id) if isinstance(item, ItemReference) else item
            for item in items
            if not isinstance(item, Mapping)
        ]
