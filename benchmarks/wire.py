"""What the load server says: events of the realtime wire as WebSocket frames, made beforehand."""

import base64
import json
import struct
from typing import Any

MODEL = "gpt-realtime"
KEY = "rsk_benchmark"  # any will do: nobody looks at it

CLEAR_TYPE = "input_audio_buffer.clear"
CLEARED_TYPE = "input_audio_buffer.cleared"
APPEND_TYPE = "input_audio_buffer.append"
COMMITTED_TYPE = "input_audio_buffer.committed"
TEXT_TYPE = "response.output_text.delta"
AUDIO_TYPE = "response.output_audio.delta"

MAX_TEXT_DELTAS = 50_000
MAX_AUDIO_DELTAS = 8_000
MAX_AUDIO_KIB = 64 * 1024
MAX_PACED_DELTAS = 1_000
AUDIO_KIB = 4
CHUNK_BYTES = 960  # 20 ms of PCM16 at 24 kHz
PERIOD_S = 0.02

_DELTAS_PER_ITEM = 200  # about as many words as a spoken answer has
_TEXT_OPCODE = 0x81
_SHORT, _MEDIUM = 126, 2**16  # RFC 6455, 5.2: where the length needs more bytes

_SESSION = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_benchmark",
    "model": MODEL,
    "output_modalities": ["audio"],
    "instructions": "You are a helpful assistant.",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "turn_detection": {"type": "semantic_vad", "create_response": True},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"},
    },
}


def frame(payload: bytes) -> bytes:
    """Return a text frame as a server sends it: whole and not masked."""
    size = len(payload)
    if size < _SHORT:
        return struct.pack("!BB", _TEXT_OPCODE, size) + payload
    if size < _MEDIUM:
        return struct.pack("!BBH", _TEXT_OPCODE, _SHORT, size) + payload
    return struct.pack("!BBQ", _TEXT_OPCODE, _SHORT + 1, size) + payload


def payload(whole: bytes) -> str:
    """Return the text of a frame that :func:`frame` made."""
    header = {_SHORT: 4, _SHORT + 1: 10}.get(whole[1], 2)
    return whole[header:].decode()


def event(wire_name: str, number: int, **fields: Any) -> bytes:
    """Return an event as a frame, its JSON without spaces as the real server writes it."""
    whole = {"type": wire_name, "event_id": f"event_{number:016d}", **fields}
    return frame(json.dumps(whole, separators=(",", ":")).encode())


def word(number: int) -> str:
    """Return the text of a delta."""
    return f" {number}"


def text_size(count: int) -> int:
    """Return how many characters the first so many text deltas have."""
    return sum(len(word(number)) for number in range(count))


def pcm(number: int, size: int) -> bytes:
    """Return audio whose first four bytes say its place, so that its order can be checked."""
    noise = bytes((number * 31 + at * 7) % 251 for at in range(256)) * (size // 256 + 1)
    return number.to_bytes(4, "little") + noise[: size - 4]


def text_deltas(count: int) -> list[bytes]:
    """Return deltas of text as frames, those of a new item after every couple of hundred."""
    return [
        event(TEXT_TYPE, number, **_place(number), delta=word(number)) for number in range(count)
    ]


def audio_deltas(count: int, size: int) -> list[bytes]:
    """Return deltas of audio as frames, each with so many bytes of PCM."""
    return [
        event(
            AUDIO_TYPE,
            number,
            **_place(number),
            delta=base64.b64encode(pcm(number, size)).decode(),
        )
        for number in range(count)
    ]


CREATED = event("session.created", 0, session=_SESSION)
CLEARED = event(CLEARED_TYPE, 1)
COMMITTED = event(COMMITTED_TYPE, 2, item_id="item_benchmark", previous_item_id=None)


def _place(number: int) -> dict[str, Any]:
    turn = number // _DELTAS_PER_ITEM
    return {
        "response_id": f"resp_{turn:020d}",
        "item_id": f"item_{turn:020d}",
        "output_index": 0,
        "content_index": 0,
    }
