"""The wire without I/O, for any transport: text to event, event to text, and the state between.

Nothing here reads a socket, a clock or a source of randomness.
"""

from .._public import publish
from ._acknowledgements import Acknowledgements as Acknowledgements
from ._answers import (
    ACKNOWLEDGEMENTS as ACKNOWLEDGEMENTS,
    Acknowledgement as Acknowledgement,
    Failed as Failed,
    Settled as Settled,
)
from ._checks import BETA_FIELDS as BETA_FIELDS, MAX_APPEND_BYTES as MAX_APPEND_BYTES
from ._codec import AnyEvent as AnyEvent, decode as decode, encode as encode
from ._conversation import Conversation as Conversation
from ._decisions import truncations as truncations
from ._outgoing import Prepared as Prepared
from ._protocol import RealtimeProtocol as RealtimeProtocol, Role as Role
from ._records import (
    ConversationSnapshot as ConversationSnapshot,
    ItemRecord as ItemRecord,
    ResponseRecord as ResponseRecord,
    UsageTotals as UsageTotals,
)
from ._refusals import REFUSALS as REFUSALS
from ._state import TRANSITIONS as TRANSITIONS, State as State, Step as Step

__all__ = (
    "ACKNOWLEDGEMENTS",
    "BETA_FIELDS",
    "MAX_APPEND_BYTES",
    "REFUSALS",
    "TRANSITIONS",
    "Acknowledgement",
    "Acknowledgements",
    "AnyEvent",
    "Conversation",
    "ConversationSnapshot",
    "Failed",
    "ItemRecord",
    "Prepared",
    "RealtimeProtocol",
    "ResponseRecord",
    "Role",
    "Settled",
    "State",
    "Step",
    "UsageTotals",
    "decode",
    "encode",
    "truncations",
)

publish(globals(), __all__)
