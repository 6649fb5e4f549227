"""Which processes the parts of a running product are, found in /proc."""

import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# The parts that are killed, and what of them the supervisor of `up` has in hand under which name.
SUPERVISED = {
    "web": "web", "worker": "worker", "telling": "telling", "beat": "beat", "postmaster": "postgres", "redis": "redis"
}  # fmt: skip
PARTS = (*SUPERVISED, "pool", "backend")


@dataclass(frozen=True, slots=True)
class Process:
    """One process; its command line as it stands in /proc, with spaces."""

    pid: int
    parent: int
    state: str
    command: str


def find_processes() -> list[Process]:
    """Return all processes of this machine that are not dead."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if state not in "ZX":
                found.append(Process(int(folder.name), int(parent), state, command))
    return found


def find_part(part: str, up: int) -> list[Process]:
    """Return the processes of a part, of the product whose `up` has this pid; none while it is down."""
    everything = find_processes()

    def children(parents: Iterable[Process]) -> list[Process]:
        pids = {process.pid for process in parents}
        return [process for process in everything if process.parent in pids]

    own = [process for process in everything if process.parent == up]
    match part:
        case "pool":
            return children(process for process in own if MARKS["worker"] in process.command)
        case "backend":
            backends = children(process for process in own if MARKS["postmaster"] in process.command)
            return [process for process in backends if "[local]" in process.command]
        case _:
            return [process for process in own if MARKS[part] in process.command]


MARKS = {
    "web": " daphne ",
    "worker": " conductor.program worker",
    "telling": " conductor.program telling",
    "beat": " conductor.program beat",
    "postmaster": "/postgres -D ",
    "redis": "redis-server ",
}


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; tell whether there was somebody to get it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
