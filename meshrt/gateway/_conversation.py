"""The items of a conversation, in order."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar, final

import attrs

from ..events import (
    AssistantMessage,
    FunctionCall,
    FunctionCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    SystemMessage,
    UserMessage,
)
from ._ids import new_id
from ._refusals import Refusal

KnownItem: TypeAlias = (
    SystemMessage
    | UserMessage
    | AssistantMessage
    | FunctionCall
    | FunctionCallOutput
    | McpListTools
    | McpCall
    | McpApprovalRequest
    | McpApprovalResponse
)

_Item = TypeVar("_Item", bound=KnownItem)

_FRONT: Final = "root"


@final
class Conversation:
    """The items that the server holds: keyed by id, ordered by where they were put."""

    def __init__(self) -> None:
        self.id = new_id("conv")
        self._items: dict[str, KnownItem] = {}

    @property
    def items(self) -> list[KnownItem]:
        """All items, in order."""
        return list(self._items.values())

    @property
    def last_id(self) -> str | None:
        """The id of the last item; ``None`` if there is none."""
        return next(reversed(self._items), None)

    def add(self, item: KnownItem, *, after: str | None = None) -> tuple[KnownItem, str | None]:
        """Put an item at the end, after another one or (``"root"``) at the front.

        Returns:
            The item with its id, and the id of the one before it.

        Raises:
            Refusal: There is no item to put it after, or there is one of this id already.
        """
        named = item if item.id else attrs.evolve(item, id=new_id("item"))
        item_id = str(named.id)
        if item_id in self._items:
            raise Refusal(f"An item with ID '{item_id}' exists already.", param="item.id")
        order = list(self._items)
        place = self._place(order, after)
        order.insert(place, item_id)
        self._items[item_id] = named
        self._items = {known: self._items[known] for known in order}
        return named, order[place - 1] if place else None

    def replace(self, item: KnownItem) -> None:
        """Put a newer version in an item's place, if it is still there."""
        if str(item.id) in self._items:
            self._items[str(item.id)] = item

    def rewrite(self, item: _Item, new: Callable[[_Item], _Item]) -> None:
        """Change an item as it is now, if it is still there."""
        now = self._items.get(str(item.id))
        if isinstance(now, type(item)):
            self.replace(new(now))

    def get(self, item_id: str) -> KnownItem:
        """Return an item.

        Raises:
            Refusal: There is none of this id.
        """
        item = self._items.get(item_id)
        if item is None:
            raise Refusal(f"Item with ID '{item_id}' not found.", param="item_id")
        return item

    def delete(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            Refusal: There is none of this id.
        """
        self.get(item_id)
        del self._items[item_id]

    def _place(self, order: list[str], after: str | None) -> int:
        if after == _FRONT:
            return 0
        if after is None:
            return len(order)
        if after not in self._items:
            raise Refusal(f"Previous item with ID '{after}' not found.", param="previous_item_id")
        return order.index(after) + 1


def turn_of(items: Sequence[KnownItem]) -> list[KnownItem]:
    """Return the items since the model last spoke or called, oldest first."""
    turn: list[KnownItem] = []
    for item in reversed(items):
        if isinstance(item, AssistantMessage | FunctionCall | McpCall):
            break
        turn.insert(0, item)
    return turn
