"""The part of the catalogue that a request asks for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Model: TypeAlias = Mapping[str, Any]

_Wanted: TypeAlias = Mapping[str, list[str]]

_ORDERS: Final[Mapping[str, Callable[[Model], Any]]] = {
    "brand": lambda model: model["brand"],
    "name": lambda model: model["name"],
    "id": lambda model: model["id"],
    "context_length": lambda model: model["context_length"],
}


def listed(models: Sequence[Model], wanted: _Wanted) -> list[Model]:
    """Return those that ``GET /v1/models`` would, by the request's query."""
    return [model for model in models if _is_listed(model, wanted)]


def found(models: Sequence[Model], wanted: _Wanted) -> list[Model]:
    """Return those that ``GET /v1/models/search`` would, in the order that is asked for.

    A word is looked for in the id and the name; of several modalities or brands, one is enough.
    """
    models = [model for model in models if _is_found(model, wanted)]
    order = _ORDERS.get(_first(wanted, "sort"))
    if order is None:
        return models
    return sorted(models, key=order, reverse=_first(wanted, "order") == "desc")


def _is_listed(model: Model, wanted: _Wanted) -> bool:
    return (
        _first(wanted, "free") in ("", _written(model["is_free"]))
        and _first(wanted, "type") in ("", model["model_type"])
        and _first(wanted, "provider") in ("", model["provider"])
    )


def _is_found(model: Model, wanted: _Wanted) -> bool:
    return (
        _first(wanted, "q") in f"{model['id']} {model['name']}".lower()
        and _first(wanted, "free") in ("", _written(model["is_free"]))
        and _first(wanted, "discounted") in ("", "false")
        and _shares(wanted, "input_modality", model["input_modalities"])
        and _shares(wanted, "output_modality", model["output_modalities"])
        and _shares(wanted, "brand", [model["brand"]])
    )


def _first(wanted: _Wanted, name: str) -> str:
    return wanted.get(name, [""])[0].lower()


def _shares(wanted: _Wanted, name: str, has: Sequence[str]) -> bool:
    return name not in wanted or any(value.lower() in has for value in wanted[name])


def _written(value: bool) -> str:  # noqa: FBT001  it is the value that is written
    return str(value).lower()
