"""Wait for the thing itself, with a deadline."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest


def wait_until(
    holds: Callable[[], bool],
    seconds: float = 30,
    is_hopeless: Callable[[], bool] = lambda: False,
    tell: Callable[[], str] = lambda: "it did not happen in time",
) -> None:
    """Return as soon as it holds; where it is hopeless or the time is up, fail and tell why."""
    deadline = time.monotonic() + seconds
    while not holds():
        if is_hopeless() or time.monotonic() > deadline:
            pytest.fail(tell())
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether there is such a process; a zombie, which nobody has taken notice of yet, is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
