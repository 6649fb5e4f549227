"""What it costs to judge a row and to keep a session's detector, beside River's own trees."""

import pickle
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from river.anomaly import HalfSpaceTrees

from anomalies.bench.simulation import simulate
from anomalies.detector.prior import FOREST, shipped
from anomalies.detector.replay import judge_as_arrays, judge_rows
from anomalies.detector.rows import Rows, as_rows
from anomalies.detector.state import States, new_states, pack
from anomalies.detector.timetables import Timetable, Timetables, as_timetables
from anomalies.detector.trees import as_features
from benchmarks.figures import Figure

ROWS = 240
PLACES = 48
REPEATS = 5


def best_seconds(work: Callable[[], object]) -> float:
    """Return the least CPU time of a few runs: on a shared machine noise only ever adds."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def measure() -> Iterator[Figure]:
    session = simulate(3, "webinar", 200, quiet=True)
    readings = session.rows[:ROWS]
    river = HalfSpaceTrees(n_trees=FOREST.n_trees, height=FOREST.height, seed=FOREST.seed)
    features = as_features(FOREST, [0.1, 0.1, 0.2, 0.1, 0.0, 0.2, 0.0])

    def river_rows() -> None:
        for _ in range(ROWS):
            river.score_one(features)  # type: ignore[no-untyped-call]
            river.learn_one(features)  # type: ignore[no-untyped-call]

    river_row = best_seconds(river_rows) / ROWS * 1e6
    rows, prior = as_rows(readings), shipped()
    for sessions in (1, 100, 1000):
        states, timetables = new_states(sessions), as_timetables([Timetable()] * sessions)
        # No two neighbours are at the same place of their session.
        batches = [rows[place + np.arange(sessions) % (ROWS - PLACES)] for place in range(PLACES)]

        def judge(states: States, timetables: Timetables, batches: list[Rows]) -> None:
            fresh, whose = states.copy(), np.arange(len(states))
            for batch in batches:
                judge_as_arrays(fresh, batch, whose, timetables, prior)

        cost = best_seconds(partial(judge, states, timetables, batches)) / (PLACES * sessions) * 1e6
        yield Figure(f"judge a row, {sessions} sessions at once", "µs", cost, "River's trees alone, one row", river_row)
    backlog = best_seconds(lambda: judge_rows(new_states(1), [readings], [Timetable()])) / len(readings) * 1e6
    yield Figure("judge a row of one session's backlog", "µs", backlog, "River's trees alone, one row", river_row)

    states = new_states(1)
    judge_rows(states, [session.rows], [Timetable()])
    yield Figure(
        "a session's detector, stored",
        "bytes",
        len(pack(states[0])),
        "River's trees, pickled",
        len(pickle.dumps(river)),
    )
