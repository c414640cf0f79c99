"""What takes its time: sessions over bad networks, many and long ones, the tests again and again.

``python -m endurance chaos`` and ``soak`` measure and print, ``python -m endurance.flakes`` runs
the tests; ``docs/explanation/reliability.md`` says what.
"""

import sys
from pathlib import Path

# The bad network and the servers are those of the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
