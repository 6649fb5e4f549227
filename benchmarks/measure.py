"""One measurement: a cost beside the cost of what it replaces."""

import time
from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 5


@dataclass(frozen=True, slots=True)
class Measurement:
    """A cost and its baseline in the same unit; less is better."""

    name: str
    unit: str
    cost: float
    baseline_name: str
    baseline: float

    @property
    def ratio(self) -> float:
        return self.cost / self.baseline


def best_seconds(work: Callable[[], object]) -> float:
    """Return the shortest of a few runs: on a shared machine noise only ever adds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
