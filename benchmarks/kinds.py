"""Who is compared: the client libraries, each on the loops where its users would run it."""

from dataclasses import dataclass

# What a program imports that has only just begun; the last two need more than their own names.
_IMPORTS = {
    "trio-websocket": ("trio_websocket", "msgspec", "pybase64"),
    "websockets": ("websockets", "base64", "json"),
}


@dataclass(frozen=True)
class Kind:
    """A library on an event loop, or by itself where none is needed."""

    name: str
    library: str
    loop: str = ""
    transport: str = ""

    @property
    def title(self) -> str:
        """What a table calls it."""
        over = f" over {self.transport}" if self.transport else ""
        return f"{self.library}{over} on {self.loop}" if self.loop else self.library

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules that a program begins with."""
        return _IMPORTS.get(self.library, (self.library,))


TRIO = Kind("meshrt-trio", "meshrt", "Trio")
ASYNCIO = Kind("meshrt-asyncio", "meshrt", "asyncio")
UVLOOP = Kind("meshrt-uvloop", "meshrt", "uvloop")
TRIO_WEBSOCKET = Kind("meshrt-trio-websocket", "meshrt", "Trio", "trio-websocket")
OPENAI = Kind("openai", "openai", "asyncio")
MESHAPI = Kind("meshapi", "meshapi", "asyncio")
OPENAI_UVLOOP = Kind("openai-uvloop", "openai", "uvloop")
MESHAPI_UVLOOP = Kind("meshapi-uvloop", "meshapi", "uvloop")
# No realtime clients: what somebody would write by hand, with the best tools and with the usual.
HAND_TRIO = Kind("trio-websocket", "trio-websocket", "Trio")
HAND_ASYNCIO = Kind("websockets", "websockets", "asyncio")

MESHRT = (TRIO, ASYNCIO, UVLOOP)
CLIENTS = (
    *MESHRT,
    TRIO_WEBSOCKET,
    OPENAI,
    MESHAPI,
    OPENAI_UVLOOP,
    MESHAPI_UVLOOP,
    HAND_TRIO,
    HAND_ASYNCIO,
)
# Where the loop is not the point, the peers are measured on asyncio's own alone.
ONCE_EACH = (*MESHRT, OPENAI, MESHAPI, HAND_TRIO, HAND_ASYNCIO)

# Libraries without a loop and a socket, and the gateway, which is a server.
MESHRT_EVENTS = Kind("meshrt-events", "meshrt")
OPENAI_EVENTS = Kind("openai-events", "openai")
MESHAPI_EVENTS = Kind("meshapi-events", "meshapi")
HAND_EVENTS = Kind("msgspec-events", "msgspec and pybase64")
MESHRT_FRAMES = Kind("meshrt-frames", "meshrt")
WEBSOCKETS_FRAMES = Kind("websockets-frames", "websockets")
WSPROTO_FRAMES = Kind("wsproto-frames", "wsproto")
GATEWAY_TRIO = Kind("gateway-trio", "meshrt serve", "Trio")
GATEWAY_ASYNCIO = Kind("gateway-asyncio", "meshrt serve", "asyncio")

EVENT_CODECS = (MESHRT_EVENTS, OPENAI_EVENTS, MESHAPI_EVENTS, HAND_EVENTS)
FRAME_CODECS = (MESHRT_FRAMES, WEBSOCKETS_FRAMES, WSPROTO_FRAMES)
GATEWAYS = (GATEWAY_TRIO, GATEWAY_ASYNCIO)
KINDS = {kind.name: kind for kind in (*CLIENTS, *EVENT_CODECS, *FRAME_CODECS, *GATEWAYS)}
