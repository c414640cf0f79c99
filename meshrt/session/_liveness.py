"""Whether the server is still there: any byte that comes says so."""

from collections.abc import Callable
from typing import Final, final

import anyio
import attrs
from anyio.lowlevel import checkpoint

from ..errors import ConfigurationError
from ..transports import Transport

# A blocked event loop is not a dead peer: before the verdict the reader gets to read once more.
_LAST_LOOK_S: Final = 0.25
_READER_TURNS: Final = 3  # of the loop, in which a reader that was woken has read


def _check(_liveness: object, field: "attrs.Attribute[float]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigurationError(f"{field.name} is a number of seconds above 0")


def _check_order(liveness: "Liveness") -> None:
    for ping, dead in (("ping_active", "dead_active"), ("ping_idle", "dead_idle")):
        if not getattr(liveness, ping) + _LAST_LOOK_S < getattr(liveness, dead):
            raise ConfigurationError(
                f"{dead} must be more than {ping} and {_LAST_LOOK_S} s, or no answer could come "
                "in time"
            )


@attrs.frozen(kw_only=True)
class Liveness:
    """When silence becomes suspicious, and when it is the end; all in seconds.

    Only a server from which no byte comes is silent: one that sends audio and answers no ping is
    alive. A session is active while a response runs or was asked for, and while audio is sent.

    Attributes:
        ping_active: After how much silence to ping, while the session is active.
        dead_active: After how much the connection is lost.
        ping_idle: The same of a session that is idle.
        dead_idle: The same.

    Raises:
        ConfigurationError: A number can't be used, or leaves a ping no time to be answered.
    """

    ping_active: float = attrs.field(default=5.0, validator=_check)
    dead_active: float = attrs.field(default=15.0, validator=_check)
    ping_idle: float = attrs.field(default=15.0, validator=_check)
    dead_idle: float = attrs.field(default=30.0, validator=_check)

    def __attrs_post_init__(self) -> None:
        """Check what no single field can."""
        _check_order(self)


@final
class Watch:
    """Ping a silent server, and see when it is dead; keep ours from looking idle.

    Args:
        transport: What is watched.
        liveness: When to ping and when to give up; ``None`` to do neither.
        keep_alive: After how many seconds without a frame of ours to send one; ``None`` for never.
        is_active: Tells whether a turn or audio is under way.
        sent_at: Tells when something of ours was last written.
        over: Set when there is nothing more to watch.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        liveness: Liveness | None,
        keep_alive: float | None,
        is_active: Callable[[], bool],
        sent_at: Callable[[], float],
        over: anyio.Event,
    ) -> None:
        self._transport = transport
        self._liveness = liveness
        self._keep_alive = keep_alive
        self._is_active = is_active
        self._sent_at = sent_at
        self._over = over
        self._asked_at = self._pinged_at = anyio.current_time()
        self._is_asking = False

    async def until_dead(self) -> float | None:
        """Watch, and return when the server is dead: how long it was silent, in seconds.

        Or else ``None``, when it is over. With neither ``liveness`` nor ``keep_alive`` there is
        nothing to do: don't call it.
        """
        while not self._over.is_set():
            pause = self._look()
            if pause is None:
                heard_at = self._transport.last_byte_at
                if await self._is_silent():
                    return anyio.current_time() - heard_at
            else:
                # Woken and not cancelled: AnyIO would count that against a cancellation of
                # asyncio's own that the task around the session is given at the same moment.
                with anyio.move_on_after(pause):
                    await self._over.wait()
        return None

    async def _is_silent(self) -> bool:
        """Let the reader read once more, and tell whether it found nothing.

        If that took far longer than it should, the loop was blocked, and nobody has looked.
        """
        heard_at, began = self._transport.last_byte_at, anyio.current_time()
        await anyio.sleep(_LAST_LOOK_S)
        overslept = anyio.current_time() - began > 1.5 * _LAST_LOOK_S
        for _ in range(_READER_TURNS):
            await checkpoint()
        return self._transport.last_byte_at == heard_at and not overslept

    def _look(self) -> float | None:
        """Ping if it is time; return when to look again, or ``None`` if it is past time."""
        now = anyio.current_time()
        due = [] if self._keep_alive is None else [self._keep_open(now, self._keep_alive)]
        if self._liveness is not None:
            pause = self._ask(now, self._liveness)
            if pause is None:
                return None
            # A turn may begin meanwhile, and with it the shorter times.
            due += [pause, self._liveness.ping_active]
        return max(min(due), _LAST_LOOK_S / 2)

    def _ask(self, now: float, liveness: Liveness) -> float | None:
        active = self._is_active()
        ping_s = liveness.ping_active if active else liveness.ping_idle
        dead_s = (liveness.dead_active if active else liveness.dead_idle) - _LAST_LOOK_S
        heard_at = self._transport.last_byte_at
        if self._is_asking and self._transport.outgoing():
            # Our ping waits behind a long message; while that gets on, somebody takes it.
            heard_at = max(heard_at, self._transport.last_write_at)
            self._asked_at = max(self._asked_at, heard_at)
        self._is_asking = self._is_asking and heard_at <= self._asked_at
        # Asked late, after the loop was blocked or a turn began, it gets its time all the same.
        dead_at = max(heard_at + dead_s, self._asked_at + dead_s - ping_s)
        if self._is_asking and now >= dead_at:
            return None
        ping_at = (max(heard_at, self._pinged_at) if self._is_asking else heard_at) + ping_s
        if now >= ping_at:
            self._ping(now)
            ping_at = now + ping_s
        return min(ping_at, dead_at if self._is_asking else ping_at) - now

    def _ping(self, now: float) -> None:
        if not self._is_asking:
            self._is_asking, self._asked_at = True, now
        self._pinged_at = now
        self._transport.ping()

    def _keep_open(self, now: float, keep_alive: float) -> float:
        """Send a frame if none was for long; return when that is to be thought of again."""
        due = max(self._sent_at(), self._pinged_at) + keep_alive - now
        if due > 0:
            return due
        self._pinged_at = now
        self._transport.ping()
        return keep_alive
