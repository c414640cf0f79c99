"""Who gets in: keys and where they may be, models, paths, and what is not even HTTP."""

import json
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

import anyio
import pytest

from meshrt.errors import ConfigurationError
from meshrt.gateway import MODELS, EchoVoice, Limits, _http, serve

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
Dial = Callable[..., AbstractAsyncContextManager[Any]]
Ask = Callable[..., Any]

KEY = "rsk_right+/=&key"
TOKEN = "rsk_a.token-only"  # noqa: S105  nobody's; a subprotocol holds no other signs
TARGET = "/v1/realtime?model=openai/gpt-realtime-mini"
PROTOCOLS = "Sec-WebSocket-Protocol"

WAYS = {
    "query": lambda key: (f"{TARGET}&api_key={quote(key, safe='')}", {}),
    "header": lambda key: (TARGET, {"Authorization": f"Bearer {key}"}),
    "lower_case_header": lambda key: (TARGET, {"authorization": f"bearer {key}"}),
    "api_key_header": lambda key: (TARGET, {"api-key": key}),
    "subprotocol": lambda key: (
        TARGET, {PROTOCOLS: f"openai-realtime, openai-insecure-api-key.{key}"},
    ),
    "subprotocol_with_a_space": lambda key: (
        TARGET, {PROTOCOLS: f"openai-realtime, Bearer {key}"},
    ),
}  # fmt: skip


async def refusal(wire: Any) -> tuple[Json, int | None, str]:
    [event], code, reason = await wire.end()
    assert event["type"] == "error"
    assert event["request_id"].startswith("req_")
    error: Json = event["error"]
    return error, code, reason


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_the_right_key_is_let_in_wherever_it_is(dial: Dial, way: Any) -> None:
    async with serve(key=TOKEN, voice=EchoVoice()) as gateway:
        async with dial(gateway, *way(TOKEN)) as wire:
            assert (await wire.hear())["type"] == "session.created"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_wrong_key_is_upgraded_told_and_closed(dial: Dial, way: Any) -> None:
    async with serve(key=TOKEN, voice=EchoVoice()) as gateway:
        async with dial(gateway, *way("rsk_wrong")) as wire:
            error, code, reason = await refusal(wire)

    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert (code, reason) == (3000, "invalid_request_error.invalid_api_key")


async def test_no_key_is_a_wrong_one(dial: Dial) -> None:
    async with serve(key=TOKEN, voice=EchoVoice()) as gateway, dial(gateway, TARGET) as wire:
        error, code, _ = await refusal(wire)

    assert (error["code"], code) == ("invalid_api_key", 3000)


async def test_a_key_with_signs_comes_whole_through_a_query(dial: Dial) -> None:
    async with serve(key=KEY, voice=EchoVoice()) as gateway:
        async with dial(gateway, *WAYS["query"](KEY)) as wire:
            assert (await wire.hear())["type"] == "session.created"


async def test_without_a_key_of_its_own_the_gateway_takes_any(dial: Dial) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        async with dial(gateway, *WAYS["header"]("whatever")) as wire:
            assert (await wire.hear())["type"] == "session.created"


async def test_the_key_is_in_no_log_and_no_answer(
    dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for accepted in (TOKEN, "rsk_another"):
        async with serve(key=accepted, voice=EchoVoice()) as gateway:
            for way in WAYS.values():
                async with dial(gateway, *way(TOKEN)) as wire:
                    assert TOKEN not in wire.head
                    assert TOKEN not in str(await wire.hear())
                    await wire.transport._stream.send(b"\x81\x02no")
                    with anyio.move_on_after(1):
                        await wire.end()

    assert "broke the rules" in caplog.text
    assert TOKEN not in caplog.text
    assert not [record for record in caplog.records if TOKEN in repr(vars(record))]


def test_a_request_does_not_show_the_key() -> None:
    call = _http.Request(
        method="GET",
        target=f"{TARGET}&api_key={TOKEN}",
        headers=[("authorization", f"Bearer {TOKEN}")],
        rest=b"",
    )
    assert TOKEN not in repr(call)
    assert "GET" in repr(call)


@pytest.mark.parametrize("offered", ["openai-realtime", "realtime", "realtime, openai-realtime"])
async def test_a_subprotocol_is_agreed_on(dial: Dial, offered: str) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        async with dial(gateway, TARGET, {PROTOCOLS: offered}) as wire:
            assert f"{PROTOCOLS}: {offered.partition(',')[0]}" in wire.head


@pytest.mark.parametrize("offered", ["Bearer rsk_x", "graphql-ws"])
async def test_a_subprotocol_that_is_none_of_ours_is_not_agreed_on(
    dial: Dial, offered: str
) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        async with dial(gateway, TARGET, {PROTOCOLS: offered}) as wire:
            assert PROTOCOLS not in wire.head
            assert (await wire.hear())["type"] == "session.created"


@pytest.mark.parametrize("model", [*MODELS, "gpt-realtime"])
@pytest.mark.parametrize("path", ["/v1/realtime", "/realtime"])
async def test_a_known_model_is_served_under_its_name(dial: Dial, path: str, model: str) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        async with dial(gateway, f"{path}?model={quote(model, safe='')}") as wire:
            assert (await wire.hear())["session"]["model"] == model


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [
        ("", "missing_model", "invalid_request_error.missing_model"),
        ("?model=", "missing_model", "invalid_request_error.missing_model"),
        ("?model=gpt-9", "model_not_found", "invalid_request_error.invalid_model"),
        ("?model=x/gpt-realtime", "model_not_found", "invalid_request_error.invalid_model"),
    ],
)
async def test_a_model_that_is_not_there_is_told_those_that_are(
    dial: Dial, query: str, code: str, reason: str
) -> None:
    async with serve(voice=EchoVoice()) as gateway, dial(gateway, f"/v1/realtime{query}") as wire:
        error, closed, why = await refusal(wire)

    assert (error["code"], closed, why) == (code, 4000, reason)
    assert all(name in error["message"] for name in MODELS)


UPGRADE = (
    b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
REQUESTS = {
    "get": (
        b"GET /v1/realtime?model=x HTTP/1.1\r\nHost: localhost\r\n\r\n", 426, "upgrade_required",
    ),
    "post": (
        b"POST /v1/realtime HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
        426,
        "upgrade_required",
    ),
    "post_with_an_upgrade": (
        b"POST /v1/realtime HTTP/1.1\r\n" + UPGRADE + b"\r\n", 426, "upgrade_required",
    ),
    "other_path": (b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "not_found"),
    "other_path_with_an_upgrade": (b"GET / HTTP/1.1\r\n" + UPGRADE + b"\r\n", 404, "not_found"),
    "no_path": (
        b"GET http://localhost/v1/realtime HTTP/1.1\r\nHost: localhost\r\n\r\n",
        400,
        "bad_request",
    ),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad_request"),
    "words": (b"hello, is anybody there?\r\n\r\n", 400, "bad_request"),
    "no_host": (b"GET /v1/realtime HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "long_header": (
        b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"a" * 20_000,
        431,
        "bad_request",
    ),
    "long_target": (b"GET /" + b"a" * 20_000, 414, "bad_request"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "code"), REQUESTS.values(), ids=REQUESTS)
async def test_what_is_no_upgrade_is_answered_with_a_status_and_a_reason(
    ask: Ask, dial: Dial, request_: bytes, status: int, code: str
) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, request_)
        async with dial(gateway) as wire:
            assert (await wire.hear())["type"] == "session.created"

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert f"Content-Length: {len(body)}".encode() in head
    envelope = json.loads(body)
    assert envelope["error"]["code"] == code
    assert envelope["request_id"].startswith("req_")
    assert (b"Upgrade: websocket" in head) is (status == 426)


@pytest.mark.parametrize("missing", [b"Sec-WebSocket-Key", b"Sec-WebSocket-Version"])
async def test_an_upgrade_without_its_headers_is_refused(ask: Ask, missing: bytes) -> None:
    fields = b"".join(
        line + b"\r\n" for line in UPGRADE.splitlines() if not line.startswith(missing)
    )
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, b"GET /v1/realtime HTTP/1.1\r\n" + fields + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 400 " if missing.endswith(b"Key") else b"HTTP/1.1 4")


@pytest.mark.parametrize("part", [b"", b"GET /v1/rea", b"GET /v1/realtime HTTP/1.1\r\nHost:"])
async def test_a_client_that_hangs_up_in_its_request_is_let_go(
    ask: Ask, dial: Dial, part: bytes
) -> None:
    async with serve(voice=EchoVoice()) as gateway:
        assert await ask(gateway, part, hang_up=True) == b""
        async with dial(gateway) as wire:
            assert (await wire.hear())["type"] == "session.created"


async def test_a_request_that_takes_too_long_is_cut_off_alone(ask: Ask, dial: Dial) -> None:
    limits = Limits(header_seconds=0.5)
    async with serve(voice=EchoVoice(), limits=limits) as gateway, dial(gateway) as wire:
        assert await ask(gateway, b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\n") == b""
        assert (await wire.hear())["type"] == "session.created"


async def test_what_comes_with_the_request_is_not_lost(ask: Ask) -> None:
    frame = b"\x81\x81\0\0\0\0{"  # "{", masked with zeros, and then a CLOSE
    request = b"GET " + TARGET.encode() + b" HTTP/1.1\r\n" + UPGRADE + b"\r\n"
    async with serve(voice=EchoVoice()) as gateway:
        answer = await ask(gateway, request + frame + b"\x88\x80\0\0\0\0", hang_up=True)

    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"\x88" in answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104
async def test_the_gateway_is_not_opened_to_others(host: str) -> None:
    with pytest.raises(ConfigurationError, match="loopback address only"):
        async with serve(host=host):
            pytest.fail("it was")


@pytest.mark.parametrize("key", ["", "rsk with space", "rsk_\r\nX: y", "rsk_\u00e9", 7])
async def test_a_key_that_can_be_none_is_refused_and_not_shown(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="the gateway's key ") as caught:
        async with serve(key=key):
            pytest.fail("it was taken")

    assert caught.value.__cause__ is caught.value.__context__ is None
    assert not key or str(key) not in str(caught.value)
    frames, traceback = [], caught.value.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name == "secret_of":
            frames.append(repr(traceback.tb_frame.f_locals))
        traceback = traceback.tb_next
    assert len(frames) == 1
    assert not key or repr(key) not in frames[0]


@pytest.mark.parametrize(
    ("target", "headers", "error_code", "recorded"),
    [
        (TARGET, {"api-key": "rsk_wrong"}, "invalid_api_key", 3000),
        (f"/v1/realtime?api_key={TOKEN}", {}, "missing_model", 4000),
        (f"/v1/realtime?model=gpt-9&api_key={TOKEN}", {}, "model_not_found", 4000),
        (
            f"{TARGET}&api_key={TOKEN}",
            {"OpenAI-Beta": "realtime=v1"},
            "beta_api_shape_disabled",
            4000,
        ),
    ],
)
@pytest.mark.parametrize("codes", ["recorded", "documented"])
async def test_a_refusal_has_the_close_code_of_whoever_is_played(
    dial: Dial, *, codes: Any, target: str, headers: Any, error_code: str, recorded: int
) -> None:
    async with serve(key=TOKEN, voice=EchoVoice(), close_codes=codes) as gateway:
        async with dial(gateway, target, headers) as wire:
            error, code, reason = await refusal(wire)

    assert error["code"] == error_code
    assert code == (recorded if codes == "recorded" else 1008)
    assert reason.startswith("invalid_request_error." if codes == "recorded" else error_code)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"close_codes": "openai"}, "close_codes is 'recorded' or 'documented': not 'openai'"),
        ({"dialect": "BETA"}, "dialect is 'ga' or 'beta': not 'BETA'"),
    ],
)
async def test_a_word_that_is_none_is_one_sentence(options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        async with serve(voice=EchoVoice(), **options):
            pytest.fail("it was opened")
