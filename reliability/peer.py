"""A server as a process: ``python -m reliability.peer SCRIPT [BYTES]`` prints its port."""

import base64
import json
import sys
import threading
import time
from contextlib import suppress
from functools import partial

from support import (
    RawConnection,
    created,
    raw_server,
    response_created,
    server_frame,
    text_delta,
    text_frame,
)
from support._frames import CONT, PING, TEXT

_PCM = bytes(range(256)) * 12  # 64 ms
_BATCH = 64  # events in a write
_LONG_S = 24 * 3600.0


def numbered(number: int) -> bytes:
    """Return audio as a frame, with its number in it."""
    delta = {
        "type": "response.output_audio.delta",
        "event_id": str(number),
        "response_id": "resp_1",
        "item_id": "item_1",
        "output_index": 0,
        "content_index": 0,
        "delta": base64.b64encode(_PCM).decode(),
    }
    return text_frame(delta)


def pour(connection: RawConnection, size: int) -> None:
    """Write numbered audio of so many bytes, and close."""
    written = number = 0
    while written < size:
        batch = b"".join(numbered(number + n) for n in range(_BATCH))
        connection.write(batch)
        written += len(batch)
        number += _BATCH
    print(number, flush=True)


def flood(size: int, connection: RawConnection) -> None:
    """Greet, and when the client says a word write as fast as it can."""
    connection.greet()
    connection.read()
    pour(connection, size)
    connection.say_close()


def both(size: int, connection: RawConnection) -> None:
    """Flood, and read a flood at the same time; say how many events came, and in which order."""
    connection.greet()
    pouring = threading.Thread(target=pour, args=(connection, size))
    pouring.start()
    connection.read_all()
    pouring.join()
    numbers = [int(event["event_id"]) for event in connection.so_far().events]
    in_order = numbers == list(range(len(numbers)))
    print(json.dumps({"count": len(numbers), "in_order": in_order}), flush=True)


def turn(connection: RawConnection) -> None:
    """Begin an answer and say no more."""
    connection.greet()
    connection.read()
    connection.say(response_created(), text_delta(0), text_delta(1))
    time.sleep(_LONG_S)


def idle(connection: RawConnection) -> None:
    """Greet and say no more."""
    connection.greet()
    time.sleep(_LONG_S)


def answers(connection: RawConnection) -> None:
    """Answer each event with its number, to the client's end."""
    connection.greet()
    answered = 0
    while connection.read():
        heard = connection.so_far()
        for event in map(json.loads, heard.messages[answered:]):
            connection.say(text_delta(event["event_id"]))
        answered = len(heard.messages)
        if heard.close is not None:
            connection.say_close(heard.close[0] or 1000)
            return


def frame(connection: RawConnection) -> None:
    """Stop in the middle of a frame."""
    connection.shake_hands()
    half = text_frame(text_delta("x" * 5000))[:2500]
    connection.write(text_frame(created()) + half)
    time.sleep(_LONG_S)


def at_a_word(connection: RawConnection, data: bytes) -> None:
    """Greet, and when the client says a word write this, and read to the client's end."""
    connection.greet()
    connection.read()
    with suppress(ConnectionError):
        connection.write(data)
    connection.read_all()


def empty(size: int, connection: RawConnection) -> None:
    """Write so many empty fragments."""
    begun = server_frame(TEXT, b"", fin=False)
    at_a_word(connection, begun + server_frame(CONT, b"", fin=False) * size)


def pings(size: int, connection: RawConnection) -> None:
    """Write so many pings."""
    at_a_word(connection, server_frame(PING, b"") * size)


def crumbs(size: int, connection: RawConnection) -> None:
    """Write an event in so many fragments of one byte."""
    text = json.dumps(text_delta("x")).encode()
    text = text.ljust(size)  # JSON may end with spaces
    frames = [server_frame(CONT, bytes([byte]), fin=False) for byte in text[1:-1]]
    first, last = server_frame(TEXT, text[:1], fin=False), server_frame(CONT, text[-1:])
    at_a_word(connection, b"".join([first, *frames, last]))


def sized(size: int, connection: RawConnection) -> None:
    """Write an event of so many bytes."""
    at_a_word(connection, server_frame(TEXT, json.dumps(text_delta("x")).encode().ljust(size)))


def immense(connection: RawConnection) -> None:
    """Write the header of a message of 2^62 bytes."""
    at_a_word(connection, bytes([0x80 | TEXT, 127]) + (2**62).to_bytes(8))


def handshake(connection: RawConnection) -> None:
    """Stop in the middle of the answer to the handshake."""
    connection.read_request()
    connection.write(connection.switching_protocols()[:40])
    print("half", flush=True)
    time.sleep(_LONG_S)


def main(script: str, size: int = 0) -> None:
    """Serve until this process is killed."""
    scripts = {
        "flood": partial(flood, size),
        "both": partial(both, size),
        "turn": turn,
        "idle": idle,
        "answers": answers,
        "crumbs": partial(crumbs, size),
        "empty": partial(empty, size),
        "immense": immense,
        "pings": partial(pings, size),
        "sized": partial(sized, size),
        "frame": frame,
        "handshake": handshake,
    }
    with raw_server(scripts[script]) as server:
        print(server.port, flush=True)
        time.sleep(_LONG_S)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
