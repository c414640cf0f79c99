"""What meshrt promises when things go wrong, and what is measured of it on each event loop.

``python -m reliability`` measures and prints; ``docs/explanation/reliability.md`` says what.
"""

import sys
from pathlib import Path

# The hostile servers, the strict frame parser and the cancellations are those of the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
