"""The scenarios by their names: each runs the product on the data folder of the settings, and returns what it found."""

from collections.abc import Callable

from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.scenarios.clock import clock
from benchmarks.chaos.scenarios.disk import full_disk
from benchmarks.chaos.scenarios.kills import kills
from benchmarks.chaos.scenarios.mails import mails
from benchmarks.chaos.scenarios.noisy import noisy
from benchmarks.chaos.scenarios.outages import frozen_redis, pool, postgres_down
from benchmarks.chaos.scenarios.senders import senders
from benchmarks.chaos.scenarios.short import short

# A seed, and how many faults; scenarios that count none do with the first.
SCENARIOS: dict[str, Callable[[int, int], Outcome]] = {
    "kills": kills,
    "noisy": noisy,
    "frozen-redis": frozen_redis,
    "postgres-down": postgres_down,
    "full-disk": full_disk,
    "pool": pool,
    "clock": clock,
    "senders": senders,
    "mails": mails,
    "short": short,
}
