"""The short one, for the suite: each of four parts is killed once under load."""

from random import Random

from benchmarks.chaos.cast import close_the_books, new_key
from benchmarks.chaos.faults import Faults
from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.load import Load
from benchmarks.chaos.product import running

PARTS = ("worker", "web", "backend", "redis")
BATCHES = 12  # that are taken between two kills


def short(seed: int, count: int) -> Outcome:
    """Kill worker, web, a server of PostgreSQL's and Redis, each once, in an order that the seed says."""
    outcome = Outcome("short", seed)
    with running() as product:
        load = Load(product.url, new_key("Conference"), seed, writers=3)
        faults = Faults(product, Random(seed), kinds={"kill": 1})
        load.start()
        load.await_more(BATCHES)
        for number, part in enumerate(faults.random.sample(PARTS, len(PARTS)), start=1):
            faults.parts = (part,)
            faults.strike(number)
            outcome.promise(load.await_more(BATCHES), f"a minute after {part} was killed nothing is taken")
        faults.parts = PARTS
        close_the_books(product, load, outcome)
        outcome.figures |= faults.tell()
    return outcome
