"""Senders that are killed: every message arrives, in the order of its incident's life."""

from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.product import running
from benchmarks.chaos.told import kill_senders


def senders(seed: int, count: int) -> Outcome:
    """Kill senders so many times on the servers of a running product, whose own sender goes on beside them."""
    outcome = Outcome("senders", seed)
    with running({"CONDUCTOR_PRIVATE_RECEIVERS": "1"}):
        kill_senders(seed, count, outcome)
    return outcome
