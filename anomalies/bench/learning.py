"""Learn the shared prior from labelled sessions: what quiet rows look like, and how rare each tree score is. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from anomalies.detector import counts
from anomalies.detector.arrays import Mask
from anomalies.detector.config import DEFAULT, DetectorConfig
from anomalies.detector.prior import Prior, masses_of, nothing_known, tail_of
from anomalies.detector.rows import as_rows
from anomalies.detector.state import new_states
from anomalies.detector.verdicts import Verdicts, judge, learn
from engagement.readings import Reading

PRIOR_ROWS = 20_000  # what the masses are thinned to; a session's own rows are weighed against them


@dataclass(frozen=True, slots=True)
class Lesson:
    """A labelled session: its rows, oldest first, and the stretches (from, until) that are not quiet."""

    readings: Sequence[Reading]
    not_quiet: Sequence[tuple[datetime, datetime]]


def learn_prior(lessons: Sequence[Lesson], config: DetectorConfig = DEFAULT) -> Prior:
    """Return the prior of the lessons' quiet rows; the same lessons give the same prior.

    Twice over the rows: first where they fall in the trees, then how they score against that and their own
    session's newest rows, which is what the tail is a tail of. The evidence of short windows counts in full: if the
    prior knew of the discount for rooms that only tell who does something, it would take it back.
    """
    weighing = replace(config.weighing, unheard_parts=(1.0,) * len(config.weighing.unheard_parts))
    config = replace(config, weighing=weighing)
    leaves = np.concatenate(
        [verdicts.tree_leaves[quiet] for verdicts, quiet in _listen(lessons, nothing_known(), config)]
    )
    thin = max(1, len(leaves) // PRIOR_ROWS)
    masses = masses_of(leaves[::thin])
    untailed = Prior(masses, np.array([np.inf]))
    scores = np.concatenate([verdicts.tree_score[quiet] for verdicts, quiet in _listen(lessons, untailed, config)])
    return Prior(masses, tail_of(scores))


def _listen(lessons: Sequence[Lesson], prior: Prior, config: DetectorConfig) -> Iterator[tuple[Verdicts, Mask]]:
    """Go through all lessons row by row, learning where the labels say quiet; yield the verdicts and that mask."""
    states = new_states(len(lessons), config.noise)
    rows = as_rows(reading for lesson in lessons for reading in lesson.readings)
    quiet = np.array([is_quiet for lesson in lessons for is_quiet in _quiet_rows(lesson)], bool)
    lengths = np.array([len(lesson.readings) for lesson in lessons])
    first = np.cumsum(lengths) - lengths
    for place in range(int(lengths.max(initial=0))):
        which = np.flatnonzero(lengths > place)
        part = states[which]
        taken = counts.take(part, rows[first[which] + place], config)
        is_quiet = quiet[first[which] + place][taken]
        heard = part[taken]
        verdicts = judge(heard, prior, config)
        learn(heard, verdicts, is_quiet, config)
        part[taken] = heard
        states[which] = part
        yield verdicts, is_quiet & verdicts.is_judged


def _quiet_rows(lesson: Lesson) -> list[bool]:
    return [
        not any(start <= reading.timestamp <= until for start, until in lesson.not_quiet) for reading in lesson.readings
    ]
