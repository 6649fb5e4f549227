"""Learn the shared prior from labelled sessions: what quiet rows look like, and how rare each tree score is. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from anomalies.detector.config import START, DetectorConfig
from anomalies.detector.counts import take
from anomalies.detector.prior import Prior, masses_of, nothing_known, tail_of
from anomalies.detector.rows import as_rows
from anomalies.detector.state import new_states
from anomalies.detector.verdicts import Verdict, judge, learn
from engagement.readings import Reading

PRIOR_ROWS = 20_000  # what the masses are thinned to; a session's own rows are weighed against them


@dataclass(frozen=True, slots=True)
class Lesson:
    """A labelled session: its rows, oldest first, and the stretches (from, until) that are not quiet."""

    readings: Sequence[Reading]
    not_quiet: Sequence[tuple[datetime, datetime]]


def learn_prior(lessons: Sequence[Lesson], config: DetectorConfig = START) -> Prior:
    """Return the prior of the lessons' quiet rows; the same lessons give the same prior.

    Twice over the rows: first where they fall in the trees, then how they score against that and their own
    session's newest rows, which is what the tail is a tail of. The evidence of short windows counts in full: if the
    prior knew of the discount for rooms that only tell who does something, it would take it back.
    """
    weighing = replace(config.weighing, unheard_parts=(1.0,) * len(config.weighing.unheard_parts))
    config = replace(config, weighing=weighing)
    leaves = np.array([verdict.tree_leaves for verdict in _listen(lessons, nothing_known(), config)])
    thin = max(1, len(leaves) // PRIOR_ROWS)
    masses = masses_of(leaves[::thin])
    untailed = Prior(masses, np.array([np.inf]))
    scores = np.array([verdict.tree_score for verdict in _listen(lessons, untailed, config)])
    return Prior(masses, tail_of(scores))


def _listen(lessons: Sequence[Lesson], prior: Prior, config: DetectorConfig) -> Iterator[Verdict]:
    """Go through all lessons, a row of each and then the next, and learn where the labels say quiet.

    Yield the verdicts on those rows.
    """
    states, tuning = new_states(len(lessons), config.noise).records, config.record[0]
    rows = [as_rows(lesson.readings).array for lesson in lessons]
    quiet = [_quiet_rows(lesson) for lesson in lessons]
    for place in range(max(map(len, rows), default=0)):
        for state, its_rows, is_quiet in zip(states, rows, quiet, strict=True):
            if place < len(its_rows) and take(state, its_rows[place], tuning) and is_quiet[place]:
                verdict = judge(state, prior.quiet, tuning)
                learn(state, verdict, tuning)
                if verdict.is_judged:
                    yield verdict


def _quiet_rows(lesson: Lesson) -> list[bool]:
    return [
        not any(start <= reading.timestamp <= until for start, until in lesson.not_quiet) for reading in lesson.readings
    ]
