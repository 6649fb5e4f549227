"""What processes cost, from /proc: CPU seconds and memory, of whole families and of their dead."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.chaos.processes import find_processes

TICKS = os.sysconf("SC_CLK_TCK")
Seconds = dict[str, float]


class Restarted(Exception):
    """A process ended while it was measured, so that its figures are not whole."""


def find_family(root: int) -> list[int]:
    """Return a process and all that it started and that lives, however deep."""
    parents = {process.pid: process.parent for process in find_processes()}
    family, found = [], [root] if root in parents else []
    while found:
        family += found
        found = [pid for pid, parent in parents.items() if parent in found]
    return family


def cpu_of_family(root: int) -> float:
    """Return the CPU seconds of a process and of its children, those that ended included: a parent inherits them.

    So what PostgreSQL's backends did is counted when they are gone, too.
    """
    return sum(sum(_cpu_times(pid)) for pid in find_family(root))


def cpu_alone(pid: int) -> float:
    """Return the CPU seconds of a process itself, without its children."""
    return sum(_cpu_times(pid)[:2])


def memory_of(pids: Iterable[int]) -> float:
    """Return the proportional resident memory of some processes in MB: what they share is counted once."""
    return sum(_proportional_kilobytes(pid) for pid in pids) / 1024


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> Seconds:
    """Return what each role spent. Raises `Restarted` where time ran backwards, or a role came or went."""
    if before.keys() != after.keys() or any(after[role] < before[role] for role in before):
        raise Restarted(f"{dict(before)} became {dict(after)}")
    return {role: after[role] - before[role] for role in before}


def _cpu_times(pid: int) -> list[float]:
    """Return a process's user and system time, and those of the children that it has waited for."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return [int(ticks) / TICKS for ticks in fields[11:15]]
    return [0.0] * 4


def _proportional_kilobytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
