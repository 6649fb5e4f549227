"""Run scenarios, each in a process and on a data folder of its own; print one table and write the same as JSON.

The exit status is 1 where a promise is broken; its data folder is kept then, with all logs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from benchmarks import OWN_SETTINGS
from benchmarks.chaos.figures import Outcome, read_outcome, write_json, write_table

SCENARIOS = ("kills", "noisy", "frozen-redis", "postgres-down", "full-disk", "pool", "clock", "senders", "mails")
SHORT = "short"  # the suite's


def main() -> int:
    parser = ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--scenario", choices=(*SCENARIOS, SHORT), action="append", help="default: all of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=100, help="how many faults `kills`, `senders` and `mails` do")
    parser.add_argument("--out", type=Path, help="default: chaos.json in the data folder")
    arguments = parser.parse_args()
    out = arguments.out or Path(os.environ.get("CONDUCTOR_DATA_DIR") or ".data").resolve() / "chaos.json"
    outcomes = []
    for name in arguments.scenario or SCENARIOS:
        print(f"{name}: seed {arguments.seed}", flush=True)
        outcomes.append(play(name, arguments.seed, arguments.kills))
        print(write_table(outcomes[-1:]), flush=True)
    write_json(out, outcomes)
    if len(outcomes) > 1:
        print("\n" + write_table(outcomes))
    return int(any(outcome.broken for outcome in outcomes))


def play(scenario: str, seed: int, kills: int) -> Outcome:
    """Return what came of one scenario; one that breaks off is a broken promise too."""
    data_dir = Path(tempfile.mkdtemp(prefix=f"conductor-chaos-{scenario}-"))
    data_dir.chmod(0o711)  # PostgreSQL may run as somebody else
    found = data_dir / "outcome.json"
    environment = {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS}
    environment |= {
        "DJANGO_SETTINGS_MODULE": "conductor.settings",
        "CONDUCTOR_DATA_DIR": str(data_dir / "data"),
        "CONDUCTOR_PLAIN_HTTP": "1",
    }
    command = [sys.executable, "-m", "benchmarks.chaos.play", scenario, str(seed), str(kills), str(found)]
    status = subprocess.run(command, env=environment).returncode
    outcome = read_outcome(found) if found.exists() else Outcome(scenario, seed)
    outcome.promise(status == 0, f"it broke off with exit status {status}")
    if outcome.broken:
        print(f"Its data folder is kept: {data_dir}")
    else:
        shutil.rmtree(data_dir, ignore_errors=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
