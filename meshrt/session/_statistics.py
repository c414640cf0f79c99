"""A session in numbers."""

import attrs


@attrs.frozen(kw_only=True)
class Statistics:
    """What a session has done and holds, at one moment.

    Sizes are those of the JSON text, in bytes.

    Attributes:
        age: How long ago the session began, in seconds.
        expires_in: How long it may yet last, in seconds; ``None`` if the server did not say.
        queued: Events that wait to be written.
        queued_bytes: Their size.
        sent: Events that the operating system took.
        sent_bytes: Their size.
        unsent: Events that were dropped before they were written.
        received: Events that came.
        received_bytes: Their size.
        dropped: Messages of the iteration and of open listeners that were dropped because nobody
            read them in time.
        waiting: Messages that wait in the iteration.
        waiting_bytes: What they cost against its budget.
        waiting_handlers: Messages that wait for the handlers.
        waiting_listeners: Messages that wait in other listeners, all together.
        commands: Commands that were sent and have no answer yet.
        last_received_age: How long ago the last byte came, in seconds.
        last_sent_age: How long ago something was last written, in seconds.
    """

    age: float
    expires_in: float | None
    queued: int
    queued_bytes: int
    sent: int
    sent_bytes: int
    unsent: int
    received: int
    received_bytes: int
    dropped: int
    waiting: int
    waiting_bytes: int
    waiting_handlers: int
    waiting_listeners: int
    commands: int
    last_received_age: float
    last_sent_age: float
