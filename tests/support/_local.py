"""A session with a server on the loopback, as a user opens it."""

from typing import Any

from meshrt import MeshAPI
from meshrt.session import Connecting


def connecting(port: int, *, host: str = "127.0.0.1", **options: Any) -> Connecting:
    """Return a session to be, over a real socket."""
    return MeshAPI(base_url=f"http://{host}:{port}").realtime.connect(model="m", **options)
