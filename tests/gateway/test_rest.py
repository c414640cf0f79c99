"""The REST calls around a session: what there is, and what was really used."""

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import anyio
import httpx  # noqa: ASYNC127  a counterpart, as meshapi has it
import pytest

from meshrt.errors import ConfigurationError
from meshrt.events import InputTokenDetails, Usage
from meshrt.gateway import MODELS, EchoVoice, Limits, _catalogue, _house, _ledger, serve

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Dial = Callable[..., AbstractAsyncContextManager[Any]]

MODEL = "openai/gpt-realtime"
KEY = "rsk_right"
MONEY = re.compile(r"\d+(\.\d+)?")
REST = [
    ("GET", "/v1/models"),
    ("GET", "/v1/models/free"),
    ("GET", "/v1/models/paid"),
    ("GET", "/v1/models/search"),
    ("GET", "/v1/models/openai/gpt-realtime"),
    ("POST", "/v1/usage"),
    ("POST", "/v1/usage/events"),
    ("GET", "/v1/usage/rate-limits"),
    ("GET", "/v1/balance"),
]


@asynccontextmanager
async def served(**options: Any) -> AsyncGenerator[tuple[Any, Callable[..., Any]]]:
    """Run a gateway, and a function that calls it."""
    async with serve(**{"voice": EchoVoice(), **options}) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:

            async def call(method: str, path: str, *, key: str = "", **request: Any) -> Any:
                headers = {"Authorization": f"Bearer {key}"} if key else {}
                return await client.request(method, path, headers=headers, **request)

            yield gateway, call


async def one_session(dial: Dial, gateway: Any, *, key: str = "", model: str = MODEL) -> Json:
    """Hold a written turn and return what the server says it used."""
    async with dial(gateway, f"/v1/realtime?model={model}&api_key={key}") as wire:
        part = {"type": "input_text", "text": "When does the train leave?"}
        item = {"type": "message", "role": "user", "content": [part]}
        await wire.say({"type": "conversation.item.create", "item": item})
        await wire.say({"type": "response.create"})
        usage: Json = (await wire.until("response.done"))[-1]["response"]["usage"]
        await wire.transport.aclose()
        await hang_up_of(wire)
        return usage


async def hang_up_of(wire: Any) -> None:
    try:
        while True:
            await wire.transport._stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return


def strings_of(value: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [found for k, v in value.items() for found in strings_of(v, k)]
    if isinstance(value, list):
        return [found for v in value for found in strings_of(v, name)]
    return [(name, value)] if isinstance(value, str | float) else []


async def test_the_catalogue_has_what_a_session_can_ask_for() -> None:
    async with served() as (_, call):
        models = (await call("GET", "/v1/models")).json()

    assert [model["id"] for model in models] == list(MODELS)
    for model in models:
        assert model["supports_realtime"] is True
        assert model["realtime_session_max_tokens"] > 0
        assert model["realtime_max_concurrent_per_owner"] > 0
        assert {"audio_input_usd_per_1m", "cached_audio_input_usd_per_1m"} <= set(model["pricing"])
        prices = {k: v for k, v in model["pricing"].items() if k != "pricing_unit"}
        assert all(MONEY.fullmatch(price) for price in prices.values())


async def test_the_catalogue_tells_the_limits() -> None:
    async with served(limits=Limits(session_tokens=7, sessions_per_owner=3)) as (_, call):
        model = (await call("GET", "/v1/models/gpt-realtime")).json()

    assert model["realtime_session_max_tokens"] == 7
    assert model["realtime_max_concurrent_per_owner"] == 3


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"free": "true"}, 0),
        ({"free": "false"}, 3),
        ({"type": "audio"}, 3),
        ({"type": "image"}, 0),
        ({"provider": "openai"}, 3),
        ({"provider": "nobody"}, 0),
    ],
)
async def test_the_catalogue_is_asked_for_a_part(query: Json, count: int) -> None:
    async with served() as (_, call):
        assert len((await call("GET", "/v1/models", params=query)).json()) == count


@pytest.mark.parametrize(("part", "count"), [("free", 0), ("paid", 3)])
async def test_the_catalogue_has_a_free_part_and_a_paid_one(part: str, count: int) -> None:
    async with served() as (_, call):
        assert len((await call("GET", f"/v1/models/{part}")).json()) == count


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["gpt-realtime-mini", "gpt-realtime", "gpt-realtime-2"]),
        ({"q": "MINI"}, ["gpt-realtime-mini"]),
        ({"q": "gpt-9"}, []),
        ({"free": "true"}, []),
        ({"discounted": "true"}, []),
        ({"brand": ["nobody", "openai"], "q": "-2"}, ["gpt-realtime-2"]),
        ({"brand": "nobody"}, []),
        ({"input_modality": "image"}, []),
        ({"output_modality": ["image", "audio"], "q": "-2"}, ["gpt-realtime-2"]),
        ({"sort": "id", "order": "desc", "limit": "2"}, ["gpt-realtime-mini", "gpt-realtime-2"]),
        ({"sort": "name", "offset": "2"}, ["gpt-realtime-mini"]),
    ],
)
async def test_the_catalogue_is_searched_page_by_page(query: Json, names: list[str]) -> None:
    async with served() as (_, call):
        page = (await call("GET", "/v1/models/search", params=query)).json()

    assert [model["name"] for model in page["items"]] == names
    assert page["limit"] == int(query.get("limit", 50))
    assert page["offset"] == int(query.get("offset", 0))
    assert page["total"] == (3 if {"limit", "offset"} & set(query) else len(names))
    assert page["brands"] == (["openai"] if names else [])


@pytest.mark.parametrize("limit", ["-1", "201", "many", "٣", "9" * 5000])
async def test_a_page_of_no_size_is_refused(limit: str) -> None:
    async with served() as (_, call):
        answer = await call("GET", "/v1/models/search", params={"limit": limit})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "validation_error")


@pytest.mark.parametrize("name", ["openai/gpt-realtime", "openai%2Fgpt-realtime", "gpt-realtime"])
async def test_a_model_is_found_by_its_name_with_its_slash(name: str) -> None:
    async with served() as (_, call):
        answer = await call("GET", f"/v1/models/{name}")

    assert answer.json()["id"] == MODEL


async def test_whoever_is_lost_is_told_every_path_there_is() -> None:
    async with served() as (_, call):
        told = (await call("GET", "/v1")).json()["error"]["message"]

    paths = told.removeprefix("There is nothing here; there is ").removesuffix(".").split(", ")
    named = [path.replace("openai/gpt-realtime", "{id}") for _, path in REST]
    assert sorted(paths) == sorted(["/v1/realtime", *named])


async def test_another_model_is_not_found() -> None:
    async with served() as (_, call):
        answer = await call("GET", "/v1/models/openai/gpt-9")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


@pytest.mark.parametrize(("method", "path"), REST)
@pytest.mark.parametrize("key", ["", "rsk_wrong"])
async def test_the_one_key_is_asked_for(method: str, path: str, key: str) -> None:
    async with served(key=KEY) as (_, call):
        refused = await call(method, path, key=key)
        answered = await call(method, path, key=KEY)

    assert (refused.status_code, answered.status_code) == (401, 200)
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert refused.headers["x-request-id"] == refused.json()["request_id"]
    assert refused.headers["www-authenticate"] == "Bearer"
    assert "rsk_" not in refused.text


@pytest.mark.parametrize(("method", "path"), REST)
async def test_any_key_will_do_on_loopback_and_none_too(method: str, path: str) -> None:
    async with served() as (_, call):
        assert (await call(method, path, key="rsk_any")).status_code == 200
        assert (await call(method, path)).status_code == 200


@pytest.mark.parametrize(("method", "path"), REST)
async def test_money_is_never_a_float(dial: Dial, method: str, path: str) -> None:
    async with served() as (gateway, call):
        await one_session(dial, gateway)
        found = strings_of((await call(method, path)).json())

    for name, value in found:
        assert isinstance(value, str) or name == "pct", (name, value)
        if "usd" in name or name == "realtime":
            assert MONEY.fullmatch(value), (name, value)


async def test_usage_is_what_the_sessions_used(dial: Dial) -> None:
    async with served() as (gateway, call):
        used = [await one_session(dial, gateway) for _ in range(2)]
        used.append(await one_session(dial, gateway, model="gpt-realtime-mini"))
        usage = (await call("POST", "/v1/usage", json={})).json()

    assert usage["requests"] == 3
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert usage[name] == sum(each[name] for each in used) > 0
    assert usage["by_model_total"] == 2
    mini, full = sorted(usage["by_model"], key=lambda row: len(row["model"]), reverse=True)
    assert (mini["model"], mini["requests"]) == ("openai/gpt-realtime-mini", 1)
    assert (full["model"], full["requests"]) == (MODEL, 2)
    assert full["total_tokens"] == used[0]["total_tokens"] + used[1]["total_tokens"]
    assert Decimal(usage["cost_usd"]) == Decimal(mini["cost_usd"]) + Decimal(full["cost_usd"])


async def test_a_session_costs_what_its_tokens_cost(dial: Dial) -> None:
    async with served() as (gateway, call):
        used = await one_session(dial, gateway)
        [event] = (await call("POST", "/v1/usage/events")).json()["items"]
        balance = (await call("GET", "/v1/balance")).json()

    text_in, text_out = used["input_tokens"], used["output_token_details"]["text_tokens"]
    audio_out = used["output_token_details"]["audio_tokens"]
    cost = (text_in * Decimal(4) + text_out * Decimal(16) + audio_out * Decimal(64)) / 10**6
    assert Decimal(event["cost_usd"]) == cost > 0
    assert Decimal(balance["balance_usd"]) == Decimal("1000.00") - cost


async def test_an_open_session_holds_money_and_is_billed_at_its_end(dial: Dial) -> None:
    async with served() as (gateway, call):
        async with dial(gateway) as wire:
            await wire.say({"type": "response.create"})
            await wire.until("response.done")
            held = (await call("GET", "/v1/balance")).json()
            usage = (await call("POST", "/v1/usage")).json()
            await wire.transport.aclose()
            await hang_up_of(wire)
        billed = (await call("GET", "/v1/balance")).json()

    assert usage["requests"] == 0
    reserved = Decimal(held["reserved_usd"])
    assert held["balance_usd"] == "1000.00"
    assert held["reserved_breakdown"] == {"realtime": held["reserved_usd"]}
    assert Decimal(held["available_usd"]) == Decimal("1000.00") - reserved < 1000
    assert Decimal(billed["balance_usd"]) == Decimal(billed["available_usd"]) == 1000 - reserved
    assert billed["reserved_breakdown"] == {}


async def test_a_session_that_is_cut_off_is_billed_too(dial: Dial) -> None:
    async with served() as (gateway, call):
        async with dial(gateway) as wire:
            await wire.say({"type": "response.create"})
            await wire.until("response.done")
        while not (usage := (await call("POST", "/v1/usage")).json())["requests"]:  # noqa: ASYNC110
            await anyio.lowlevel.checkpoint()

    assert usage["total_tokens"] > 0


async def test_each_key_sees_its_own(dial: Dial) -> None:
    async with served() as (gateway, call):
        await one_session(dial, gateway, key="rsk_a")
        mine = (await call("POST", "/v1/usage", key="rsk_a")).json()
        others = (await call("POST", "/v1/usage", key="rsk_b")).json()
        nobodys = (await call("POST", "/v1/usage/events")).json()
        limits = (await call("GET", "/v1/usage/rate-limits", key="rsk_c")).json()

    assert (limits["key"]["rpm"]["current"], limits["key"]["tpm"]["current"]) == (1, 0)
    assert (mine["requests"], others["requests"], nobodys["total"]) == (1, 0, 0)


async def test_events_come_the_latest_first_and_by_the_page(dial: Dial) -> None:
    models = ["gpt-realtime", "gpt-realtime-mini", "gpt-realtime-2"]
    before = datetime.now(UTC)
    async with served() as (gateway, call):
        for model in models:
            await one_session(dial, gateway, model=model)
        whole = (await call("POST", "/v1/usage/events")).json()
        page = (await call("POST", "/v1/usage/events", json={"limit": 1, "offset": 1})).json()
        models_page = (await call("POST", "/v1/usage", json={"limit": 1, "offset": 2})).json()

    assert [row["model"] for row in whole["items"]] == [f"openai/{m}" for m in reversed(models)]
    assert page["items"] == whole["items"][1:2]
    assert (page["total"], page["limit"], page["offset"]) == (3, 1, 1)
    assert (models_page["requests"], models_page["by_model_total"]) == (3, 3)
    assert len(models_page["by_model"]) == 1
    row = whole["items"][0]
    assert row["request_id"].startswith("req_")
    assert before <= datetime.fromisoformat(row["created_at"]) <= datetime.now(UTC)
    assert row["duration_ms"] >= 0
    assert (row["responses"], row["routing_fallback"]) == (1, False)


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"7", b"\xff", b'{"limit": 201}', b'{"limit": -1}', b'{"limit": "7"}',
        b'{"limit": true}', b'{"offset": -1}', b'{"offset": 1.5}', b"[" * 10_000,
    ],
)  # fmt: skip
async def test_a_filter_that_is_none_is_422(body: bytes) -> None:
    async with served() as (_, call):
        for path in ("/v1/usage", "/v1/usage/events"):
            answer = await call("POST", path, content=body)
            assert answer.status_code == 422
            assert answer.json()["error"]["code"] == "validation_error"


async def test_rate_limits_count_what_was_asked_and_used(dial: Dial) -> None:
    async with served() as (gateway, call):
        before = (await call("GET", "/v1/usage/rate-limits", key="rsk_a")).json()
        used = await one_session(dial, gateway, key="rsk_a")
        after = (await call("GET", "/v1/usage/rate-limits", key="rsk_a")).json()

    assert (after["org"], after["team"], after["member"]) == (None, None, None)
    for name, more in (("rpm", 2), ("rpd", 2), ("tpm", used["total_tokens"])):
        meter = after["key"][name]
        assert meter["current"] - before["key"][name]["current"] == more
        assert meter["limit"] > 0
        assert meter["is_default_limit"] is True
        assert meter["pct"] == round(100 * meter["current"] / meter["limit"], 2)
        assert 0 < meter["resets_in_seconds"] <= (86_400 if name == "rpd" else 60)
    assert before["key"]["tpm"]["resets_in_seconds"] == 0


async def test_what_was_long_ago_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(_ledger.time, "time", lambda: now)
    ledger = _ledger.Ledger(balance=Decimal(0))
    ledger.count_request(None)
    assert ledger.requests_in(None, 60) == (1, now)
    now += 61
    assert ledger.requests_in(None, 60) == (0, now)
    assert ledger.requests_in(None, 86_400) == (1, now - 61)
    now += 86_400
    assert ledger.requests_in(None, 10**6)[0] == 0


USED = Usage(input_tokens=1_000, input_token_details=InputTokenDetails(text_tokens=1_000))


def spend(ledger: _ledger.Ledger, owner: _ledger.Owner) -> None:
    """Let an owner hold a session and be billed for it."""
    tab = ledger.open(owner, MODEL)
    ledger.add(tab, USED)
    ledger.bill(tab)
    assert ledger.balance_of(owner) < 100


def test_so_many_accounts_are_kept_and_the_latest_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ledger, "_KEPT_ACCOUNTS", 3)
    ledger = _ledger.Ledger(balance=Decimal(100))
    held, nobody = ledger.open(b"held", MODEL), ledger.open(None, MODEL)
    ledger.add(held, USED)
    for owner in (b"a", b"b", b"c"):
        spend(ledger, owner)

    assert (ledger.balance_of(b"a"), ledger.balance_of(b"b")) == (100, 100)  # as they began
    assert ledger.balance_of(b"c") < 100
    assert ledger.reserved_of(b"held") == held.cost > 0  # its session is open
    assert ledger.sessions_of(None) == 1

    ledger.bill(nobody)
    ledger.bill(held)
    spend(ledger, b"d")
    assert ledger.balance_of(b"c") == 100
    assert ledger.balance_of(b"held") < 100


def test_where_all_accounts_have_sessions_none_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_ledger, "_KEPT_ACCOUNTS", 1)
    ledger = _ledger.Ledger(balance=Decimal(100))
    for owner in (None, b"a", b"b"):
        ledger.open(owner, MODEL)

    assert [ledger.sessions_of(owner) for owner in (None, b"a", b"b")] == [1, 1, 1]


async def test_who_only_asks_and_however_long_its_key_takes_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[_ledger.Ledger] = []
    begin = _ledger.Ledger.__init__

    def noted(ledger: _ledger.Ledger, **options: Any) -> None:
        kept.append(ledger)
        begin(ledger, **options)

    monkeypatch.setattr(_ledger.Ledger, "__init__", noted)
    async with served() as (_, call):
        for number in range(3):
            assert (await call("GET", "/v1/balance", key=f"{number}" * 4_000)).status_code == 200

    assert len(kept[0]._accounts) == 0
    assert {len(draw.owner or b"") for draw in kept[0]._draws} == {32}


@pytest.mark.parametrize(("balance", "opens"), [("10.00", True), ("9.99", False), ("0", False)])
@pytest.mark.parametrize("codes", ["recorded", "documented"])
async def test_a_session_needs_money_on_the_account(
    dial: Dial, balance: str, opens: bool, codes: Any
) -> None:
    async with served(balance=balance, close_codes=codes) as (gateway, call):
        told = (await call("GET", "/v1/balance")).json()
        async with dial(gateway) as wire:
            first = await wire.hear()
            if not opens:
                _, code, reason = await wire.end()
                assert (code, reason) == (4402, "insufficient_quota")

    assert told["available_usd"] == balance
    assert first["type"] == ("session.created" if opens else "error")
    assert opens or first["error"]["code"] == "insufficient_quota"


async def test_a_session_ends_when_the_money_does(
    dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_house, "LEAST_BALANCE", Decimal(0))
    async with served(balance="0.0000001") as (gateway, _), dial(gateway) as wire:
        await wire.say({"type": "response.create"})
        events, code, reason = await wire.end()

    assert [event["type"] for event in events[-2:]] == ["response.done", "error"]
    assert events[-1]["error"]["code"] == "insufficient_quota"
    assert (code, reason) == (4402, "insufficient_quota")


@pytest.mark.parametrize(
    ("amount", "text"), [("1E-7", "0.0000001"), ("1E+3", "1000"), ("0.10", "0.10"), ("0", "0")]
)
def test_an_amount_has_no_exponent(amount: str, text: str) -> None:
    assert _catalogue.money(Decimal(amount)) == text


@pytest.mark.parametrize("balance", [10.5, "ten", "NaN", "Infinity", "-1", True, None])
async def test_a_balance_is_an_amount(balance: Any) -> None:
    with pytest.raises(ConfigurationError, match="balance is an amount in USD"):
        async with serve(voice=EchoVoice(), balance=balance):
            pytest.fail("it was opened")
