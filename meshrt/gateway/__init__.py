"""A local gateway for the same wire: a server to develop and test against, without an account.

Importing it needs the extra ``gateway``; without it, a ``ConfigurationError`` that is an
``ImportError`` too says so.
"""

from .._public import publish
from ._server import MODELS as MODELS, Gateway as Gateway, serve as serve
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
    "EchoVoice",
    "EspeakVoice",
    "Gateway",
    "Heard",
    "HeardAudio",
    "HeardText",
    "HonestModel",
    "Model",
    "Voice",
    "default_voice",
    "serve",
)

publish(globals(), __all__)
