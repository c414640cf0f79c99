"""The REST calls around a session: models, usage, rate limits, balance.

The paths, the envelope of an error and the words of Mesh's guide (``by_model``, ``available_usd``,
``resets_in_seconds``…) are Mesh's; where its documents name no field, the name is ours. Money is a
decimal string. Owners see what they used themselves, and nothing else.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, final
from urllib.parse import unquote

from .._secret import Secret
from ._catalogue import MODELS, describe, full_name, money
from ._http import Refused, Reply, Request
from ._ledger import Ledger, Owner, Tab, owner_of
from ._limits import Limits
from ._search import Model, found, listed

_MODEL: Final = "/v1/models/"
_MAX_PAGE: Final = 200
_PAGED: Final[tuple[str, ...]] = ("limit", "offset")
_DIGITS: Final = 10
_MINUTE: Final = 60
_DAY: Final = 86_400
_REQUESTS_A_MINUTE: Final = 100  # the documented defaults of a key
_REQUESTS_A_DAY: Final = 10_000
_TOKENS_A_MINUTE: Final = 250_000  # as the sessions say in rate_limits.updated


@final
class Rest:
    """Answer the calls that are no sessions.

    Args:
        ledger: What was used.
        limits: What the catalogue says of sessions.
        key: The one key that is accepted, or ``None`` for any and none.
    """

    def __init__(self, *, ledger: Ledger, limits: Limits, key: Secret | None) -> None:
        self._ledger = ledger
        self._limits = limits
        self._key = key

    def answer(self, request: Request) -> Reply:
        """Answer a request.

        Raises:
            Refused: There is no such thing, or it is not for this client.
        """
        methods = _ROUTES.get(request.path)
        if methods is None and request.path.startswith(_MODEL):
            methods = _ROUTES[_MODEL]
        if methods is None:
            raise Refused(404, "not_found", f"There is nothing here; there is {_WHAT_THERE_IS}.")
        handler = methods.get(request.method)
        if handler is None:
            allowed = ", ".join(methods)
            message = f"Only {allowed} is allowed here."
            raise Refused(405, "method_not_allowed", message, headers={"Allow": allowed})
        owner = self._owner_of(request)
        self._ledger.count_request(owner)
        return Reply(status=200, content=handler(self, owner, request))

    def _owner_of(self, request: Request) -> Owner:
        scheme, _, key = request.header("authorization").partition(" ")
        given = Secret(key.strip()) if scheme.lower() == "bearer" and key.strip() else None
        if self._key is not None and given != self._key:
            raise Refused(
                401,
                "invalid_api_key",
                "The API key is missing or wrong: send it as `Authorization: Bearer <key>`.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return owner_of(given)

    def _models(self, _: Owner, request: Request) -> list[Model]:
        return listed(self._catalogue(), request.query)

    def _free_models(self, _owner: Owner, _request: Request) -> list[Model]:
        return listed(self._catalogue(), {"free": ["true"]})

    def _paid_models(self, _owner: Owner, _request: Request) -> list[Model]:
        return listed(self._catalogue(), {"free": ["false"]})

    def _search(self, _: Owner, request: Request) -> dict[str, Any]:
        asked: dict[str, Any] = {
            name: _whole(request.query[name][0]) for name in _PAGED if name in request.query
        }
        page = _Page(asked)
        models = found(self._catalogue(), request.query)
        brands = sorted({model["brand"] for model in models})
        return {"items": page.of(models), "total": len(models), "brands": brands, **page.shown}

    def _catalogue(self) -> list[Model]:
        return [self._described(name) for name in MODELS]

    def _model(self, _: Owner, request: Request) -> dict[str, Any]:
        name = full_name(unquote(request.path.removeprefix(_MODEL)))
        if name is None:
            raise Refused(
                404, "model_not_found", f"There is no such model. There are: {', '.join(MODELS)}."
            )
        return self._described(name)

    def _described(self, name: str) -> dict[str, Any]:
        limits = self._limits
        return describe(
            name, session_tokens=limits.session_tokens, sessions=limits.sessions_per_owner
        )

    def _usage(self, owner: Owner, request: Request) -> dict[str, Any]:
        page = _Page(_object_of(request.body))
        tabs = self._ledger.billed_of(owner)
        names = sorted({tab.model for tab in tabs})
        by_model = [
            {"model": name, **_totals([tab for tab in tabs if tab.model == name])}
            for name in page.of(names)
        ]
        return {**_totals(tabs), "by_model": by_model, "by_model_total": len(names), **page.shown}

    def _usage_events(self, owner: Owner, request: Request) -> dict[str, Any]:
        page = _Page(_object_of(request.body))
        tabs = self._ledger.billed_of(owner)
        return {"items": list(map(_event, page.of(tabs))), "total": len(tabs), **page.shown}

    def _rate_limits(self, owner: Owner, _: Request) -> dict[str, Any]:
        now = time.time()
        midnight = _DAY - now % _DAY
        today, _first = self._ledger.requests_in(owner, now % _DAY)
        key = {
            "rpm": _window(*self._ledger.requests_in(owner, _MINUTE), limit=_REQUESTS_A_MINUTE),
            "rpd": _meter(today, limit=_REQUESTS_A_DAY, resets_in=midnight),
            "tpm": _window(*self._ledger.tokens_in(owner, _MINUTE), limit=_TOKENS_A_MINUTE),
        }
        return {"key": key, "org": None, "team": None, "member": None}

    def _balance(self, owner: Owner, _: Request) -> dict[str, Any]:
        reserved = self._ledger.reserved_of(owner)
        return {
            "balance_usd": money(self._ledger.balance_of(owner)),
            "reserved_usd": money(reserved),
            "available_usd": money(self._ledger.available_to(owner)),
            "reserved_breakdown": {"realtime": money(reserved)} if reserved else {},
        }


_ROUTES: Final[Mapping[str, Mapping[str, Callable[[Rest, Owner, Request], Any]]]] = {
    "/v1/models": {"GET": Rest._models},
    "/v1/models/free": {"GET": Rest._free_models},
    "/v1/models/paid": {"GET": Rest._paid_models},
    "/v1/models/search": {"GET": Rest._search},
    _MODEL: {"GET": Rest._model},
    "/v1/usage": {"POST": Rest._usage},
    "/v1/usage/events": {"POST": Rest._usage_events},
    "/v1/usage/rate-limits": {"GET": Rest._rate_limits},
    "/v1/balance": {"GET": Rest._balance},
}
_PATHS: Final = [f"{_MODEL}{{id}}" if path == _MODEL else path for path in _ROUTES]
_WHAT_THERE_IS: Final = ", ".join(["/v1/realtime", *_PATHS])


class _Page:
    """Which part of a list was asked for."""

    def __init__(self, filters: Mapping[str, Any]) -> None:
        self._limit = _count(filters, "limit", 50, _MAX_PAGE)
        self._offset = _count(filters, "offset", 0, None)

    def of(self, rows: list[Any]) -> list[Any]:
        """Return the part."""
        return rows[self._offset :][: self._limit]

    @property
    def shown(self) -> dict[str, int]:
        return {"limit": self._limit, "offset": self._offset}


def _object_of(body: bytes) -> dict[str, Any]:
    try:
        filters = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        filters = None
    if not isinstance(filters, dict):
        raise Refused(422, "validation_error", "The body is not a JSON object.")
    return filters


def _whole(text: str) -> int | str:
    """Read a number of a query; what is none stays as it is, and is refused as such."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) < _DIGITS else text


def _count(filters: Mapping[str, Any], name: str, default: int, most: int | None) -> int:
    value = filters.get(name, default)
    if type(value) is not int or value < 0 or (most is not None and value > most):
        bound = "" if most is None else f" and at most {most}"
        raise Refused(422, "validation_error", f"{name} is a whole number from 0 on{bound}.")
    return value


def _totals(tabs: list[Tab]) -> dict[str, Any]:
    cost = sum((tab.cost for tab in tabs), Decimal(0))
    return {"requests": len(tabs), **_tokens(*tabs), "cost_usd": money(cost)}


def _tokens(*tabs: Tab) -> dict[str, int]:
    return {
        "input_tokens": sum(tab.input_tokens for tab in tabs),
        "output_tokens": sum(tab.output_tokens for tab in tabs),
        "total_tokens": sum(tab.tokens for tab in tabs),
    }


def _event(tab: Tab) -> dict[str, Any]:
    closed_at = tab.closed_at or tab.opened_at
    return {
        "request_id": tab.id,
        "created_at": datetime.fromtimestamp(tab.opened_at, UTC).isoformat(),
        "endpoint": "/v1/realtime",
        "model": tab.model,
        "responses": tab.responses,
        "duration_ms": round((closed_at - tab.opened_at) * 1000),
        **_tokens(tab),
        "cost_usd": money(tab.cost),
        "routing_fallback": False,
    }


def _window(count: int, first: float, *, limit: int) -> dict[str, Any]:
    resets_in = max(0.0, first + _MINUTE - time.time()) if count else 0.0
    return _meter(count, limit=limit, resets_in=resets_in)


def _meter(count: int, *, limit: int, resets_in: float) -> dict[str, Any]:
    return {
        "current": count,
        "limit": limit,
        "pct": min(100.0, round(100 * count / limit, 2)),
        "resets_in_seconds": math.ceil(resets_in),
        "is_default_limit": True,
    }
