"""Kills, freezes, delays and restarts of every part under load, at random moments."""

from random import Random

from benchmarks.chaos.cast import close_the_books, new_key
from benchmarks.chaos.faults import Faults
from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.load import Load
from benchmarks.chaos.product import running


def kills(seed: int, count: int) -> Outcome:
    """Do so many faults to all parts; nothing is lost, nothing doubled, and every verdict is that of a quiet run."""
    outcome = Outcome("kills", seed)
    with running() as product:
        load = Load(product.url, new_key("Conference"), seed)
        faults = Faults(product, Random(seed))
        load.start()
        faults.strike(count)
        outcome.broken += faults.await_end()
        close_the_books(product, load, outcome)
        outcome.figures |= faults.tell()
    return outcome
