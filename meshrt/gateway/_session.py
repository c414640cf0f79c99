"""One client of the gateway, from its greeting to its end."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, final

import anyio
import anyio.abc

from ..errors import RemoteProtocolError
from ..events import (
    Error,
    ErrorDetails,
    Event,
    InputAudioBufferAppend,
    ResponseDone,
    SessionCreated,
    UnknownEvent,
    Usage,
)
from ..protocol import AnyEvent, RealtimeProtocol
from ..protocol._checks import json_problem
from ..session._outbox import Outbox
from ..transports import ConnectionLost, Transport
from ._config import Kind, new_config
from ._dialogue import Dialogue
from ._farewells import Farewell
from ._ids import new_event_id, new_id
from ._journal import note_accepted, note_bug, note_closed, note_violation
from ._pacing import Pacing
from ._refusals import Refusal, error_of, refusal_of_unknown
from ._service import Cast, Line, Service
from ._speaking import Voice
from ._thinking import Model
from ._translation import Translation

_SESSION_SECONDS: Final = 30 * 60  # the documented length of a session at Mesh's gateway
_CLOSE_SECONDS: Final = 1.0  # how long a client may take to read what is left
_EXPIRED: Final = "Your session hit the maximum duration of 30 minutes."
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
        pacing: How fast their audio goes out.
        kind: What the session is for.
        charge: Is told what each response used, and says how the session ends if it may not go on.
    """

    def __init__(
        self,
        transport: Transport,
        tasks: anyio.abc.TaskGroup,
        *,
        model_name: str,
        model: Model,
        voice: Voice,
        pacing: Pacing = "none",
        kind: Kind = "realtime",
        charge: Callable[[Usage], Farewell | None] = lambda _: None,
    ) -> None:
        self._transport = transport
        self._tasks = tasks
        self._protocol = RealtimeProtocol("server", make_id=new_event_id)
        self._outbox = Outbox()
        self._goodbye = (1000, "")
        self._charge = charge
        self._life = anyio.CancelScope()
        self._written = anyio.Event()
        line = Line(
            tasks=tasks,
            emit=self._emit,
            room=self._outbox.admit,
            failed=self._fail,
            hang_up=self._hang_up,
        )
        cast = Cast(model=model, voice=voice, pacing=pacing)
        expires_at = int(time.time()) + _SESSION_SECONDS
        config = new_config(new_id("sess"), model_name, expires_at, kind)
        serve = Translation if kind == "translation" else Dialogue
        self._service: Service = serve(config, line, cast)
        transport.wake = self._outbox.wake

    async def run(self) -> None:
        """Greet the client and serve it until it goes, its time is over or something fails."""
        self._emit(SessionCreated(session=self._config))
        note_accepted(self._config["id"], self._config["type"], self._config.get("model"))
        self._tasks.start_soon(self._write)
        with anyio.move_on_after(_SESSION_SECONDS) as time_limit, self._life:
            await self._read()
        if time_limit.cancelled_caught:
            self._emit(error_of(Refusal(_EXPIRED, code="session_expired"), None))
            self._goodbye = (1001, _EXPIRED)
        self._outbox.close(drain=True)
        with anyio.move_on_after(_CLOSE_SECONDS):
            await self._written.wait()

    @property
    def _config(self) -> Mapping[str, Any]:
        return self._service.config

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

    def _hang_up(self) -> None:
        self._life.cancel("all is said")

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
            raise refusal_of_unknown(event, self._service.supported)
        if not isinstance(event, InputAudioBufferAppend) and (problem := json_problem(event.data)):
            raise Refusal(f"Invalid {event.type}: {problem}.", code="invalid_json")
        self._service.serve(event)

    def _emit(self, event: Event) -> None:
        self._put(self._protocol.send(event, strict=False))
        if isinstance(event, ResponseDone):
            farewell = self._charge(event.response.usage or Usage())
            if farewell is not None:
                self.end(farewell)

    def _put(self, text: str) -> None:
        if not self._outbox.closed:
            self._outbox.put(text)
