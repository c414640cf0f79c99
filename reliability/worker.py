"""One check on one loop in a fresh process: print what was found as a line of JSON."""

import gc
import json
import sys
from importlib import import_module

from benchmarks.loops import run

from .promises import Found, Setting


def main(check: str, loop: str, sizes: str) -> None:
    """Run a check and print what it found."""
    module, _, name = check.partition(":")
    function = getattr(import_module(module if "." in module else f"reliability.{module}"), name)
    setting = Setting(loop, json.loads(sizes))
    # What is here already would be looked through at each search for something left behind.
    gc.collect()
    gc.freeze()
    found: Found = run(loop, lambda: function(setting))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
