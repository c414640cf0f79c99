"""A session that listens, and answers if it is for that: what its client asks for, done."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, final

from ..events import (
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    Event,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    InputText,
    RealtimeSessionConfig,
    ResponseCancel,
    ResponseCreate,
    ResponseParams,
    Session,
    SessionUpdate,
    SessionUpdated,
    SystemMessage,
    UserMessage,
)
from ._config import check_voice, updated
from ._conversation import Conversation, KnownItem
from ._ear import Ear
from ._formats import pcm_from
from ._heard import kept, taken, with_audio, without_audio
from ._ids import new_id
from ._mcp import listing_of, servers_in
from ._refusals import Refusal, error_of, refusal_of_item, refusal_of_type
from ._responses import Responses
from ._service import Cast, Line
from ._silence import Silence
from ._transcripts import Transcripts
from ._values import check_known

_SILENT: Final = "The user has said nothing for a while."


@final
class Dialogue:
    """The conversation of one session, and what happens in it.

    Args:
        config: The session's configuration to begin with.
        line: Its client.
        cast: Who thinks and speaks.
    """

    def __init__(self, config: Mapping[str, Any], line: Line, cast: Cast) -> None:
        self.config = config
        self._emit = line.emit
        self._handlers = _HANDLERS_OF[config["type"]]
        self._listed: set[str] = set()
        self._conversation = Conversation()
        self._responses = Responses(
            line, cast, conversation=self._conversation, ended=self._response_ended
        )
        self._transcripts = Transcripts(line, cast, conversation=self._conversation)
        self._ear = Ear(
            emit=line.emit,
            hear=self._hear,
            interrupt=self._responses.interrupt,
            answer=self._answer_turn,
            prompt=self._prompt,
            silence=Silence(line.tasks),
        )
        self._ear.configure(config["audio"]["input"]["turn_detection"])

    @property
    def supported(self) -> list[str]:
        """The wire names of the events that it takes."""
        return [event.type for event in self._handlers]

    def serve(self, event: Event) -> None:
        """Do what an event asks for.

        Raises:
            Refusal: It can't be done, or is not for this kind of session; nothing was done.
        """
        handler = self._handlers.get(type(event))
        if handler is None:
            raise refusal_of_type(event.type, self.supported)
        handler(self, event)

    def _update(self, event: SessionUpdate) -> None:
        config = updated(self.config, event)
        if self._responses.have_spoken:
            check_voice(self.config, config)
        self._ear.configure(config["audio"]["input"]["turn_detection"])
        self.config = config
        self._emit(SessionUpdated(session=config))
        self._list_tools(event.session)

    def _list_tools(self, session: Session) -> None:
        """List the tools of each MCP server that was not listed before."""
        tools = session.tools if isinstance(session, RealtimeSessionConfig) else ()
        for server in servers_in(tools or ()):
            if server.server_label in self._listed:
                continue
            self._listed.add(server.server_label)
            item, events = listing_of(server)
            _, previous = self._conversation.add(item)
            self._emit(ConversationItemAdded(previous_item_id=previous, item=item))
            for event in events:
                self._emit(event)
            self._emit(ConversationItemDone(previous_item_id=previous, item=item))

    def _append(self, event: InputAudioBufferAppend) -> None:
        self._ear.append(pcm_from(event.audio, self.config["audio"]["input"]["format"]))

    def _commit(self, _: InputAudioBufferCommit) -> None:
        self._ear.commit()

    def _clear(self, _: InputAudioBufferClear) -> None:
        self._ear.clear()
        self._emit(InputAudioBufferCleared())

    def _create_item(self, event: ConversationItemCreate) -> None:
        if not isinstance(event.item, KnownItem):
            raise refusal_of_item(event.data["item"])
        item = taken(kept(event.item), self.config["audio"]["input"]["format"])
        self._announce(item, after=event.previous_item_id or None)

    def _delete_item(self, event: ConversationItemDelete) -> None:
        self._conversation.delete(event.item_id)
        self._emit(ConversationItemDeleted(item_id=event.item_id))

    def _retrieve_item(self, event: ConversationItemRetrieve) -> None:
        item = self._conversation.get(event.item_id)
        self._emit(ConversationItemRetrieved(item=with_audio(item, self.config)))

    def _truncate_item(self, event: ConversationItemTruncate) -> None:
        self._responses.truncate(event.item_id, event.content_index, event.audio_end_ms)
        self._emit(
            ConversationItemTruncated(
                item_id=event.item_id,
                content_index=event.content_index,
                audio_end_ms=event.audio_end_ms,
            )
        )

    def _create_response(self, event: ResponseCreate) -> None:
        if event.response:
            check_known(event.data.get("response"), ResponseParams, "response")
        params = event.response or ResponseParams()
        self._responses.start(params, self.config)
        if params.conversation != "none":
            self._ear.response_began()

    def _cancel_response(self, event: ResponseCancel) -> None:
        self._responses.cancel(event.response_id or None)

    def _answer_turn(self) -> None:
        if ResponseCreate not in self._handlers:
            return
        try:
            self._create_response(ResponseCreate())
        except Refusal as refusal:  # the audio that ended the turn is not to blame
            self._emit(error_of(refusal, None))

    def _response_ended(self, unplayed_ms: float) -> None:
        self._ear.response_ended(unplayed_ms)

    def _prompt(self) -> None:
        """Add what the real server tells its model when the user says nothing."""
        self._announce(
            SystemMessage(
                id=new_id("item"),
                object="realtime.item",
                status="completed",
                content=[InputText(text=_SILENT)],
            )
        )

    def _hear(self, message: UserMessage) -> None:
        item_id, previous = str(message.id), self._conversation.last_id
        self._emit(InputAudioBufferCommitted(item_id=item_id, previous_item_id=previous))
        self._announce(message)
        how = self.config["audio"]["input"]["transcription"]
        if how is not None:
            self._transcripts.start(message, how, self.config["include"] or ())

    def _announce(self, item: KnownItem, *, after: str | None = None) -> None:
        named, previous = self._conversation.add(item, after=after)
        shown = without_audio(named)
        self._emit(ConversationItemAdded(previous_item_id=previous, item=shown))
        self._emit(ConversationItemDone(previous_item_id=previous, item=shown))


_Handlers: TypeAlias = Mapping[type[Event], Callable[[Dialogue, Any], None]]

_LISTENING: Final[_Handlers] = {
    SessionUpdate: Dialogue._update,
    InputAudioBufferAppend: Dialogue._append,
    InputAudioBufferCommit: Dialogue._commit,
    InputAudioBufferClear: Dialogue._clear,
    ConversationItemCreate: Dialogue._create_item,
    ConversationItemDelete: Dialogue._delete_item,
    ConversationItemRetrieve: Dialogue._retrieve_item,
}
_ANSWERING: Final[_Handlers] = {
    ConversationItemTruncate: Dialogue._truncate_item,
    ResponseCreate: Dialogue._create_response,
    ResponseCancel: Dialogue._cancel_response,
}
_HANDLERS_OF: Final[Mapping[str, _Handlers]] = {
    "realtime": {**_LISTENING, **_ANSWERING},
    "transcription": _LISTENING,
}
