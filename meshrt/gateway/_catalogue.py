"""The models that the gateway answers to, and what they cost.

The prices are of the size that such models have; no bill is made of them.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from ..events import InputTokenDetails, OutputTokenDetails, Usage

_PER: Final = Decimal(1_000_000)
_MAX_TOKENS: Final = 128_000
_CONCURRENT: Final = 16


@attrs.frozen(kw_only=True)
class Price:
    """What a million tokens cost, in USD.

    Attributes:
        text_in: Text that is read.
        text_cached: Text that was read before.
        text_out: Text that is written.
        audio_in: Audio that is heard.
        audio_cached: Audio that was heard before.
        audio_out: Audio that is spoken.
    """

    text_in: Decimal
    text_cached: Decimal
    text_out: Decimal
    audio_in: Decimal
    audio_cached: Decimal
    audio_out: Decimal

    def of(self, usage: Usage) -> Decimal:
        """Return what a response costs, in USD."""
        read = usage.input_token_details or InputTokenDetails()
        made = usage.output_token_details or OutputTokenDetails()
        cached = read.cached_tokens_details
        text_cached, audio_cached = (
            (cached.text_tokens or 0, cached.audio_tokens or 0) if cached else (0, 0)
        )
        total = (
            ((read.text_tokens or 0) - text_cached) * self.text_in
            + text_cached * self.text_cached
            + ((read.audio_tokens or 0) - audio_cached) * self.audio_in
            + audio_cached * self.audio_cached
            + (made.text_tokens or 0) * self.text_out
            + (made.audio_tokens or 0) * self.audio_out
        )
        return total / _PER


def _price(*usd: str) -> Price:
    names = [field.name for field in attrs.fields(Price)]
    return Price(**dict(zip(names, map(Decimal, usd), strict=True)))


_PRICES: Final[Mapping[str, Price]] = {
    "openai/gpt-realtime-mini": _price("0.60", "0.06", "2.40", "10.00", "0.30", "20.00"),
    "openai/gpt-realtime": _price("4.00", "0.40", "16.00", "32.00", "0.40", "64.00"),
    "openai/gpt-realtime-2": _price("4.00", "0.40", "24.00", "32.00", "0.40", "64.00"),
}

MODELS: Final = tuple(_PRICES)
"""The models that the gateway answers to; the provider's name may be left out."""


def full_name(name: str) -> str | None:
    """Return the whole name of a model, given it or the part without the provider."""
    return next((full for full in MODELS if name in (full, full.partition("/")[2])), None)


def price_of(name: str) -> Price:
    """Return what a model of this whole name costs."""
    return _PRICES[name]


def describe(name: str, *, session_tokens: int | None, sessions: int | None) -> dict[str, Any]:
    """Return a model as ``GET /v1/models`` has it.

    Args:
        name: Its whole name.
        session_tokens: What one session may use.
        sessions: How many one owner may have.
    """
    provider, _, short = name.partition("/")
    return {
        "id": name,
        "name": short,
        "brand": provider,
        "provider": provider,
        "description": "A model of the local gateway, under the name of one that thinks.",
        "is_free": False,
        "model_type": "audio",
        "input_modalities": ["text", "audio"],
        "output_modalities": ["text", "audio"],
        "context_length": 32_000,
        "supports_realtime": True,
        "supports_tools": True,
        "supports_completions_api": False,
        "supports_responses_api": False,
        "supports_batching": False,
        "realtime_session_max_tokens": session_tokens or _MAX_TOKENS,
        "realtime_max_concurrent_per_owner": sessions or _CONCURRENT,
        "pricing": _pricing(price_of(name)),
    }


def _pricing(price: Price) -> dict[str, str]:
    return {
        "pricing_unit": "tokens",
        "prompt_usd_per_1k": money(price.text_in / 1000),
        "completion_usd_per_1k": money(price.text_out / 1000),
        "prompt_usd_per_1m": money(price.text_in),
        "completion_usd_per_1m": money(price.text_out),
        "cached_text_input_usd_per_1m": money(price.text_cached),
        "audio_input_usd_per_1m": money(price.audio_in),
        "audio_output_usd_per_1m": money(price.audio_out),
        "cached_audio_input_usd_per_1m": money(price.audio_cached),
    }


def money(amount: Decimal) -> str:
    """Write an amount as a decimal string, never with an exponent."""
    return format(amount, "f")
