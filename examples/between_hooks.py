"""A session between two hooks of a framework, each of which may run in a task of its own.

What has to be left can't be entered in such a hook, so a task of ours holds the session's block;
the hooks tell it when to begin and when to end. Against a server of your own: `meshrt serve`, and
`python between_hooks.py --url <its address>`.
"""

import argparse
import asyncio
import os

from meshrt import MeshAPI, RealtimeSession

MODEL = "openai/gpt-realtime-mini"


class Line:
    """What a framework starts and stops."""

    def __init__(self, client: MeshAPI) -> None:
        """Open nothing yet."""
        self._client = client

    async def on_startup(self) -> None:
        """Open the session; what that raises comes out here."""
        opened: asyncio.Future[RealtimeSession] = asyncio.Future()
        self._holding = asyncio.create_task(self._hold(opened))
        await asyncio.wait([opened, self._holding], return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            await self._holding  # it has failed
        self.session = opened.result()

    async def on_shutdown(self) -> None:
        """Close the session, and raise what has cut it off."""
        await self.session.close()
        await self._holding

    async def _hold(self, opened: asyncio.Future[RealtimeSession]) -> None:
        async with self._client.realtime.connect(model=MODEL) as session:
            opened.set_result(session)
            await session.run()


async def main(url: str | None) -> None:
    """Be a framework that runs each hook in a task of its own."""
    line = Line(MeshAPI(base_url=url))
    starting = asyncio.create_task(line.on_startup())
    await starting
    print("It is open." if line.session.closed is None else "It is not open.")
    stopping = asyncio.create_task(line.on_shutdown())
    await stopping
    print(f"It was closed by the {line.session.closed.initiator}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("MESH_BASE_URL"), help="the server")
    given = parser.parse_args()
    asyncio.run(main(given.url))
