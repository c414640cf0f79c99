"""The protocol without meshrt's I/O: here over the blocking WebSocket of `websockets`.

A browser's relay, a telephone line or a test would do the same: what comes goes into
`receive_text`, what it means is in `events`, and what `send` and `to_send` return goes out.
Against a server of your own: `meshrt serve`, and
`python bring_your_own_transport.py --url <its address>`.
"""

import argparse
import logging
import os
import wave
from collections.abc import Iterator
from importlib.resources import files
from urllib.parse import quote, urlsplit

from websockets.sync.client import ClientConnection, connect

from meshrt.events import (
    AudioConfig,
    AudioInput,
    Error,
    InputAudioBufferAppend,
    InputAudioBufferCommit,
    RealtimeSessionConfig,
    ResponseCreate,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    SessionCreated,
    SessionUpdate,
)
from meshrt.protocol import AnyEvent, RealtimeProtocol

MODEL = "openai/gpt-realtime-mini"
CHUNK_BYTES = 4_800  # 100 ms
FORMAT = (1, 2, 24_000)  # channels, bytes in a sample, samples in a second

# websockets logs the address at DEBUG, and the key is in it: this logger is nobody's.
QUIET = logging.Logger("quiet", logging.CRITICAL)  # noqa: LOG001


class Line:
    """A protocol and a WebSocket, joined."""

    def __init__(self, websocket: ClientConnection) -> None:
        """Join them."""
        self._websocket = websocket
        self._protocol = RealtimeProtocol("client")

    def send(self, event: AnyEvent) -> None:
        """Check an event and send it."""
        self._websocket.send(self._protocol.send(event))

    def events(self) -> Iterator[AnyEvent]:
        """Receive, for as long as there is something; half a minute of silence is an error."""
        while True:
            self._protocol.receive_text(self._websocket.recv(timeout=30))
            yield from self._protocol.events()
            for text in self._protocol.to_send():
                self._websocket.send(text)


def ask(line: Line, question: bytes) -> None:
    """Send the question, and say that it is all."""
    by_hand = AudioConfig(input=AudioInput(turn_detection=None))
    line.send(SessionUpdate(session=RealtimeSessionConfig(audio=by_hand)))
    for start in range(0, len(question), CHUNK_BYTES):
        line.send(InputAudioBufferAppend(audio=question[start : start + CHUNK_BYTES]))
    line.send(InputAudioBufferCommit())
    line.send(ResponseCreate())


def converse(line: Line, question: bytes) -> int:
    """Ask, show the words of the answer, and return how many bytes of audio it has."""
    size = 0
    for event in line.events():
        match event:
            case SessionCreated():
                ask(line, question)
            case ResponseOutputAudioDelta(delta=audio):
                size += len(audio)
            case ResponseOutputAudioTranscriptDelta(delta=words):
                print(words, end="", flush=True)
            case Error(error=error):
                raise SystemExit(f"the server says: {error.message}")
            case ResponseDone():
                print()
                break
    return size


def read(path: str) -> bytes:
    """Return the audio of a WAV file: in another format it would be noise to the server."""
    with wave.open(path) as file:
        if file.getparams()[:3] != FORMAT:
            raise SystemExit(f"{path} is not PCM16, 24 kHz, mono: convert it first")
        return file.readframes(file.getnframes())


def main(url: str, wav: str) -> None:
    """Ask what is in the WAV file: PCM16, 24 kHz, mono."""
    question = read(wav)
    key = quote(os.environ.get("MESH_API_KEY", ""), safe="")
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
    where = f"{scheme}://{parts.netloc}{parts.path}/v1/realtime?model={MODEL}&api_key={key}"
    with connect(where, max_size=2**24, compression=None, logger=QUIET) as websocket:
        size = converse(Line(websocket), question)
    print(f"It spoke for {size / 48_000:.1f} seconds.")


if __name__ == "__main__":
    speech = str(files("meshrt") / "cli" / "speech" / "train_question_24k.wav")
    mesh = os.environ.get("MESH_BASE_URL", "https://api.meshapi.ai")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=mesh, help="the server, https:// or http://")
    parser.add_argument("--wav", default=speech, help="PCM16, 24 kHz, mono")
    given = parser.parse_args()
    main(given.url, given.wav)
