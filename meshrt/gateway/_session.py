"""One client of the gateway, from its greeting to its end."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias, final

import anyio
import anyio.abc

from ..errors import RemoteProtocolError
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
    Error,
    ErrorDetails,
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
    ResponseDone,
    ResponseParams,
    Session,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SystemMessage,
    UnknownEvent,
    Usage,
    UserMessage,
)
from ..protocol import AnyEvent, RealtimeProtocol
from ..protocol._checks import json_problem
from ..session._outbox import Outbox
from ..transports import ConnectionLost, Transport
from ._config import Kind, check_voice, new_config, updated
from ._conversation import Conversation, KnownItem
from ._ear import Ear
from ._farewells import Farewell
from ._formats import pcm_from
from ._heard import kept, taken, with_audio, without_audio
from ._ids import new_event_id, new_id
from ._journal import note_accepted, note_bug, note_closed, note_violation
from ._mcp import listing_of, servers_in
from ._pacing import Pacing
from ._refusals import (
    Refusal,
    error_of,
    refusal_of_item,
    refusal_of_type,
    refusal_of_unknown,
)
from ._responses import Responses
from ._silence import Silence
from ._speaking import Voice
from ._thinking import Model, Transcriber
from ._transcripts import HonestTranscriber, Transcripts
from ._values import check_known

_SESSION_SECONDS: Final = 30 * 60  # the documented length of a session at Mesh's gateway
_CLOSE_SECONDS: Final = 1.0  # how long a client may take to read what is left
_EXPIRED: Final = "Your session hit the maximum duration of 30 minutes."
_SILENT: Final = "The user has said nothing for a while."
_FAILED: Final = "The server had an error while processing your request. Sorry about that!"


@final
class GatewaySession:
    """Serve one client over a transport that is open.

    Args:
        transport: The connection; the session closes it.
        tasks: Where its writer and its responses run.
        model_name: The model that the client asked for.
        model: What thinks up the answers, and transcribes if it can.
        voice: What speaks them.
        charge: Is told what each response used, and says how the session ends if it may not go on.
        pacing: How fast their audio goes out.
        kind: What the session is for.
    """

    def __init__(
        self,
        transport: Transport,
        tasks: anyio.abc.TaskGroup,
        *,
        model_name: str,
        model: Model,
        voice: Voice,
        charge: Callable[[Usage], Farewell | None] = lambda _: None,
        pacing: Pacing = "none",
        kind: Kind = "realtime",
    ) -> None:
        self._transport = transport
        self._tasks = tasks
        self._protocol = RealtimeProtocol("server", make_id=new_event_id)
        self._outbox = Outbox()
        self._goodbye = (1000, "")
        self._charge = charge
        self._life = anyio.CancelScope()
        self._written = anyio.Event()
        self._conversation = Conversation()
        expires_at = int(time.time()) + _SESSION_SECONDS
        self._config = new_config(new_id("sess"), model_name, expires_at, kind)
        self._handlers = HANDLERS_OF[kind]
        self._listed: set[str] = set()
        self._responses = Responses(
            tasks,
            emit=self._emit,
            room=self._outbox.admit,
            failed=self._fail,
            ended=self._response_ended,
            conversation=self._conversation,
            model=model,
            voice=voice,
            pacing=pacing,
        )
        self._transcripts = Transcripts(
            tasks,
            emit=self._emit,
            failed=self._fail,
            conversation=self._conversation,
            transcriber=model if isinstance(model, Transcriber) else HonestTranscriber(),
        )
        self._ear = Ear(
            emit=self._emit,
            hear=self._hear,
            interrupt=self._responses.interrupt,
            answer=self._answer_turn,
            prompt=self._prompt,
            silence=Silence(tasks),
        )
        transport.wake = self._outbox.wake

    async def run(self) -> None:
        """Greet the client and serve it until it goes, its time is over or something fails."""
        self._ear.configure(self._config["audio"]["input"]["turn_detection"])
        self._emit(SessionCreated(session=self._config))
        note_accepted(self._config["id"], self._config.get("model", ""))
        self._tasks.start_soon(self._write)
        with anyio.move_on_after(_SESSION_SECONDS) as time_limit, self._life:
            await self._read()
        if time_limit.cancelled_caught:
            self._emit(error_of(Refusal(_EXPIRED, code="session_expired"), None))
            self._goodbye = (1001, _EXPIRED)
        self._outbox.close(drain=True)
        with anyio.move_on_after(_CLOSE_SECONDS):
            await self._written.wait()

    def release(self) -> None:
        """Give up the memory, when all its tasks are done."""
        self._outbox.discard()
        note_closed(self._config["id"], self._transport.close_code, self._transport.close_reason)

    def end(self, farewell: Farewell) -> None:
        """Tell the client why its session is over, and close it."""
        self._put(self._protocol.send(Error(error=farewell.details, request_id=new_id("req"))))
        self._goodbye = (farewell.close_code, farewell.close_reason)
        self._outbox.close(drain=True)
        self._life.cancel(farewell.close_reason)

    async def _read(self) -> None:  # noqa: ASYNC910  it received
        try:
            while True:
                for message in await self._transport.receive():
                    # Whoever does not read what it asked for is not asked for more.
                    await self._outbox.admit(0)
                    self._take(message)
        except (anyio.EndOfStream, ConnectionLost):
            return  # noqa: ASYNC910  it received
        except RemoteProtocolError as error:
            note_violation(error)
        except Exception as error:  # noqa: BLE001  it ends this session and no other
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End this session because of a bug, be it here, in the model or in the voice."""
        note_bug("a session failed", error)
        details = ErrorDetails(
            type="server_error", code="internal_error", message=_FAILED, param=None, event_id=None
        )
        self.end(Farewell(details=details, close_code=1011, close_reason="internal_error"))

    async def _write(self) -> None:  # noqa: ASYNC910  a task of its own
        try:
            with suppress(ConnectionLost, anyio.ClosedResourceError):
                await self._outbox.write_to(self._transport)
                await self._transport.aclose(*self._goodbye)
        finally:
            self._outbox.close(drain=False)  # nobody waits for room that will never be
            self._written.set()

    def _take(self, message: str | bytes) -> None:
        self._protocol.receive_text(message)
        for text in self._protocol.to_send():
            self._put(text)
        for event in self._protocol.events():
            try:
                self._serve(event)
            except Refusal as refusal:
                self._emit(error_of(refusal, event.data.get("event_id")))

    def _serve(self, event: AnyEvent) -> None:
        if isinstance(event, UnknownEvent):
            raise refusal_of_unknown(event, self._supported)
        if not isinstance(event, InputAudioBufferAppend) and (problem := json_problem(event.data)):
            raise Refusal(f"Invalid {event.type}: {problem}.", code="invalid_json")
        handler = self._handlers.get(type(event))
        if handler is None:
            raise refusal_of_type(event.type, self._supported)
        handler(self, event)

    def _emit(self, event: Event) -> None:
        self._put(self._protocol.send(event, strict=False))
        if isinstance(event, ResponseDone):
            farewell = self._charge(event.response.usage or Usage())
            if farewell is not None:
                self.end(farewell)

    def _put(self, text: str) -> None:
        if not self._outbox.closed:
            self._outbox.put(text)

    @property
    def _supported(self) -> list[str]:
        return [event.type for event in self._handlers]

    def _update(self, event: SessionUpdate) -> None:
        config = updated(self._config, event)
        if self._responses.have_spoken:
            check_voice(self._config, config)
        self._ear.configure(config["audio"]["input"]["turn_detection"])
        self._config = config
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
        self._ear.append(pcm_from(event.audio, self._config["audio"]["input"]["format"]))

    def _commit(self, _: InputAudioBufferCommit) -> None:
        self._ear.commit()

    def _clear(self, _: InputAudioBufferClear) -> None:
        self._ear.clear()
        self._emit(InputAudioBufferCleared())

    def _create_item(self, event: ConversationItemCreate) -> None:
        if not isinstance(event.item, KnownItem):
            raise refusal_of_item(event.data["item"])
        item = taken(kept(event.item), self._config["audio"]["input"]["format"])
        self._announce(item, after=event.previous_item_id or None)

    def _delete_item(self, event: ConversationItemDelete) -> None:
        self._conversation.delete(event.item_id)
        self._emit(ConversationItemDeleted(item_id=event.item_id))

    def _retrieve_item(self, event: ConversationItemRetrieve) -> None:
        item = self._conversation.get(event.item_id)
        self._emit(ConversationItemRetrieved(item=with_audio(item, self._config)))

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
        self._responses.start(params, self._config)
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
        how = self._config["audio"]["input"]["transcription"]
        if how is not None:
            self._transcripts.start(message, how, self._config["include"] or ())

    def _announce(self, item: KnownItem, *, after: str | None = None) -> None:
        named, previous = self._conversation.add(item, after=after)
        shown = without_audio(named)
        self._emit(ConversationItemAdded(previous_item_id=previous, item=shown))
        self._emit(ConversationItemDone(previous_item_id=previous, item=shown))


_Handlers: TypeAlias = Mapping[type[Event], Callable[[GatewaySession, Any], None]]

_LISTENING: Final[_Handlers] = {
    SessionUpdate: GatewaySession._update,
    InputAudioBufferAppend: GatewaySession._append,
    InputAudioBufferCommit: GatewaySession._commit,
    InputAudioBufferClear: GatewaySession._clear,
    ConversationItemCreate: GatewaySession._create_item,
    ConversationItemDelete: GatewaySession._delete_item,
    ConversationItemRetrieve: GatewaySession._retrieve_item,
}
_ANSWERING: Final[_Handlers] = {
    ConversationItemTruncate: GatewaySession._truncate_item,
    ResponseCreate: GatewaySession._create_response,
    ResponseCancel: GatewaySession._cancel_response,
}
HANDLERS_OF: Final[Mapping[Kind, _Handlers]] = {
    "realtime": {**_LISTENING, **_ANSWERING},
    "transcription": _LISTENING,
}
