"""OpenAI's own models read what a server says: strictly, and with nothing left over.

Whoever imports this is skipped where openai, a counterpart, is not installed.
"""

import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pydantic = pytest.importorskip("pydantic", reason="openai, a counterpart, is not installed")
realtime = pytest.importorskip("openai.types.realtime", reason="openai is not installed")

SPEC: dict[str, Any] = json.loads(
    Path(__file__).parents[1].joinpath("data", "wire.json").read_text("utf-8")
)
# What the real server says and no model declares, as recorded; and Mesh's own.
UNDECLARED = {
    **{
        name: {path.replace("[]", "") for path in found}
        for name, found in SPEC["observed"].items()
    },
    "error": {"request_id"},
}


def models(union: Any) -> dict[str, Any]:
    """Return the model of each event in a union, by its type."""
    return {
        name: model
        for model in typing.get_args(typing.get_args(union)[0])
        for name in typing.get_args(model.model_fields["type"].annotation)
    }


MODELS = models(realtime.RealtimeServerEvent)
TRANSLATION_MODELS = models(realtime.RealtimeTranslationServerEvent)


def undeclared(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the fields that no model declares: OpenAI's models allow any."""
    if isinstance(value, pydantic.BaseModel):
        for name in value.model_extra or {}:
            yield f"{path}{name}"
        for name in type(value).model_fields:
            yield from undeclared(getattr(value, name), f"{path}{name}.")
    elif isinstance(value, list):
        for item in value:
            yield from undeclared(item, path)


def check(text: str, known: dict[str, Any] = MODELS) -> str:
    """Let its model read one event, and return the event's type."""
    wire_name: str = json.loads(text)["type"]
    event = known[wire_name].model_validate_json(text, strict=True)
    assert set(undeclared(event)) <= UNDECLARED.get(wire_name, set()), wire_name
    return wire_name
