"""A Trio application: nurseries, memory channels and cancel scopes all work with a session.

The server decides when we have finished speaking, so the microphone goes on until it answers.
Against a server of your own: `meshrt serve`, and `python trio_app.py --url <its address>`.
"""

import argparse
import os
from importlib.resources import files
from itertools import chain, repeat
from pathlib import Path

import trio

from meshrt import MeshAPI, RealtimeSession
from meshrt.audio import bytes_of_ms, chunks, duration_ms, read_wav
from meshrt.events import (
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    ResponseDone,
    ResponseOutputAudioTranscriptDone,
)

CHUNK_MS = 20
SILENCE = bytes(bytes_of_ms(CHUNK_MS))


async def microphone(channel: trio.MemorySendChannel[bytes], question: bytes) -> None:
    """Record the question and then silence, 20 ms at a time, until cancelled."""
    with channel:
        for chunk in chain(chunks(question, CHUNK_MS), repeat(SILENCE)):
            await channel.send(chunk)
            await trio.sleep(CHUNK_MS / 1000)


async def speak(session: RealtimeSession, channel: trio.MemoryReceiveChannel[bytes]) -> None:
    """Send what the microphone records."""
    with channel:
        async for chunk in channel:
            await session.send_audio(chunk)


async def listen(session: RealtimeSession) -> None:
    """Show what happens, until the response is there."""
    heard = 0.0
    async for message in session:
        heard += duration_ms(message.audio or b"")
        match message.event:
            case InputAudioBufferSpeechStarted(audio_start_ms=start):
                print(f"The server hears speech from {start} ms on.")
            case InputAudioBufferSpeechStopped(audio_end_ms=end):
                print(f"It heard the end of it at {end} ms.")
            case ResponseOutputAudioTranscriptDone(transcript=transcript):
                print(f"It says: {transcript}")
            case ResponseDone():
                print(f"It spoke for {heard / 1000:.1f} seconds.")
                return


async def main(url: str | None, wav: Path) -> None:
    """Hold one turn of a conversation, in a minute at most."""
    question = await trio.to_thread.run_sync(read_wav, wav)
    recorded, recording = trio.open_memory_channel[bytes](0)
    with trio.fail_after(60):
        connecting = MeshAPI(base_url=url).realtime.connect(model="openai/gpt-realtime")
        async with connecting as session, trio.open_nursery() as nursery:
            nursery.start_soon(microphone, recorded, question)
            nursery.start_soon(speak, session, recording)
            await listen(session)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    speech = str(files("meshrt") / "cli" / "speech" / "train_question_24k.wav")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("MESH_BASE_URL"), help="the server")
    parser.add_argument("--wav", type=Path, default=speech, help="PCM16, 24 kHz, mono")
    given = parser.parse_args()
    trio.run(main, given.url, given.wav)
