"""Throw bytes at the decoder, guided by what they reach; any error but one is a bug.

`nox -s fuzz` runs it, for as long as it is told. It needs atheris, which has no wheel for every
Python.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["meshrt"]):
    from meshrt.errors import RemoteProtocolError
    from meshrt.events import UnknownEvent
    from meshrt.protocol import RealtimeProtocol, decode, encode


def one_input(data: bytes) -> None:
    """Decode as bytes and as text, fold into a session, and write back what was read."""
    text = data.decode("utf-8", "surrogateescape")
    for given in (data, text):
        try:
            event = decode(given)
        except RemoteProtocolError:
            continue
        if not isinstance(event, UnknownEvent):
            again = decode(encode(event))
            if again != event:
                raise AssertionError(f"{event!r} came back as {again!r}")
    protocol = RealtimeProtocol("client")
    try:
        protocol.receive_text(text)
    except RemoteProtocolError:
        return
    protocol.conversation.snapshot()


def main() -> None:
    """Run atheris over the recorded examples as a first corpus."""
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    if not any(Path(argument).is_dir() for argument in sys.argv[1:]):
        raise SystemExit("name a directory for the corpus, as `nox -s fuzz` does")
    main()
