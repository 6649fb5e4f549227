"""`python -m benchmarks.chaos.play SCENARIO SEED COUNT FILE`: one scenario, on the data folder of the environment."""

import signal
import sys
from pathlib import Path

import django

from conductor.local.children import die_with_parent


def main(scenario: str, seed: str, count: str, out: str) -> None:
    die_with_parent(by=signal.SIGTERM)  # and `up` with this
    django.setup()
    from benchmarks.chaos.figures import write_outcome
    from benchmarks.chaos.scenarios import SCENARIOS

    write_outcome(Path(out), SCENARIOS[scenario](int(seed), int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
