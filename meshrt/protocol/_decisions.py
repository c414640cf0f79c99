"""What to send after an interruption, decided from the conversation alone."""

import math
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
    One that still grows is cut also where all that came was heard: more may be on its way. An
    item without audio is left alone, as is one that is complete and was heard to its end.

    Args:
        conversation: The session's.
        item_id: The item that was playing.
        heard_ms: How much of it was played, in ms.

    Returns:
        The events to send, in order; none if there is nothing to cut.
    """
    items = conversation.items
    place = next((n for n, item in enumerate(items) if item.id == item_id), None)
    if place is None or math.isnan(heard_ms):
        return []
    cuts = [(items[place], heard_ms), *((item, 0.0) for item in items[place + 1 :])]
    kept = [(item, int(min(max(ms, 0.0), item.audio_ms))) for item, ms in cuts]
    return [_truncation(item, ms) for item, ms in kept if _has_more(conversation, item, ms)]


def _has_more(conversation: Conversation, item: ItemRecord, kept_ms: int) -> bool:
    """Tell whether the server believes that more of the item was heard, or soon will."""
    received_ms = int(item.audio_ms)
    if item.truncated_ms is not None:
        return min(item.truncated_ms, received_ms) > kept_ms
    return received_ms > (kept_ms if _is_whole(conversation, item) else 0)


def _is_whole(conversation: Conversation, item: ItemRecord) -> bool:
    made_by = None if item.response_id is None else conversation.response(item.response_id)
    return item.done or (made_by is not None and made_by.status != "in_progress")


def _truncation(item: ItemRecord, kept_ms: int) -> ConversationItemTruncate:
    return ConversationItemTruncate(
        item_id=item.id, content_index=item.audio_index, audio_end_ms=kept_ms
    )
