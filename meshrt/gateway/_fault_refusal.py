"""What a handshake is answered that a fault refuses."""

import json
from http import HTTPStatus
from typing import Final

from ._ids import new_id
from .faults import RefuseHandshake

_STATUSES: Final = {status.value: status.phrase for status in HTTPStatus}


def answer_of(fault: RefuseHandshake) -> bytes:
    """Return the whole answer, to the letter: h11 would not write all that may be asked for."""
    body = _envelope(fault.status) if fault.body is None else fault.body
    kind = "application/json" if fault.body is None else "text/plain; charset=utf-8"
    data = body.encode(errors="replace")
    fields = {"Content-Type": kind, "Content-Length": str(len(data)), "Connection": "close"}
    if fault.retry_after is not None:
        fields["Retry-After"] = str(fault.retry_after)
    reason = _STATUSES.get(fault.status, "Refused")
    head = [f"HTTP/1.1 {fault.status} {reason}", *(f"{k}: {v}" for k, v in fields.items())]
    return "\r\n".join([*head, "", ""]).encode() + data


def _envelope(status: int) -> str:
    error = {"code": _STATUSES.get(status, "refused").lower().replace(" ", "_")}
    error["message"] = "A fault refuses the handshake."
    return json.dumps({"error": error, "request_id": new_id("req")})
