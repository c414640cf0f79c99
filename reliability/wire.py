"""What comes over the wire: however it is cut, and however hostile it is."""

import random
from collections.abc import Iterable

import anyio
import anyio.lowlevel
from support import Pieces, close_frame, created, cuts, server_frame, some_bytes, text_frame
from support._frames import TEXT
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from meshrt.errors import MeshError, RemoteProtocolError
from meshrt.session import Connecting
from meshrt.transports import Transport, WebSocketTransport

from .promises import Found, Setting
from .tools import Tally, Watch, unheard


async def hear(pieces: Iterable[bytes]) -> list[object]:
    """Return all that a session makes of these bytes, its end included."""
    codec = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=2**24)

    async def open_it(_tasks: object) -> Transport:
        await anyio.lowlevel.checkpoint()
        return WebSocketTransport(Pieces(pieces), codec)

    heard: list[object] = []
    try:
        async with Connecting(open_it) as session:
            async for message in session:
                heard.append((message.event, message.text, message.audio))  # noqa: PERF401
    except MeshError as error:
        heard.append((type(error), str(error)))
    if (closed := session.closed) is not None:
        heard.append((closed.initiator, closed.code, closed.reason))
    return heard


async def split(setting: Setting) -> Found:
    """Cut the same bytes in many ways: what is heard may not differ."""
    tally = Tally()
    chance = random.Random(5)
    with unheard(tally):
        while tally.tried < setting.sizes["examples"]:
            data = some_bytes(chance)
            # As large as a read may be, so that the whole comes in one.
            whole = await hear([data])
            for _ in range(10):
                pieces = cuts(data, chance)
                same = await hear(pieces) == whole
                tally.expect(same, f"{len(data)} bytes in {len(pieces)}")
    return {"differences": tally.found()}


async def hostile(setting: Setting) -> Found:
    """Send JSON that is made to break readers: each is an event, or a ``RemoteProtocolError``."""
    tally = Tally()
    with unheard(tally):
        for name, payload in _hostile_payloads().items():
            pieces = [text_frame(created()), *_in_reads(server_frame(TEXT, payload))]
            for _ in range(setting.sizes["rounds"]):
                watch = Watch()
                try:
                    heard = await hear([*pieces, close_frame()])
                except BaseException as error:  # noqa: BLE001  it is what is looked for
                    tally.expect(False, f"{name} raised {error!r:.60}")  # noqa: FBT003
                    continue
                tally.took(watch.s)
                tally.expect(_is_told(heard), f"{name} gave {heard[1:]!r:.60}")
    return {"escaped": tally.found(), "worst": (tally.worst_s * 1000, "")}


def _in_reads(frame: bytes) -> list[bytes]:
    return [frame[at : at + 65536] for at in range(0, len(frame), 65536)]


def _is_told(heard: list[object]) -> bool:
    """Tell whether the greeting was heard, and then a message or a refusal."""
    what = heard[1]
    is_refusal = isinstance(what, tuple) and what[0] is RemoteProtocolError
    return is_refusal or len(heard) == 3


def _hostile_payloads() -> dict[str, bytes]:
    deep, digits = 100_000, b"9" * 1_000_000
    keys = b",".join(b'"k%d":1' % n for n in range(100_000))
    return {
        "arrays, 100,000 deep": b'{"type":"x","a":' + b"[" * deep + b"]" * deep + b"}",
        "objects, 100,000 deep": b'{"type":"x","a":' + b'{"a":' * deep + b"1" + b"}" * deep + b"}",
        "an open array, 100,000 deep": b"[" * deep,
        "a million digits": b'{"type":"x","a":' + digits + b"}",
        "a million digits where a number is due": b'{"type":"response.output_audio.delta",'
        b'"content_index":' + digits + b',"delta":""}',
        "an exponent": b'{"type":"x","a":1e999999}',
        "NaN": b'{"type":"x","a":NaN}',
        "Infinity": b'{"type":"x","a":-Infinity}',
        "a lone surrogate": b'{"type":"response.output_text.delta","delta":"\\ud800"}',
        "a lone surrogate as the type": b'{"type":"\\udfff"}',
        "not UTF-8": b'{"type":"x","a":"\xff\xfe"}',
        "an encoded surrogate": b'{"type":"x","a":"\xed\xa0\x80"}',
        "a key twice": b'{"type":"x","type":"y"}',
        "100,000 keys": b'{"type":"x",' + keys + b"}",
        "4 MiB of escapes": b'{"type":"x","a":"' + b"\\u0000" * 700_000 + b'"}',
        "base64 that is none": b'{"type":"response.output_audio.delta","delta":"\\u00e9!!="}',
        "base64 cut off": b'{"type":"response.output_audio.delta","delta":"AAAAA"}',
        "audio of half a sample": b'{"type":"response.output_audio.delta","delta":"AAAA"}',
        "a number": b"1",
        "null": b"null",
        "nothing": b"",
        "an array": b'["type"]',
        "no type": b"{}",
        "a type that is a list": b'{"type":["error"]}',
        "an error without its error": b'{"type":"error","error":null}',
        "a NUL": b'{"type":"x"}\x00',
    }
