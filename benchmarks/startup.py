"""One cold start in a fresh interpreter: how long until the import is done, and a session open.

Before the clock runs nothing is imported that a client library might import as well.
"""

import sys
from time import perf_counter

_BEGAN = perf_counter()


def main() -> None:
    """Import a library, connect, and print how long both took, in ms."""
    name, url, *modules = sys.argv[1:]
    for module in modules:
        __import__(module)
    imported = perf_counter()

    from .clients import opener
    from .kinds import KINDS
    from .loops import run

    kind = KINDS[name]

    async def connect() -> float:
        async with opener(kind, url)():
            return perf_counter()

    connected = run(kind.loop, connect)

    import json

    moments = {"import": imported, "connected": connected}
    print(json.dumps({key: 1000 * (at - _BEGAN) for key, at in moments.items()}))


if __name__ == "__main__":
    main()
