"""The items of a conversation while they grow, and the order in which they stand."""

from typing import Any, final

import attrs

from ..events import UNSET, Item
from ._fields import bytes_per_ms, field_of
from ._records import ItemRecord


@final
@attrs.define(eq=False)
class GrowingItem:
    """An item of which more may come."""

    id: str
    item: Item | None = None
    response_id: str | None = None
    pieces: dict[int, list[str]] = attrs.Factory(dict)
    transcribed: set[int] = attrs.Factory(set)
    audio_bytes: int = 0
    audio_bytes_per_ms: float = bytes_per_ms(None)
    audio_index: int = 0
    audio: bytearray = attrs.Factory(bytearray)
    truncated_ms: int | None = None
    done: bool = False

    def say(self, index: int, more: str) -> None:
        """Add to the text of a part; it is put together when somebody asks for it."""
        pieces = self.pieces.get(index)
        if pieces is None:
            self.pieces[index] = [more]
        else:
            pieces.append(more)

    def say_all(self, index: int, whole: str) -> None:
        """Set the text of a part."""
        self.pieces[index] = [whole]

    def describe(self, item: Item) -> None:
        """Keep the server's description; what it says of the text, it says in full."""
        self.item = item
        content = field_of(item, "content")
        for index, part in enumerate(content if isinstance(content, list | tuple) else ()):
            text = field_of(part, "text") or field_of(part, "transcript")
            if isinstance(text, str) and text:  # empty is not yet there, or was truncated
                self.say_all(index, text)

    def record(self) -> ItemRecord:
        """Return what there is of it now."""
        for pieces in self.pieces.values():
            pieces[:] = ["".join(pieces)]
        return ItemRecord(
            id=self.id,
            item=self.item,
            response_id=self.response_id,
            parts={index: pieces[0] for index, pieces in self.pieces.items()},
            audio_ms=self.audio_bytes / self.audio_bytes_per_ms,
            audio_index=self.audio_index,
            audio=bytes(self.audio),
            truncated_ms=self.truncated_ms,
            done=self.done,
        )


@final
class Items:
    """All items, by their ids and in their order.

    Only ``conversation.item.added`` is to be trusted with the order. An item that is known
    otherwise stands at the end until then, or for good, as there are servers that never send it.

    Args:
        keep_audio: Whether the server's descriptions keep the audio in them.
    """

    def __init__(self, *, keep_audio: bool) -> None:
        self._keep_audio = keep_audio
        self._items: dict[str, GrowingItem] = {}
        self._order: list[str] = []
        self._is_certain: dict[str, bool] = {}  # of each in the order: whether it was `.added`
        self._deleted: dict[str, str | None] = {}  # and after which it stood

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def record(self, item_id: str) -> ItemRecord:
        """Return one item as it is now."""
        return self._items[item_id].record()

    def records(self) -> tuple[ItemRecord, ...]:
        """Return the items as they are now, in order."""
        return tuple(map(self.record, self._order))

    def made_by(self, response_id: str) -> tuple[str, ...]:
        """Return the ids of what a response has made, in the order in which it came."""
        return tuple(i.id for i in self._items.values() if i.response_id == response_id)

    def get(self, item_id: str) -> GrowingItem:
        """Return an item; if it was deleted, one to throw away with what still comes of it."""
        item = self._items.get(item_id)
        if item is None:
            item = GrowingItem(item_id)
            if item_id not in self._deleted:
                self._items[item_id] = item
        return item

    def describe(self, found: GrowingItem, item: Item) -> None:
        """Keep what the server says of an item."""
        found.describe(item if self._keep_audio else _without_audio(item))

    def add(self, item_id: str, item: Item, previous: object) -> None:
        """Put an item where the server says: after the previous one, ``None`` for the front."""
        self._deleted.pop(item_id, None)  # an id may be used again
        self.describe(self.get(item_id), item)
        if self._is_certain.get(item_id, False):
            return
        previous = self._still_there(previous)
        if item_id not in self._is_certain or previous is None or previous in self._is_certain:
            self.displace(item_id)
            self._order.insert(self._place_after(previous), item_id)
        self._is_certain[item_id] = True

    def append(self, item_id: str) -> None:
        """Put an item at the end until it is known where it belongs, if it has no place."""
        if item_id not in self._is_certain and item_id not in self._deleted:
            self._order.append(item_id)
            self._is_certain[item_id] = False

    def displace(self, item_id: str) -> None:
        """Take an item out of the order, unless the server said that it is there."""
        if self._is_certain.get(item_id) is False:
            self._remove(item_id)

    def delete(self, item_id: str) -> None:
        """Forget an item, but not that it was there, and where."""
        self._items.pop(item_id, None)
        if item_id in self._is_certain:
            place = self._order.index(item_id)
            self._deleted[item_id] = self._order[place - 1] if place else None
            self._remove(item_id)
        else:
            self._deleted.setdefault(item_id, next(reversed(self._order), None))

    def _remove(self, item_id: str) -> None:
        del self._is_certain[item_id]
        if self._order[-1] == item_id:
            self._order.pop()
        else:
            self._order.remove(item_id)

    def _still_there(self, previous: object) -> object:
        """Return the item after which a deleted one stood: its place is still there."""
        while isinstance(previous, str) and previous in self._deleted:
            previous = self._deleted[previous]
        return previous

    def _place_after(self, previous: object) -> int:
        if previous is None:
            return 0
        if previous not in self._is_certain or previous == self._order[-1]:
            return len(self._order)
        return self._order.index(str(previous)) + 1


def _without_audio(item: Item) -> Item:
    content: Any = field_of(item, "content")
    if not isinstance(content, list | tuple) or not any(map(_has_audio, content)):
        return item
    silent = [_silent(part) if _has_audio(part) else part for part in content]
    return {**item, "content": silent} if isinstance(item, dict) else _evolved(item, silent)


def _evolved(item: Any, content: list[Any]) -> Item:
    evolved: Item = attrs.evolve(item, content=content)
    return evolved


def _has_audio(part: object) -> bool:
    return bool(field_of(part, "audio"))


def _silent(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: value for name, value in part.items() if name != "audio"}
    return attrs.evolve(part, audio=UNSET)
