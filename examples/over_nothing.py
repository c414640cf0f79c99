"""Two protocols, joined by function calls alone: a client and a server in one step.

This is how to test what you build on the protocol: no socket, no clock, no event loop. The same
calls give the same events each time, ids included.
"""

from collections.abc import Sequence

from meshrt.events import (
    Response,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseOutputTextDelta,
    SessionCreated,
)
from meshrt.protocol import AnyEvent, RealtimeProtocol


def answer(event: AnyEvent) -> Sequence[AnyEvent]:
    """Be a server of few words."""
    if not isinstance(event, ResponseCreate):
        return []
    return [
        ResponseCreated(response=Response(id="resp_1", status="in_progress")),
        ResponseOutputTextDelta(
            response_id="resp_1", item_id="item_1", output_index=0, content_index=0, delta="Hello."
        ),
        ResponseDone(response=Response(id="resp_1", status="completed")),
    ]


def main() -> None:
    """Greet, ask, and show what the client's side has come to."""
    client, server = RealtimeProtocol("client"), RealtimeProtocol("server")
    client.receive_text(server.send(SessionCreated(session={"type": "realtime", "id": "sess_1"})))
    server.receive_text(client.send(ResponseCreate()))
    for asked in server.events():
        for said in answer(asked):
            client.receive_text(server.send(said))
    for event in client.events():
        print(event.type)
    (item,) = [client.conversation.item("item_1")]
    print(client.session_id, client.turn_in_flight, item.text if item else "")


if __name__ == "__main__":
    main()
