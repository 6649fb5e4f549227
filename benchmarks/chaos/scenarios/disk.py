"""A disk that is full, under load, and has room again."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from benchmarks.chaos.cast import close_the_books, new_key
from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.load import Load, seconds_of
from benchmarks.chaos.product import running, wait_for

MEGABYTES = 260
FULL_SECONDS = 20.0
REFUSED_SECONDS = 5.0
HEALED_SECONDS = 60.0
NO_ROOM = "no room left"


def full_disk(seed: int, count: int) -> Outcome:
    """Fill up the disk of the data folder: one is told that there is no room, and nothing that was taken is lost."""
    outcome = Outcome("full-disk", seed)
    with _small_disk(Path(settings.DATA_DIR)) as why_not:
        if why_not:
            outcome.skipped = why_not
            return outcome
        with running() as product:
            load = Load(product.url, new_key("Conference"), seed, longest_pause=0.02)
            reasons: list[str] = []
            for writer in load.writers:
                writer.client.on_retry = reasons.append
            load.start()
            load.await_more(20)
            began = time.monotonic()
            with _filled_up(Path(settings.DATA_DIR)):
                wait_for(lambda: any(NO_ROOM in reason for reason in list(reasons)), FULL_SECONDS)
                time.sleep(FULL_SECONDS)
            until = time.monotonic()
            during = load.answers(began, until)
            others = sorted({answer.status for answer in during} - {200, 201, 202, 503})
            outcome.promise(not others, f"with a full disk a post was answered {others} and not 503")
            outcome.promise(any(NO_ROOM in reason for reason in reasons), "nobody was told that there is no room left")
            refused = seconds_of(during, lambda status: status == 503)
            outcome.expect_within(REFUSED_SECONDS, refused, "post refused after")
            healed = wait_for(lambda: any(answer.status == 202 for answer in load.answers(until)), HEALED_SECONDS)
            outcome.figures["healed after, s"] = "not in time" if healed is None else round(healed, 2)
            outcome.promise(healed is not None, f"{HEALED_SECONDS:g} s after there was room again nothing was taken")
            close_the_books(product, load, outcome)
    return outcome


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[str]:
    """Have a small file system in that place; give why there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("mount") is None or os.geteuid() != 0:
        yield "a small file system can be mounted by root on Linux only"
        return
    options = f"size={MEGABYTES}m,mode=711"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        yield f"no small file system can be mounted: {made.stderr.strip()}"
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)


@contextlib.contextmanager
def _filled_up(folder: Path) -> Iterator[None]:
    """Leave no room in the file system of a folder, until the end."""
    ballast = folder / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(65_536)):
                pass
        yield
    finally:
        ballast.unlink()
