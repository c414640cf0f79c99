"""What a process has: descriptors, tasks and memory, before and after."""

import gc
from pathlib import Path

import anyio

from reliability.tools import resident_bytes

_DESCRIPTORS = Path("/proc/self/fd")


class Baseline:
    """How much there was when it was made."""

    def __init__(self) -> None:
        self._before = _counts()

    def left(self) -> tuple[float, str]:
        """Return how many descriptors and tasks there are more now, and which."""
        more = {key: count - self._before[key] for key, count in _counts().items()}
        named = [f"{count} {key}" for key, count in more.items() if count > 0]
        return sum(max(count, 0) for count in more.values()), ", ".join(named)


class Memory:
    """How memory goes on, from sample to sample."""

    def __init__(self) -> None:
        self.samples: list[int] = []

    def sample(self) -> None:
        """Take one, with all that is garbage gone."""
        gc.collect()
        self.samples.append(resident_bytes())

    def growth(self, warm_up: int) -> int:
        """Return by how many bytes it has grown since the sample of that number."""
        return self.samples[-1] - self.samples[warm_up]

    def drift(self, warm_up: int) -> tuple[float, str]:
        """Return the same in percent, and from what to what."""
        first, last = self.samples[warm_up], self.samples[-1]
        percent = max(self.growth(warm_up), 0) / first * 100
        return percent, f"({first / 2**20:.1f} to {last / 2**20:.1f} MiB)"


def _counts() -> dict[str, int]:
    gc.collect()
    descriptors = len(list(_DESCRIPTORS.glob("*")))
    return {"descriptors": descriptors, "tasks": len(anyio.get_running_tasks())}
