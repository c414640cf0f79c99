"""A full voice agent: one task is the microphone, another the loudspeaker.

The microphone is a WAV file, streamed at the pace of speech; the loudspeaker writes another one.
Against a server of your own: `meshrt serve`, and `python voice_agent.py --url <its address>`.
"""

import argparse
import os
from importlib.resources import files
from pathlib import Path

import anyio

from meshrt import MeshAPI, RealtimeSession
from meshrt.audio import chunks, duration_ms, read_wav, write_wav
from meshrt.events import ResponseDone, ResponseOutputAudioTranscriptDelta

CHUNK_MS = 20
CONFIGURATION = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "audio": {
        # We say ourselves when the turn is over; a server that listens for it too answers twice.
        "input": {"turn_detection": None},
        "output": {"voice": "alloy"},
    },
}


async def stream_microphone(session: RealtimeSession, pcm: bytes) -> None:
    """Send 20 ms of audio every 20 ms, and at the end ask for a response."""
    began = anyio.current_time()
    for number, chunk in enumerate(chunks(pcm, CHUNK_MS)):
        await anyio.sleep_until(began + number * CHUNK_MS / 1000)
        await session.send_audio(chunk)
    await session.send({"type": "input_audio_buffer.commit"})
    await session.send({"type": "response.create"})


async def play_response(session: RealtimeSession) -> bytes:
    """Show the words of the response, and return its audio."""
    played = bytearray()
    async for message in session:
        if message.audio:
            played += message.audio
        match message.event:
            case ResponseOutputAudioTranscriptDelta(delta=words):
                print(words, end="", flush=True)
            case ResponseDone(response=response):
                print(f"\nThe response is {response.status}.")
                break
    return bytes(played)


async def main(url: str | None, wav: Path, out: Path) -> None:
    """Ask what is in one WAV file, and put the answer into another."""
    question = await anyio.to_thread.run_sync(read_wav, wav)
    connecting = MeshAPI(base_url=url).realtime.connect(
        model="openai/gpt-realtime-mini", session=CONFIGURATION
    )
    async with connecting as session, anyio.create_task_group() as tasks:
        tasks.start_soon(stream_microphone, session, question)
        answer = await play_response(session)
        await anyio.to_thread.run_sync(write_wav, out, answer)
        print(f"{out} has {duration_ms(answer) / 1000:.1f} seconds.")


if __name__ == "__main__":
    speech = str(files("meshrt") / "cli" / "speech" / "train_question_24k.wav")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("MESH_BASE_URL"), help="the server")
    parser.add_argument("--wav", type=Path, default=speech, help="PCM16, 24 kHz, mono")
    parser.add_argument("--out", type=Path, default="voice-agent-reply.wav")
    given = parser.parse_args()
    anyio.run(main, given.url, given.wav, given.out)
