"""How the server says no: by an HTTP status, or by an error after 101; both are one exception."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from support import RawConnection, raw_server

from meshrt import HandshakeRejected, MeshAPI, RealtimeError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

Fields = dict[str, Any]


def by_status(status: int, body: object, *headers: str) -> Callable[[RawConnection], None]:
    text = body if isinstance(body, str) else json.dumps(body)

    def script(connection: RawConnection) -> None:
        connection.read_request()
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(text)}", *headers]
        connection.write("\r\n".join([*lines, "", text]).encode())

    return script


def by_event(event: Fields, code: int, reason: str) -> Callable[[RawConnection], None]:
    def script(connection: RawConnection) -> None:
        connection.shake_hands()
        connection.say({"type": "error", **event})
        connection.say_close(code, reason)

    return script


def envelope(code: str, message: str, request_id: str | None = None) -> Fields:
    body: Fields = {"error": {"code": code, "message": message}}
    return body if request_id is None else {**body, "request_id": request_id}


# The gateway's REST envelope and FastAPI's, with each of its statuses; and its errors after 101.
SHAPES: list[tuple[Callable[[RawConnection], None], Fields]] = [
    (
        by_status(401, envelope("invalid_api_key", "Bad key.", "req_1")),
        {"status": 401, "code": "invalid_api_key", "message": "Bad key.", "request_id": "req_1"},
    ),
    (
        by_status(402, envelope("insufficient_quota", "Pay."), "X-Request-Id: req_2"),
        {"status": 402, "code": "insufficient_quota", "request_id": "req_2"},
    ),
    (
        by_status(403, {"detail": "Not allowed."}),
        {"status": 403, "code": None, "message": "Not allowed.", "request_id": None},
    ),
    (
        by_status(404, {"detail": {"code": "model_not_found", "message": "No model."}}),
        {"status": 404, "code": "model_not_found", "message": "No model."},
    ),
    (
        by_status(400, {"detail": [{"loc": ["query", "model"], "msg": "field required"}]}),
        {"status": 400, "code": None, "message": "field required"},
    ),
    (
        by_status(429, envelope("rate_limit_exceeded", "Slow.", "req_3"), "Retry-After: 7"),
        {"status": 429, "code": "rate_limit_exceeded", "retry_after": 7.0, "request_id": "req_3"},
    ),
    (
        by_status(
            503,
            envelope("service_draining", "Deploy."),
            "Date: Sun, 06 Nov 1994 08:49:00 GMT",
            "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT",
        ),
        {"status": 503, "code": "service_draining", "retry_after": 37.0},
    ),
    (by_status(426, "Upgrade Required"), {"status": 426, "code": None, "retry_after": None}),
    (by_status(500, "<html>Sorry</html>"), {"status": 500, "code": None, "request_id": None}),
    (
        by_event(
            {
                "error": {
                    "type": "invalid_request_error",
                    "code": "invalid_api_key",
                    "message": "Incorrect API key provided.",
                    "param": None,
                },
                "request_id": "req_4",
            },
            3000,
            "invalid_request_error.invalid_api_key",
        ),
        {
            "status": 101,
            "code": "invalid_api_key",
            "type": "invalid_request_error",
            "message": "Incorrect API key provided.",
            "param": None,
            "request_id": "req_4",
            "retry_after": None,
        },
    ),
    (
        by_event({"error": {"code": "insufficient_quota", "message": "Pay."}}, 4402, "quota"),
        {"status": 101, "code": "insufficient_quota", "message": "Pay.", "request_id": None},
    ),
    (
        by_event(
            {
                "error": {
                    "code": "concurrent_sessions_exceeded",
                    "message": "Too many.",
                    "provider_code": "x",
                },
                "request_id": "req_5",
            },
            1008,
            "policy",
        ),
        {"status": 101, "code": "concurrent_sessions_exceeded", "request_id": "req_5"},
    ),
    (
        by_event({"error": {"code": "upstream_overload", "message": "Later."}}, 1011, ""),
        {"status": 101, "code": "upstream_overload", "message": "Later."},
    ),
]


@pytest.mark.parametrize(("script", "fields"), SHAPES, ids=lambda each: str(each)[:40])
async def test_each_refusal_says_what_the_server_said(
    script: Callable[[RawConnection], None], fields: Fields
) -> None:
    with raw_server(script) as server:
        client = MeshAPI(base_url=f"http://127.0.0.1:{server.port}")
        with pytest.raises(HandshakeRejected) as caught:
            async with client.realtime.connect(model="openai/gpt-realtime-mini"):
                pytest.fail("the body may not begin")
        await server.settled()
        assert len(server.connections) == 1
    assert isinstance(caught.value, RealtimeError)
    assert {name: getattr(caught.value, name) for name in fields} == fields
    assert caught.value.message
