"""Clocks that jump: the worker's or beat's, to and fro; ticks go on, and rows are judged."""

import contextlib
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import redis
from django.conf import settings

from benchmarks.chaos.cast import close_the_books, new_key
from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.load import Load
from benchmarks.chaos.product import running
from conductor.local.addresses import redis_url

JUMPS = {"worker": (3_600, -3_600, 0), "beat": (3_600, -3_600, 86_400, 0)}  # seconds off the true time
WATCH_SECONDS = 20.0  # after each jump
MOST_BETWEEN_TICKS = 15.0
TICK_KEY = "conductor:tick"
SOURCE = Path(__file__).with_suffix(".c")

# Read by every Python process of the product before anything else: the one whose clock is to be wrong starts anew under
# a library that says so. A process that became another by exec keeps its pid and its parent.
SITECUSTOMIZE = """
import os, sys
for part in ("worker", "beat"):
    if "conductor.program" in sys.orig_argv and part in sys.orig_argv and "LD_PRELOAD" not in os.environ:
        offset = os.path.join(os.environ["CHAOS_CLOCKS"], part)
        library = os.environ["CHAOS_LIBRARY"]
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "LD_PRELOAD": library, "CHAOS_OFFSET": offset})
"""


def clock(seed: int, count: int) -> Outcome:
    """Let the clocks of worker and beat jump under load."""
    outcome = Outcome("clock", seed)
    clocks = Path(settings.DATA_DIR).parent / "clocks"
    clocks.mkdir()
    library = clocks / "clock.so"
    if shutil.which("cc") is None or sys.platform != "linux":
        outcome.skipped = "a clock that jumps needs Linux, and cc to be compiled"
        return outcome
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
    for part in JUMPS:
        _set(clocks / part, 0)
    (clocks / "sitecustomize.py").write_text(SITECUSTOMIZE)
    python_path = os.pathsep.join(filter(None, [str(clocks), os.environ.get("PYTHONPATH")]))
    environment = {"CHAOS_CLOCKS": str(clocks), "CHAOS_LIBRARY": str(library), "PYTHONPATH": python_path}
    with running(environment) as product:
        load = Load(product.url, new_key("Conference"), seed, writers=3)
        load.start()
        for part, offset in [(part, offset) for part, offsets in JUMPS.items() for offset in offsets]:
            assert _has_library(product.find(part)[0].pid), f"{part} runs by the true clock"
            _set(clocks / part, offset)
            longest = watch_ticks(WATCH_SECONDS)
            outcome.figures[f"{part} {offset:+} s: longest without a tick, s"] = round(longest, 1)
            outcome.promise(longest <= MOST_BETWEEN_TICKS, f"{part} {offset:+} s: no tick for {longest:.0f} s")
        close_the_books(product, load, outcome)
    return outcome


def watch_ticks(seconds: float) -> float:
    """Return the longest time without a tick that a worker has claimed, the time until the end too."""
    began = last = time.monotonic()
    longest, was_there = 0.0, True
    with redis.Redis.from_url(redis_url(settings.DATA_DIR)) as client:
        while (now := time.monotonic()) < began + seconds:
            is_there = False
            with contextlib.suppress(redis.RedisError):
                is_there = bool(client.exists(TICK_KEY))
            if is_there and not was_there:
                last = now
            was_there = is_there
            longest = max(longest, now - last)
            time.sleep(0.05)
    return longest


def _set(path: Path, offset: int) -> None:
    """Write it in place: who runs by this clock has the file in its memory."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(struct.pack("@l", offset))


def _has_library(pid: int) -> bool:
    return "clock.so" in Path(f"/proc/{pid}/maps").read_text()
