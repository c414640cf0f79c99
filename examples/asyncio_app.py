"""An asyncio application: task groups and timeouts of the standard library, and a session.

Several callers talk to the server at once, each in a session of its own: one speaks, the others
write. Against a server of your own: `meshrt serve`, and
`python asyncio_app.py --url <its address>`.
"""

import argparse
import asyncio
import os
from importlib.resources import files
from pathlib import Path

from meshrt import MeshAPI, RealtimeSession
from meshrt.audio import chunks, duration_ms, read_wav
from meshrt.events import (
    ConversationItemCreate,
    InputText,
    ResponseCreate,
    ResponseDone,
    ResponseOutputAudioTranscriptDone,
    UserMessage,
)

MODEL = "openai/gpt-realtime-mini"
CHUNK_MS = 20


async def answer(session: RealtimeSession) -> str:
    """Return the words of the next response, and how long they are."""
    words, spoken_ms = "", 0.0
    async for message in session:
        spoken_ms += duration_ms(message.audio or b"")
        match message.event:
            case ResponseOutputAudioTranscriptDone(transcript=str(transcript)):
                words = transcript
            case ResponseDone():
                break
    return f"{words} ({spoken_ms / 1000:.1f} s)"


async def speak(session: RealtimeSession, question: bytes) -> None:
    """Send a question as a microphone would, and a second of silence, which ends the turn."""
    for chunk in chunks(question + bytes(48_000), CHUNK_MS):
        await session.send_audio(chunk)
        await asyncio.sleep(CHUNK_MS / 1000)


async def call(client: MeshAPI, question: bytes) -> None:
    """Ask something aloud: one task speaks while we listen, and stops when we have heard."""
    async with client.realtime.connect(model=MODEL) as session, asyncio.TaskGroup() as tasks:
        speaking = tasks.create_task(speak(session, question))
        print(f"spoken: {await answer(session)}")
        speaking.cancel()


async def write(client: MeshAPI, question: str) -> None:
    """Ask something in writing."""
    async with client.realtime.connect(model=MODEL) as session:
        item = UserMessage(content=[InputText(text=question)])
        await session.send(ConversationItemCreate(item=item))
        await session.send(ResponseCreate())
        print(f"written: {await answer(session)}")


async def main(url: str | None, wav: Path) -> None:
    """Ask three questions at the same time, and wait a minute at most for the answers."""
    client = MeshAPI(base_url=url)
    question = await asyncio.to_thread(read_wav, wav)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(call(client, question))
        tasks.create_task(write(client, "When does the next train leave?"))
        tasks.create_task(write(client, "How long does the journey take?"))


if __name__ == "__main__":
    speech = str(files("meshrt") / "cli" / "speech" / "train_question_24k.wav")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("MESH_BASE_URL"), help="the server")
    parser.add_argument("--wav", type=Path, default=speech, help="PCM16, 24 kHz, mono")
    given = parser.parse_args()
    asyncio.run(main(given.url, given.wav))
