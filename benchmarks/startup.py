"""One cold start in a fresh interpreter: how long until the import is done, and a session open.

Before the clock runs nothing is imported that a client library might import as well.
"""

import sys
from time import perf_counter

_BEGAN = perf_counter()


def main() -> None:
    """Import a library, connect, and print how long both took, in ms."""
    library, loop, url = sys.argv[1:]
    __import__(library)
    imported = perf_counter()

    from .clients import opener
    from .loops import run

    async def connect() -> float:
        async with opener(library, url)():
            return perf_counter()

    connected = run(loop, connect)

    import json

    moments = {"import": imported, "connected": connected}
    print(json.dumps({key: 1000 * (at - _BEGAN) for key, at in moments.items()}))


if __name__ == "__main__":
    main()
