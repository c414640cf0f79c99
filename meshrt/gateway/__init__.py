"""A local gateway for the same wire: a server to develop and test against, without an account.

Importing it needs the extra ``gateway``; without it, a ``ConfigurationError`` that is an
``ImportError`` too says so.
"""

from .._public import publish
from ._catalogue import MODELS as MODELS
from ._farewells import CloseCodes as CloseCodes
from ._house import Dialect as Dialect
from ._limits import Limits as Limits
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
    HeardText as HeardText,
    HonestModel as HonestModel,
    Model as Model,
)

__all__ = (
    "MODELS",
    "CloseCodes",
    "Dialect",
    "EchoVoice",
    "EspeakVoice",
    "Gateway",
    "Heard",
    "HeardAudio",
    "HeardText",
    "HonestModel",
    "Limits",
    "Model",
    "Voice",
    "default_voice",
    "serve",
)

publish(globals(), __all__)
