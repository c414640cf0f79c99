"""Which of our events an ``error`` refuses."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ..events import UNSET, Error, UnknownEvent
from ._codec import AnyEvent
from ._fields import field_of

REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cannot_update_voice": "session.update",
        "conversation_already_has_active_response": "response.create",
        "input_audio_buffer_commit_empty": "input_audio_buffer.commit",
        "item_truncate_invalid_item_id": "conversation.item.truncate",
        "response_cancel_not_active": "response.cancel",
    }
)
"""Error codes that only one kind of command can be answered with: code to wire name.

Such an error, where it quotes no ``event_id``, is never taken for the answer to another kind.
"""


def refused_id(event: AnyEvent) -> object:
    """Return the id of our event that an error quotes, also if the error does not fit its class.

    ``None`` stands for an error that quotes none, ``UNSET`` for an event that is no error.
    """
    return UNSET if (said := _said(event)) is UNSET else field_of(said, "event_id") or None


def refused_kind(event: AnyEvent) -> str | None:
    """Return the kind of command that an error must be about; ``None`` if it may be any."""
    code = field_of(_said(event), "code")
    return REFUSALS.get(code) if isinstance(code, str) else None


def _said(event: AnyEvent) -> Any:
    """Return the details of an error, ``UNSET`` of what is none."""
    if isinstance(event, Error):
        return event.error
    if isinstance(event, UnknownEvent) and event.type == Error.type:
        return event.data.get("error")
    return UNSET
