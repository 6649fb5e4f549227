"""Signs of life: a process touches a file while it is not stuck, and whoever watches looks at the file's age.

Knows no Django.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

BEAT_SECONDS = 5.0
STUCK_SECONDS = 40.0  # without a sign of life


def pulse_folder(data_dir: Path) -> Path:
    return data_dir / "pulse"


class Pulse:
    """The signs of life of a process: of this one, unless another's pid is given."""

    def __init__(self, folder: Path, name: str, pid: int | None = None):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{name}.{pid or os.getpid()}"

    def beat(self) -> None:
        self.path.touch()

    def beat_while(self, is_well: Callable[[], bool]) -> None:
        """Beat from a thread of its own, for a process that is busy with other things."""

        def beat_on() -> None:
            while True:
                if is_well():
                    self.beat()
                time.sleep(BEAT_SECONDS)

        self.beat()
        threading.Thread(target=beat_on, name="pulse", daemon=True).start()


def find_stuck(folder: Path, name: str, now: float) -> list[int]:
    """Return the processes of that name which live and gave no sign of it; `now` is in seconds since the epoch."""
    stuck = []
    for path in folder.glob(f"{name}.*"):
        pid = int(path.suffix[1:])
        if not Path(f"/proc/{pid}").exists():
            path.unlink(missing_ok=True)  # it was killed; whoever started it knows
        elif now - path.stat().st_mtime > STUCK_SECONDS:
            stuck.append(pid)
    return stuck
