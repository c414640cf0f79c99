"""What to send after an interruption, decided from the conversation alone."""

from collections.abc import Sequence

from ..events import ConversationItemTruncate
from ._conversation import Conversation
from ._records import ItemRecord


def truncations(
    conversation: Conversation, item_id: str, heard_ms: float
) -> Sequence[ConversationItemTruncate]:
    """Return what cuts the model's speech to what the user really heard.

    Over a WebSocket the server can't know what was played: unless it is told, it believes that
    the user heard everything. The item is cut to what was heard, but never beyond what was
    received, since the server refuses that; items with audio after it were not heard at all.
    An item without audio is left alone, as is one that was heard to its end.

    Args:
        conversation: The session's.
        item_id: The item that was playing.
        heard_ms: How much of it was played, in ms.

    Returns:
        The events to send, in order; none if there is nothing to cut.
    """
    items = conversation.items
    place = next((n for n, item in enumerate(items) if item.id == item_id), None)
    if place is None:
        return []
    cuts = [(items[place], heard_ms), *((item, 0.0) for item in items[place + 1 :])]
    return [_truncation(item, ms) for item, ms in cuts if _is_unheard(item, ms)]


def _is_unheard(item: ItemRecord, heard_ms: float) -> bool:
    """Tell whether there is audio of the item beyond what was heard."""
    left = item.audio_ms if item.truncated_ms is None else min(item.audio_ms, item.truncated_ms)
    return int(left) > max(heard_ms, 0)


def _truncation(item: ItemRecord, heard_ms: float) -> ConversationItemTruncate:
    return ConversationItemTruncate(
        item_id=item.id, content_index=item.audio_index, audio_end_ms=int(max(heard_ms, 0))
    )
