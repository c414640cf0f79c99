"""The shared helpers, which are what is under test here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # importlib mode adds nothing by itself
