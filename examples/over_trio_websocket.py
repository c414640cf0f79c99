"""The protocol over a trio-websocket connection that you hold already.

Against a server of your own: `meshrt serve`, and
`python over_trio_websocket.py --url <its address>`.
"""

import argparse
import os
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import trio
from trio_websocket import WebSocketConnection, open_websocket

from meshrt.events import (
    ConversationItemCreate,
    InputText,
    ResponseCreate,
    ResponseDone,
    ResponseOutputTextDelta,
    ResponseParams,
    SessionCreated,
    UserMessage,
)
from meshrt.protocol import AnyEvent, RealtimeProtocol

MODEL = "openai/gpt-realtime-mini"


class Line:
    """A protocol and a WebSocket, joined."""

    def __init__(self, websocket: WebSocketConnection) -> None:
        """Join them."""
        self._websocket = websocket
        self._protocol = RealtimeProtocol("client")

    async def send(self, *events: AnyEvent) -> None:
        """Check events and send them. trio-websocket tears a message whose send is cancelled."""
        for event in events:
            await self._websocket.send_message(self._protocol.send(event))

    async def receive(self) -> Sequence[AnyEvent]:
        """Return what one message of the server means."""
        self._protocol.receive_text(await self._websocket.get_message())
        for text in self._protocol.to_send():
            await self._websocket.send_message(text)
        return self._protocol.events()


async def converse(line: Line, words: str) -> None:
    """Write something and show what is written back."""
    while True:
        for event in await line.receive():
            match event:
                case SessionCreated():
                    message = UserMessage(content=[InputText(text=words)])
                    written = ResponseParams(output_modalities=["text"])
                    await line.send(
                        ConversationItemCreate(item=message), ResponseCreate(response=written)
                    )
                case ResponseOutputTextDelta(delta=text):
                    print(text, end="", flush=True)
                case ResponseDone():
                    print()
                    return


async def main(url: str, words: str) -> None:
    """Connect with trio-websocket alone, and talk."""
    parts = urlsplit(url)
    key = quote(os.environ.get("MESH_API_KEY", ""), safe="")
    secure = parts.scheme in ("https", "wss")
    port = parts.port or (443 if secure else 80)
    resource = f"/v1/realtime?model={quote(MODEL, safe='')}&api_key={key}"
    with trio.fail_after(30):
        async with open_websocket(
            parts.hostname or "", port, resource, use_ssl=secure
        ) as websocket:
            await converse(Line(websocket), words)


if __name__ == "__main__":
    mesh = os.environ.get("MESH_BASE_URL", "https://api.meshapi.ai")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=mesh, help="the server, https:// or http://")
    parser.add_argument("--text", default="Hello", help="what to write")
    given = parser.parse_args()
    trio.run(main, given.url, given.text)
