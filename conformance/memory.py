"""How much memory a process has taken."""

import re
from pathlib import Path

_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_bytes() -> int:
    """Return the most that this process ever had; 0 where there is no ``/proc``."""
    # Not getrusage(): its number starts with that of the process that started this one.
    found = _PEAK.search(_STATUS.read_text("ascii")) if _STATUS.exists() else None
    return int(found[1]) * 1024 if found else 0
