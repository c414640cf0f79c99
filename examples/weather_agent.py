"""A voice agent with a tool: it takes a session, and looks up what the model asks it to.

Its tests are in `test_weather_agent.py`: they need no server, no key and no network.
Against a server of your own: `meshrt serve`, and `python weather_agent.py --url <its address>`.
"""

import argparse
import json
import os
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel

from meshrt import MeshAPI, RealtimeSession
from meshrt.events import (
    FunctionCall,
    FunctionCallOutput,
    InputText,
    ResponseDone,
    ResponseOutputAudioTranscriptDelta,
    UserMessage,
)

LookUp = Callable[[str], Awaitable[str]]
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Say what the weather is in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
CONFIGURATION = {"type": "realtime", "output_modalities": ["audio"], "tools": [TOOL]}


class AgentError(Exception):
    """The model could not answer."""


async def answer(session: RealtimeSession, question: str, look_up: LookUp) -> str:
    """Ask, do what the model asks for in return, and return what it says in the end."""
    await session.create_item(UserMessage(content=[InputText(text=question)]))
    await session.send({"type": "response.create"})
    words = ""
    async for message in session:
        match message.event:
            case ResponseOutputAudioTranscriptDelta(delta=delta):
                words += delta
            case ResponseDone(response=response):
                if response.status != "completed":
                    raise AgentError(f"the response is {response.status}")
                calls = [item for item in response.output if isinstance(item, FunctionCall)]
                if not calls:
                    return words
                for call in calls:
                    await return_output(session, call, look_up)
                await session.send({"type": "response.create"})
                words = ""
    raise AgentError("the session ended before the answer")


async def return_output(session: RealtimeSession, call: FunctionCall, look_up: LookUp) -> None:
    """Do what a call asks for, and tell the model what came of it."""
    city = json.loads(call.arguments).get("city", "")
    sky = await look_up(city)
    output = json.dumps({"city": city, "sky": sky})
    await session.create_item(FunctionCallOutput(call_id=call.call_id, output=output))


async def always_sunny(city: str) -> str:
    """Be a weather service."""
    await anyio.lowlevel.checkpoint()
    return f"clear over {city}"


async def main(url: str | None, question: str) -> None:
    """Ask one question and show the answer."""
    connecting = MeshAPI(base_url=url).realtime.connect(
        model="openai/gpt-realtime-mini", session=CONFIGURATION
    )
    async with connecting as session:
        print(await answer(session, question, always_sunny))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("MESH_BASE_URL"), help="the server")
    parser.add_argument("--question", default="What's the weather in Paris?")
    given = parser.parse_args()
    anyio.run(main, given.url, given.question)
