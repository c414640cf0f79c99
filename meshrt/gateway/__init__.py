"""A local gateway for the same wire: a server to develop and test against, without an account.

Importing it needs the extra ``gateway``; without it, a ``ConfigurationError`` that is an
``ImportError`` too says so.
"""

from .._public import publish
from ._answer import (
    Answer as Answer,
    Call as Call,
    CallMcp as CallMcp,
    Fail as Fail,
    Interleave as Interleave,
    Part as Part,
    Refuse as Refuse,
    Say as Say,
)
from ._catalogue import MODELS as MODELS
from ._farewells import CloseCodes as CloseCodes
from ._fault_words import parse_fault as parse_fault
from ._house import Dialect as Dialect
from ._limits import Limits as Limits
from ._pacing import Pacing as Pacing
from ._rules import Rule as Rule, RuleModel as RuleModel, Then as Then, When as When
from ._script import (
    Expect as Expect,
    Line as Line,
    Note as Note,
    Script as Script,
    Step as Step,
    Wait as Wait,
)
from ._script_model import PerSession as PerSession, ScriptModel as ScriptModel
from ._server import Gateway as Gateway, serve as serve
from ._speaking import (
    EchoVoice as EchoVoice,
    EspeakVoice as EspeakVoice,
    Voice as Voice,
    default_voice as default_voice,
)
from ._thinking import (
    Heard as Heard,
    HeardAudio as HeardAudio,
    HeardImage as HeardImage,
    HeardText as HeardText,
    HonestModel as HonestModel,
    Model as Model,
    Transcriber as Transcriber,
)

__all__ = (
    "MODELS",
    "Answer",
    "Call",
    "CallMcp",
    "CloseCodes",
    "Dialect",
    "EchoVoice",
    "EspeakVoice",
    "Expect",
    "Fail",
    "Gateway",
    "Heard",
    "HeardAudio",
    "HeardImage",
    "HeardText",
    "HonestModel",
    "Interleave",
    "Limits",
    "Line",
    "Model",
    "Note",
    "Pacing",
    "Part",
    "PerSession",
    "Refuse",
    "Rule",
    "RuleModel",
    "Say",
    "Script",
    "ScriptModel",
    "Step",
    "Then",
    "Transcriber",
    "Voice",
    "Wait",
    "When",
    "default_voice",
    "parse_fault",
    "serve",
)

publish(globals(), __all__)
