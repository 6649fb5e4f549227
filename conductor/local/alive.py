"""`python -m conductor.local.alive NAME`, a container's health check: it fails where a process of that name is stuck.

And it kills that process, as docker starts again what has ended but never what is merely unhealthy. Knows no Django.
"""

import os
import signal
import sys
import time
from pathlib import Path

from conductor.local.pulse import STUCK_SECONDS, find_stuck, pulse_folder


def main(name: str) -> int:
    """Return how many processes were stuck."""
    stuck = find_stuck(pulse_folder(Path(os.environ.get("CONDUCTOR_DATA_DIR") or ".data")), name, time.time())
    for pid in stuck:
        print(f"No sign of life from {name} (process {pid}) for {STUCK_SECONDS:.0f} s.", file=sys.stderr)  # noqa: T201
        os.kill(pid, signal.SIGKILL)
    return len(stuck)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
