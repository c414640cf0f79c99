"""Ask a question out of a WAV file, and keep the answer as another one."""

import sys

import anyio

from meshrt import MeshAPI, RealtimeSession
from meshrt.audio import chunks, read_wav, write_wav
from meshrt.events import (
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    ResponseDone,
    ResponseOutputAudioTranscriptDelta,
)

CHUNK_MS = 20


async def speak(session: RealtimeSession, question: bytes) -> None:
    """Send the question as a microphone would: 20 ms of it every 20 ms."""
    silence = bytes(48_000)  # one second, in which the server notices that we are done
    for chunk in chunks(question + silence, CHUNK_MS):
        await session.send_audio(chunk)
        await anyio.sleep(CHUNK_MS / 1000)


async def listen(session: RealtimeSession) -> bytes:
    """Show what happens, and return the answer's audio."""
    answer = bytearray()
    async for message in session:
        if message.audio:
            answer += message.audio
        match message.event:
            case InputAudioBufferSpeechStarted(audio_start_ms=start):
                print(f"The server hears speech from {start} ms on.")
            case InputAudioBufferSpeechStopped(audio_end_ms=end):
                print(f"It heard the end of it at {end} ms.")
            case ResponseOutputAudioTranscriptDelta(delta=word):
                print(word, end="", flush=True)
            case ResponseDone(response=response):
                print(f"\nThe response is {response.status}.")
                break
    return bytes(answer)


async def main(url: str, question: str) -> None:
    """Hold the conversation."""
    client = MeshAPI(base_url=url, token="any-key-will-do")
    pcm = await anyio.to_thread.run_sync(read_wav, question)
    async with (
        client.realtime.connect(model="openai/gpt-realtime-mini") as session,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(speak, session, pcm)
        answer = await listen(session)
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(write_wav, "answer.wav", answer)
    print(f"answer.wav has {len(answer) / 48_000:.1f} seconds.")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], backend="trio")
