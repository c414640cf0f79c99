"""From a transport that can be opened to a session that has been greeted, and out again."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, NoReturn, TypeAlias, final

import anyio
import anyio.abc
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled

from ..errors import LocalProtocolError, RealtimeError
from ..events import Error, Session, SessionUpdate
from ..protocol import Prepared, RealtimeProtocol, State
from ..transports import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    HandshakeRejected,
    Transport,
)
from ._answers import Answer
from ._cancellation import is_cancellation
from ._end import End, EndKind, realtime_error
from ._ledger import Ledger
from ._options import SessionOptions
from ._session import RealtimeSession
from ._span import SessionSpan
from ._tasks import Tasks

OpenTransport: TypeAlias = Callable[[anyio.abc.TaskGroup], Awaitable[Transport]]
"""Open a transport; a task that it needs is started in the group, which is the session's."""


@final
class Connecting(anyio.AsyncContextManagerMixin):
    """A session to be; ``async with`` opens it and closes it.

    Entering waits for the server's greeting, and with ``session=`` for its confirmation. Leaving
    closes politely after the body's end, without sending what is queued after an exception, and
    at once under cancellation. The body's exception comes out as it was raised.

    The task that enters has to be the one that leaves. In another one leaving cuts the connection
    and raises a ``LocalProtocolError``, with the body's exception as its context.

    Args:
        open_transport: Opens the transport; called once, when the block is entered, with the
            session's task group: a transport that needs a task of its own starts it there.
        session: What to configure before the body begins, or ``None``.
        options: The session's settings.
        site: Where it was asked for, as ``file:line``: for the warning of a session that is
            entered by hand and never left.

    Raises:
        LocalProtocolError: ``session`` can't be sent; nothing was opened.
    """

    def __init__(
        self,
        open_transport: OpenTransport,
        *,
        session: Session | None = None,
        options: SessionOptions | None = None,
        site: str | None = None,
    ) -> None:
        self._open_transport = open_transport
        self._site = site
        self._options = options or SessionOptions()
        keep_audio_text = self._options.keep_audio_text
        self._ledger = Ledger()
        self._protocol = RealtimeProtocol(
            "client", keep_audio_text=keep_audio_text, has_left=self._ledger.has_left
        )
        self._session: RealtimeSession | None = None
        self._is_over = False
        self._update = None if session is None else self._prepare(session)

    def __await__(self) -> Generator[Any, None, NoReturn]:
        raise LocalProtocolError(
            "connect() is not awaited: a session lives in a block. Write "
            "`async with client.realtime.connect(model=...) as session:`, or, where no block can "
            "be around it, `session = await client.realtime.connect_in(task_group, model=...)`"
        )
        yield

    def __asynccontextmanager__(self) -> "_Block":
        return _Block(self)

    @asynccontextmanager
    async def _block(self) -> AsyncGenerator[RealtimeSession]:
        held: BaseException | None = None
        cancelled = False
        tasks = Tasks()
        with ExitStack() as released:
            span = SessionSpan(self._options.tracing, self._options.redact)
            self._span = released.enter_context(span)
            try:
                async with tasks:
                    try:
                        session = await self._connect(tasks, released)
                        yield session
                        await _leave(session, tasks)
                    except BaseException as error:  # noqa: ASYNC103  held, and raised below
                        if _is_cleaned_up(error):
                            _warn_of_not_left(self._session)
                        # Before anything is awaited: a cancellation must not replace it.
                        cancelled = is_cancellation(error) and not tasks.is_elsewhere
                        held = None if cancelled else error
                        await _let_go(self._session, error, tasks)  # noqa: ASYNC102  as it does
                        if cancelled:
                            raise
                # Only our own group swallows a cancellation: then it must not pass for an end.
                if cancelled:
                    held = _failure_of(self._session) or _stray_cancellation()
                    # The step that throws the cancellation in would make it this one's context.
                    await cancel_shielded_checkpoint()
            except BaseExceptionGroup as group:  # what a task of ours let out
                held = _interrupt_in(group) or held or group
            finally:
                try:
                    _raise_bare(_first_of(held, self._session, tasks))
                finally:
                    self._is_over = True
                    self._session = session = None  # type: ignore[assignment]
                    del held, session  # the exception holds this frame

    def _prepare(self, session: Session) -> Prepared:
        return self._protocol.prepare(SessionUpdate(session=session))

    async def _connect(self, tasks: Tasks, released: ExitStack) -> RealtimeSession:
        """Open, greet and configure, all of it within ``connect_timeout``."""
        _check_fresh(self._protocol)
        with anyio.move_on_after(self._options.connect_timeout):
            transport = await self._open(tasks)
            session = RealtimeSession._create(
                transport, self._protocol, self._options, ledger=self._ledger, site=self._site
            )
            self._session = self._span.session = session
            released.callback(session._release)
            try:
                await self._greet(session, tasks)
                session._connection.start_watch(tasks)
            except BaseException:
                await _abandon(session)  # noqa: ASYNC102  its shield has a deadline
                raise
            return session
        raise ConnectTimeout(
            f"no session within {self._options.connect_timeout} s: the server, or a proxy on the "
            "way, was not reached, or did not greet us, or did not confirm `session`. Is it a "
            "realtime server? If it is slow, raise `connect_timeout`"
        )

    async def _open(self, tasks: Tasks) -> Transport:
        """Open the transport; an interrupt in a task of its opening is bare, as in ours."""
        try:
            return await self._open_transport(tasks.group)
        except BaseExceptionGroup as group:
            interrupt = _interrupt_in(group)
            if interrupt is None:
                raise
        raise interrupt

    async def _greet(self, session: RealtimeSession, tasks: Tasks) -> None:
        greeting = session._answers.expect_greeting()
        session._start(tasks)
        await greeting.wait()
        _check_greeting(session, greeting)
        session._journal.greeted()
        if self._update is not None:
            await _configure(session, self._update)


@final
class _Block(AbstractAsyncContextManager[RealtimeSession]):
    """The block, whose generator a loop that ends may have closed before the user's own."""

    def __init__(self, connecting: Connecting) -> None:
        self._connecting = connecting
        self._generator = connecting._block()

    async def __aenter__(self) -> RealtimeSession:
        return await self._generator.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._connecting._is_over:
            return None  # it has said so
        try:
            return await self._generator.__aexit__(kind, error, traceback)  # noqa: ASYNC102  it sees to that
        finally:
            del error, traceback  # the exception holds this frame


async def _configure(session: RealtimeSession, update: Prepared) -> None:
    answer = session._answers.expect(update.event_id)
    await checkpoint_if_cancelled()  # it may be why there is an end
    end = session._connection.end
    if end is not None:
        raise _not_greeted(end)
    await session._hand_over(update)
    await answer.wait()
    if isinstance(answer.event, Error):
        raise realtime_error(answer.event)
    if answer.end is not None:
        raise _not_greeted(answer.end)


def _interrupt_in(group: BaseException) -> BaseException | None:
    """Return the one thing that a group is about, if that is no ordinary exception."""
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group if isinstance(group, KeyboardInterrupt | SystemExit) else None


def _check_fresh(protocol: RealtimeProtocol) -> None:
    if protocol.state is not State.CONNECTING:
        raise LocalProtocolError(
            "this block was entered before, and a session is not begun again: call connect() for "
            "a new one"
        )


def _check_greeting(session: RealtimeSession, greeting: Answer) -> None:
    if isinstance(greeting.event, Error):
        error = realtime_error(greeting.event)
        session._journal.refused(error)
        raise _rejected(error)
    if greeting.end is not None:
        raise _not_greeted(greeting.end)


def _not_greeted(end: End) -> Exception:
    if end.closed.error is not None:
        return _rejected(end.closed.error)
    if end.kind is EndKind.VIOLATION:
        return end.to_reader()
    return ConnectError(f"no session came about: {end.message}")


def _rejected(error: RealtimeError) -> HandshakeRejected:
    """Make a refusal of the server's error: its code decides about trying again."""
    return HandshakeRejected(
        error.message,
        status=101,
        code=error.code,
        param=error.param,
        type=error.type,
        event_id=error.event_id,
        request_id=error.request_id,
    )


def _is_cleaned_up(error: BaseException) -> bool:
    """Tell a loop that ends, and closes what is open yet, from a body that raises the same."""
    traceback = error.__traceback__
    return isinstance(error, GeneratorExit) and traceback is not None and not traceback.tb_next


async def _leave(session: RealtimeSession, tasks: Tasks) -> None:
    """Close after the body's end."""
    if tasks.is_elsewhere:
        await _cut(session, None, tasks)
    else:
        await session._leave(drain=True)


async def _let_go(session: RealtimeSession | None, error: BaseException, tasks: Tasks) -> None:  # noqa: ASYNC910  as its branches do
    """Close after an exception: politely, unless it wants to be away at once."""
    if session is None:
        return
    if tasks.is_elsewhere:
        await _cut(session, error, tasks)
    elif isinstance(error, Exception):
        await session._leave(drain=False)
    else:
        await _abandon(session)


async def _cut(session: RealtimeSession, error: BaseException | None, tasks: Tasks) -> None:  # noqa: ASYNC910  the caller raises
    """End it where the block can't be left as it should; the writer cuts the connection."""
    session._give_up()
    tasks.cancel_each()
    # A loop that ends closes all generators at the same time, and so the user's and ours: to wait
    # here would let the one meet the other half-way.
    if not isinstance(error, GeneratorExit):
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 1):
            await tasks.wait()


async def _abandon(session: RealtimeSession) -> None:
    with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 1):
        await session._abandon()


def _stray_cancellation() -> ConnectionLost:
    return ConnectionLost(
        "a task of this session was cancelled from outside, and the block's body with it: by "
        "task.cancel(), or by a handler that awaited a task which was cancelled"
    )


def _warn_of_not_left(session: RealtimeSession | None) -> None:
    if session is not None:
        session._warn_of_not_left()


def _first_of(
    held: BaseException | None, session: RealtimeSession | None, tasks: Tasks
) -> BaseException | None:
    """Return what is raised: an interrupt of a task of ours before what followed from it."""
    failure = _failure_of(session)
    is_interrupt = failure is not None and not isinstance(failure, Exception)
    first = failure if is_interrupt or held is None else held
    return first if first is not None and _is_cleaned_up(first) else tasks.judged(first)


def _failure_of(session: RealtimeSession | None) -> BaseException | None:
    return session._take_failure() if session is not None else None


def _raise_bare(error: BaseException | None) -> None:
    """Raise what was held back, out here where no task group wraps it."""
    context = error.__context__ if error is not None else None
    try:
        if error is not None:
            raise error
    finally:
        if error is not None:
            error.__context__ = context  # and not a cancellation that came while we closed
        del error, context
